-- begin_turn
INSERT INTO runs (command, started_at_ms, turn, alive_until_ms)
VALUES ($1, $2, $3, $4)
RETURNING id
