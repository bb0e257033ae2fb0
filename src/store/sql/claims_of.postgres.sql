-- claims_of
SELECT destination, fingerprint, lead_id
FROM claims
WHERE lead_id IN (SELECT value::bigint FROM json_array_elements_text($1::json))
ORDER BY destination, fingerprint
FOR UPDATE
