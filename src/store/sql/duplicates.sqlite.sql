-- duplicates
SELECT duplicate_of, id
FROM (
    SELECT duplicate_of, id, row_number() OVER (PARTITION BY duplicate_of ORDER BY id) AS place
    FROM leads
    WHERE duplicate_of IN (SELECT value FROM json_each($1)) AND state = 'skipped'
) AS d
WHERE place <= $2
ORDER BY duplicate_of, id
