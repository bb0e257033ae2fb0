-- remember
INSERT INTO lookups (fingerprint, answer, fetched_at_ms, call_id)
SELECT c.fingerprint, c.answer, c.fetched_at_ms, c.call_id
FROM json_to_recordset($1::json) AS c (fingerprint text, answer text, fetched_at_ms bigint, call_id bigint)
WHERE true
ORDER BY 1
ON CONFLICT (fingerprint) DO UPDATE
SET answer = excluded.answer, fetched_at_ms = excluded.fetched_at_ms, call_id = excluded.call_id
WHERE excluded.fetched_at_ms >= lookups.fetched_at_ms
