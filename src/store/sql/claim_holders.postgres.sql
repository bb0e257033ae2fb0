-- claim_holders
SELECT destination, fingerprint, lead_id
FROM claims
WHERE destination = $2 AND fingerprint IN (SELECT value FROM json_array_elements_text($1::json))
ORDER BY fingerprint
