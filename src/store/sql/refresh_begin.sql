-- refresh_begin
UPDATE tokens
SET refresh_holder = $2, refresh_until_ms = $3, refresh_repeats = $4
WHERE account = $1
