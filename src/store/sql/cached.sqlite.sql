-- cached
SELECT fingerprint, answer, fetched_at_ms, call_id
FROM lookups
WHERE fingerprint IN (SELECT value FROM json_each($1)) AND fetched_at_ms >= $2
ORDER BY fingerprint
