-- matching
SELECT
    id
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
