-- calls_of
SELECT id, run_id, lead_id, account, what, started_at_ms, duration_ms, status, verdict
FROM calls
WHERE lead_id = $1 OR id = (SELECT lookup_call_id FROM leads WHERE leads.id = $1)
ORDER BY started_at_ms, id
