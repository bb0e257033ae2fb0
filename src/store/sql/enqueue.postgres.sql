-- enqueue
INSERT INTO leads (
    email, first_name, last_name, phone, company, job_title, linkedin, source, context, note, custom_fields,
    external_id, destination, source_file, source_row, state, reason, finished_at_ms, run_id, import_run_id,
    created_at_ms, updated_at_ms
)
SELECT
    c.email, c.first_name, c.last_name, c.phone, c.company, c.job_title, c.linkedin, c.source,
    c.context, c.note, c.custom_fields, c.external_id, c.destination, c.source_file,
    c.source_row, c.state, c.reason, c.finished_at_ms, c.run_id, $2, $3, $3
FROM json_to_recordset($1::json) AS c (
    email text, first_name text, last_name text, phone text, company text, job_title text, linkedin text, source
    text, context text, note text, custom_fields text, external_id text, n bigint, destination text, source_file
    text, source_row bigint, state text, reason text, finished_at_ms bigint, run_id bigint
)
ORDER BY c.n
