-- renew_turn
UPDATE runs
SET alive_until_ms = $2
WHERE id = $1 AND finished_at_ms IS NULL
