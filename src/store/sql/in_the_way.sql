-- in_the_way: a run at work, newer than $3, beside which one with the turn $2 may not be
SELECT id, command, started_at_ms, finished_at_ms, exit_code, taken, delivered, rejected, exhausted, unconfirmed,
    skipped, failed_attempts, deferrals, turn, alive_until_ms
FROM runs
WHERE finished_at_ms IS NULL AND alive_until_ms > $1 AND turn IS NOT NULL
    AND (turn = 'exclusive' OR $2 = 'exclusive') AND id > $3
ORDER BY id
LIMIT 1
