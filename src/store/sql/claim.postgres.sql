-- claim
INSERT INTO claims (destination, fingerprint, lead_id)
SELECT c.destination, c.fingerprint, c.lead
FROM json_to_recordset($1::json) AS c (destination text, fingerprint text, lead bigint)
WHERE true
ORDER BY 1, 2
ON CONFLICT (destination, fingerprint) DO NOTHING
