-- tokens
SELECT account, generation, sealed, expires_at_ms, refreshed_at_ms, refreshed_by, needs_login, refresh_holder, refresh_until_ms
FROM tokens
WHERE generation > 0 OR needs_login IS NOT NULL OR refresh_holder IS NOT NULL
ORDER BY account
