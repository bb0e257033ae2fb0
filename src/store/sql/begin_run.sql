-- begin_run
INSERT INTO runs (command, started_at_ms)
VALUES ($1, $2)
RETURNING id
