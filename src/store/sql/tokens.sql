-- tokens
SELECT account, generation, sealed, expires_at_ms, refreshed_at_ms, needs_login
FROM tokens
WHERE generation > 0
ORDER BY account
