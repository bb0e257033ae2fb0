-- claim_holders
SELECT destination, fingerprint, lead_id
FROM claims
WHERE destination = $2 AND fingerprint IN (SELECT value FROM json_each($1))
ORDER BY fingerprint
