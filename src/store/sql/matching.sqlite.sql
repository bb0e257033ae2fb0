-- matching
SELECT
    id
FROM leads
WHERE id > $1
  AND ($3 IS NULL OR state IN (SELECT value FROM json_each($3)))
  AND ($4 IS NULL OR destination = $4)
  AND ($5 IS NULL OR run_id = $5)
  AND ($6 IS NULL OR import_run_id = $6)
  AND ($7 IS NULL OR COALESCE(updated_at_ms, 0) >= $7)
  AND ($8 IS NULL OR instr(lower(reason), lower($8)) > 0)
ORDER BY id
LIMIT $2
