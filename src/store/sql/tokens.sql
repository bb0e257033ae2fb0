-- tokens
SELECT account, generation, sealed, expires_at_ms, refreshed_at_ms, needs_login
FROM tokens
WHERE generation > 0 OR needs_login IS NOT NULL
ORDER BY account
