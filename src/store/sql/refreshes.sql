-- refreshes
SELECT account, generation, refreshed_at_ms, expires_at_ms, refreshed_by
FROM token_refreshes
WHERE refreshed_at_ms >= $1
ORDER BY account, generation
