-- rejected_rows
SELECT source_row, reason
FROM leads
WHERE state = 'rejected' AND import_run_id = $1 AND source_file = $2 AND source_row > $3
ORDER BY source_row, id
LIMIT $4
