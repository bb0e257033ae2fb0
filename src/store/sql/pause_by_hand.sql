-- pause_by_hand
INSERT INTO hand_pauses (name, since_ms, until_ms, why, set_by)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE
SET since_ms = excluded.since_ms, until_ms = excluded.until_ms, why = excluded.why, set_by = excluded.set_by
