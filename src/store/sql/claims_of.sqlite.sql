-- claims_of
SELECT destination, fingerprint, lead_id
FROM claims
WHERE lead_id IN (SELECT value FROM json_each($1))
ORDER BY destination, fingerprint
