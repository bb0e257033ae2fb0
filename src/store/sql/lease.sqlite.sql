-- lease
UPDATE leads
SET lease_token = $2,
    lease_expires_ms = $3,
    run_id = $4,
    destination = COALESCE(NULLIF(destination, ''), $5),
    created_at_ms = COALESCE(created_at_ms, $6),
    updated_at_ms = COALESCE(updated_at_ms, $6)
WHERE id IN (SELECT value FROM json_each($1))
RETURNING
    leads.id, leads.state, leads.lease_token, leads.lease_expires_ms, leads.destination, leads.email,
    leads.first_name, leads.last_name, leads.phone, leads.company, leads.job_title, leads.linkedin,
    leads.source, leads.context, leads.note, leads.custom_fields, leads.external_id, leads.source_file,
    leads.source_row, leads.prepared, leads.attempts, leads.deferrals, leads.probes, leads.remote_id, leads.sent_at_ms
