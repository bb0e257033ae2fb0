-- reinstated_by
SELECT last_step, id, run_id
FROM leads
WHERE state IN ('received', 'ready', 'sending')
  AND last_step IN (SELECT value FROM json_each($1))
ORDER BY id
