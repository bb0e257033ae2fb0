-- lock
SELECT id, state, COALESCE(destination, '') AS destination, run_id, lease_token, lease_expires_ms, last_step,
    fingerprint, duplicate_of, remote_id IS NOT NULL AS has_remote_id, attempts, deferrals, probes, not_before_ms, sent_at_ms,
    finished_at_ms
FROM leads
WHERE id IN (SELECT value::bigint FROM json_array_elements_text($1::json))
ORDER BY id
FOR UPDATE
