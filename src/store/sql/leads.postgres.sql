-- leads
SELECT
    id, destination, state, reason, remote_id, attempts, deferrals, probes, enriched,
    left(email, 1048576) AS email, left(first_name, 1048576) AS first_name,
    left(last_name, 1048576) AS last_name, left(phone, 1048576) AS phone, left(company, 1048576) AS company,
    left(job_title, 1048576) AS job_title, left(linkedin, 1048576) AS linkedin,
    left(source, 1048576) AS source, left(context, 1048576) AS context, left(note, 1048576) AS note,
    left(custom_fields, 1048576) AS custom_fields, left(external_id, 1048576) AS external_id, prepared,
    source_file, source_row, duplicate_of, run_id, lookup_call_id, not_before_ms, sent_at_ms, lease_expires_ms,
    created_at_ms, updated_at_ms, finished_at_ms
FROM leads
WHERE id > $1
  AND ($3::text IS NULL OR state IN (SELECT value FROM json_array_elements_text($3::json)))
  AND ($4::text IS NULL OR destination = $4)
  AND ($5::bigint IS NULL OR run_id = $5)
  AND ($6::bigint IS NULL OR import_run_id = $6)
  AND ($7::bigint IS NULL OR COALESCE(updated_at_ms, 0) >= $7)
  AND ($8::text IS NULL OR position(lower($8) in lower(reason)) > 0)
ORDER BY id
LIMIT $2
