-- reclaim
INSERT INTO claims (destination, fingerprint, lead_id)
SELECT c.value ->> 'destination', c.value ->> 'fingerprint', c.value ->> 'lead'
FROM json_each($1) AS c
WHERE true
ON CONFLICT (destination, fingerprint) DO UPDATE SET lead_id = excluded.lead_id
