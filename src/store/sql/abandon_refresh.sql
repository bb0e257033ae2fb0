-- abandon_refresh
UPDATE tokens
SET refresh_holder = NULL, refresh_until_ms = $3
WHERE account = $1 AND refresh_holder = $2
