-- log_calls
INSERT INTO calls (id, run_id, lead_id, account, what, started_at_ms, duration_ms, status, verdict)
SELECT c.id, c.run, c.lead, c.account, c.what, c.started_at, c.duration_ms, c.status, c.verdict
FROM json_to_recordset($1::json) AS c (
    id bigint, run bigint, lead bigint, account text, what text, started_at bigint, duration_ms bigint, status
    bigint, verdict text
)
WHERE true
ORDER BY 1
ON CONFLICT (id) DO NOTHING
