-- token
SELECT account, generation, sealed, expires_at_ms, refreshed_at_ms, refreshed_by, needs_login, refresh_holder, refresh_until_ms
FROM tokens
WHERE account = $1 AND generation > 0
