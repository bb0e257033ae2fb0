-- refresh_lock
SELECT generation, refresh_holder, refresh_until_ms, refresh_repeats, needs_login
FROM tokens
WHERE account = $1
