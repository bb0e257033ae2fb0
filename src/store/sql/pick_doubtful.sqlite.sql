-- pick_doubtful
SELECT id, not_before_ms, run_id
FROM leads
WHERE state = 'sending'
  AND COALESCE(destination, '') = $1
  AND not_before_ms <= $2
  AND (lease_expires_ms IS NULL OR lease_expires_ms <= $2)
  AND ($4 IS NULL OR import_run_id = $4)
ORDER BY not_before_ms, id
LIMIT $3
