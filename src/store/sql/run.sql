-- run
SELECT id, command, started_at_ms, finished_at_ms, exit_code, taken, delivered, rejected, exhausted, unconfirmed,
    skipped, failed_attempts, deferrals, turn, alive_until_ms
FROM runs
WHERE id = $1
