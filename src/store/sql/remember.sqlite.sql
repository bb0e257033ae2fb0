-- remember
INSERT INTO lookups (fingerprint, answer, fetched_at_ms, call_id)
SELECT c.value ->> 'fingerprint', c.value ->> 'answer', c.value ->> 'fetched_at_ms', c.value ->> 'call_id'
FROM json_each($1) AS c
WHERE true
ORDER BY 1
ON CONFLICT (fingerprint) DO UPDATE
SET answer = excluded.answer, fetched_at_ms = excluded.fetched_at_ms, call_id = excluded.call_id
WHERE excluded.fetched_at_ms >= lookups.fetched_at_ms
