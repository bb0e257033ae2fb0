-- finish_run
UPDATE runs
SET exit_code = $2, finished_at_ms = $3
WHERE id = $1
