-- paused
SELECT account, until_ms, why
FROM pauses
WHERE account = $1 AND until_ms > $2
