-- reinstated_by
SELECT last_step, id, run_id
FROM leads
WHERE state IN ('received', 'ready', 'sending')
  AND last_step IN (SELECT value::bigint FROM json_array_elements_text($1::json))
ORDER BY id
