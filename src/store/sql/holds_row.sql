-- holds_row
SELECT count(*)
FROM leads
WHERE import_run_id = $1 AND source_file = $2 AND source_row = $3 AND destination = $4
