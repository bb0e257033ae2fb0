-- pauses
SELECT account, until_ms, why
FROM pauses
WHERE until_ms > $1
ORDER BY account
