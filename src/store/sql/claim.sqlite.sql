-- claim
INSERT INTO claims (destination, fingerprint, lead_id)
SELECT c.value ->> 'destination', c.value ->> 'fingerprint', c.value ->> 'lead'
FROM json_each($1) AS c
WHERE true
ORDER BY 1, 2
ON CONFLICT (destination, fingerprint) DO NOTHING
