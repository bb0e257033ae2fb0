-- mark_needs_login
UPDATE tokens
SET needs_login = $4, refresh_holder = NULL, refresh_until_ms = NULL, refresh_repeats = 0
WHERE account = $1 AND generation = $2 AND refresh_holder = $3
