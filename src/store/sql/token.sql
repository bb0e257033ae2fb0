-- token
SELECT account, generation, sealed, expires_at_ms, refreshed_at_ms, needs_login
FROM tokens
WHERE account = $1 AND generation > 0
