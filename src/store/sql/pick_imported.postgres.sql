-- pick_imported
SELECT id, not_before_ms, run_id
FROM leads
WHERE state IN ('received', 'ready', 'sending')
  AND COALESCE(destination, '') = $1
  AND not_before_ms <= $2
  AND ($4 OR state <> 'received')
  AND (lease_expires_ms IS NULL OR lease_expires_ms <= $2)
  AND import_run_id = $5
ORDER BY not_before_ms, id
LIMIT $3
FOR UPDATE SKIP LOCKED
