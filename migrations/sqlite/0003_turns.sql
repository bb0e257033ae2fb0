-- Which runs are at work, so that `run --exclusive` can be alone. A run that was killed ends nothing: its word lapses.

-- What it asks of the others: 'shared' works beside any number of its like, 'exclusive' alone. NULL: it only loads rows and
-- needs no turn.
ALTER TABLE runs ADD COLUMN turn TEXT CHECK (turn IN ('shared', 'exclusive'));
-- At work until then, unless it ends before; renewed while it works.
ALTER TABLE runs ADD COLUMN alive_until_ms INTEGER;
CREATE INDEX runs_unfinished ON runs (id) WHERE finished_at_ms IS NULL;
