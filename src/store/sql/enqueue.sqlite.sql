-- enqueue
INSERT INTO leads (
    email, first_name, last_name, phone, company, job_title, linkedin, source, context, note, custom_fields,
    external_id, destination, source_file, source_row, state, reason, finished_at_ms, run_id, import_run_id,
    created_at_ms, updated_at_ms
)
SELECT
    c.value ->> 'email', c.value ->> 'first_name', c.value ->> 'last_name',
    c.value ->> 'phone', c.value ->> 'company', c.value ->> 'job_title',
    c.value ->> 'linkedin', c.value ->> 'source', c.value ->> 'context',
    c.value ->> 'note', c.value ->> 'custom_fields', c.value ->> 'external_id',
    c.value ->> 'destination', c.value ->> 'source_file', c.value ->> 'source_row',
    c.value ->> 'state', c.value ->> 'reason', c.value ->> 'finished_at_ms',
    c.value ->> 'run_id', $2, $3,
    $3
FROM json_each($1) AS c
ORDER BY c.value ->> 'n'
