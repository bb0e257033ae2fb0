-- pause
INSERT INTO pauses (account, until_ms, why)
VALUES ($1, $2, $3)
ON CONFLICT (account) DO UPDATE
SET until_ms = excluded.until_ms, why = excluded.why
WHERE excluded.until_ms >= pauses.until_ms
