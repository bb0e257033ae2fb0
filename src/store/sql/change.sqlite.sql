-- change
UPDATE leads
SET state = c.value ->> 'state',
    reason = CASE WHEN c.value ->> 'reason_set' THEN c.value ->> 'reason' ELSE leads.reason END,
    remote_id = COALESCE(c.value ->> 'remote_id', leads.remote_id),
    attempts = c.value ->> 'attempts',
    deferrals = c.value ->> 'deferrals',
    probes = c.value ->> 'probes',
    not_before_ms = c.value ->> 'not_before_ms',
    lease_token = c.value ->> 'lease_token',
    lease_expires_ms = c.value ->> 'lease_expires_ms',
    run_id = c.value ->> 'run_id',
    prepared = CASE WHEN c.value ->> 'prepared_set' THEN c.value ->> 'prepared' ELSE leads.prepared END,
    normal_email = CASE WHEN c.value ->> 'prepared_set' THEN c.value ->> 'normal_email' ELSE leads.normal_email END,
    enriched = CASE WHEN c.value ->> 'prepared_set' THEN c.value ->> 'enriched' ELSE leads.enriched END,
    lookup_call_id =
        CASE WHEN c.value ->> 'prepared_set' THEN c.value ->> 'lookup_call_id' ELSE leads.lookup_call_id END,
    custom_fields = COALESCE(c.value ->> 'custom_fields', leads.custom_fields),
    fingerprint = c.value ->> 'fingerprint',
    duplicate_of = c.value ->> 'duplicate_of',
    sent_at_ms = c.value ->> 'sent_at_ms',
    finished_at_ms = c.value ->> 'finished_at_ms',
    last_step = c.value ->> 'last_step',
    created_at_ms = COALESCE(leads.created_at_ms, $2),
    updated_at_ms = $2
FROM json_each($1) AS c
WHERE leads.id = c.value ->> 'id'
