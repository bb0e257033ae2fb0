-- runs
SELECT id, command, started_at_ms, finished_at_ms, exit_code, taken, delivered, rejected, exhausted, unconfirmed,
    skipped, failed_attempts, deferrals
FROM runs
ORDER BY id DESC
LIMIT $1
