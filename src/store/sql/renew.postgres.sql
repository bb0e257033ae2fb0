-- renew
UPDATE leads SET lease_expires_ms = $2
WHERE id IN (SELECT value::bigint FROM json_array_elements_text($1::json)) AND lease_expires_ms < $2
