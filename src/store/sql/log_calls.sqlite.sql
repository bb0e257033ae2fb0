-- log_calls
INSERT INTO calls (id, run_id, lead_id, account, what, started_at_ms, duration_ms, status, verdict)
SELECT
    c.value ->> 'id', c.value ->> 'run', c.value ->> 'lead',
    c.value ->> 'account', c.value ->> 'what', c.value ->> 'started_at',
    c.value ->> 'duration_ms', c.value ->> 'status', c.value ->> 'verdict'
FROM json_each($1) AS c
WHERE true
ORDER BY 1
ON CONFLICT (id) DO NOTHING
