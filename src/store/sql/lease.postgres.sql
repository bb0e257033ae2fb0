-- lease
-- Texts are cut at a million characters on the way out: a row that no message can carry must not keep all others
-- from being leased.
UPDATE leads
SET lease_token = $2,
    lease_expires_ms = $3,
    run_id = $4,
    destination = COALESCE(NULLIF(destination, ''), $5),
    created_at_ms = COALESCE(created_at_ms, $6),
    updated_at_ms = COALESCE(updated_at_ms, $6)
WHERE id IN (SELECT value::bigint FROM json_array_elements_text($1::json))
RETURNING
    leads.id, leads.state, leads.lease_token, leads.lease_expires_ms, leads.destination,
    left(leads.email, 1048576) AS email, left(leads.first_name, 1048576) AS first_name,
    left(leads.last_name, 1048576) AS last_name, left(leads.phone, 1048576) AS phone,
    left(leads.company, 1048576) AS company, left(leads.job_title, 1048576) AS job_title,
    left(leads.linkedin, 1048576) AS linkedin, left(leads.source, 1048576) AS source,
    left(leads.context, 1048576) AS context, left(leads.note, 1048576) AS note,
    left(leads.custom_fields, 1048576) AS custom_fields, left(leads.external_id, 1048576) AS external_id,
    leads.source_file, leads.source_row, leads.prepared, leads.attempts, leads.deferrals, leads.probes,
    leads.remote_id, leads.sent_at_ms
