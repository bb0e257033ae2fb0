-- cached
SELECT fingerprint, answer, fetched_at_ms, call_id
FROM lookups
WHERE fingerprint IN (SELECT value FROM json_array_elements_text($1::json)) AND fetched_at_ms >= $2
ORDER BY fingerprint
