-- change
UPDATE leads
SET state = c.state,
    reason = CASE WHEN c.reason_set THEN c.reason ELSE leads.reason END,
    remote_id = COALESCE(c.remote_id, leads.remote_id),
    attempts = c.attempts,
    deferrals = c.deferrals,
    probes = c.probes,
    not_before_ms = c.not_before_ms,
    lease_token = c.lease_token,
    lease_expires_ms = c.lease_expires_ms,
    run_id = c.run_id,
    prepared = CASE WHEN c.prepared_set THEN c.prepared ELSE leads.prepared END,
    normal_email = CASE WHEN c.prepared_set THEN c.normal_email ELSE leads.normal_email END,
    enriched = CASE WHEN c.prepared_set THEN c.enriched ELSE leads.enriched END,
    lookup_call_id = CASE WHEN c.prepared_set THEN c.lookup_call_id ELSE leads.lookup_call_id END,
    custom_fields = COALESCE(c.custom_fields, leads.custom_fields),
    fingerprint = c.fingerprint,
    duplicate_of = c.duplicate_of,
    sent_at_ms = c.sent_at_ms,
    finished_at_ms = c.finished_at_ms,
    last_step = c.last_step,
    created_at_ms = COALESCE(leads.created_at_ms, $2),
    updated_at_ms = $2
FROM json_to_recordset($1::json) AS c (
    id bigint, state text, reason text, reason_set boolean, remote_id text, attempts bigint, deferrals bigint,
    probes bigint, not_before_ms bigint, lease_token bigint, lease_expires_ms bigint, run_id bigint, prepared
    text, normal_email text, enriched boolean, lookup_call_id bigint, prepared_set boolean, custom_fields text,
    fingerprint text,
    duplicate_of bigint, sent_at_ms bigint, finished_at_ms bigint, last_step bigint
)
WHERE leads.id = c.id
