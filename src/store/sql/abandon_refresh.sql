-- abandon_refresh
UPDATE tokens
SET refresh_holder = NULL, refresh_until_ms = NULL, refresh_repeats = 0
WHERE account = $1 AND refresh_holder = $2
