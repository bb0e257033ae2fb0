-- renew
UPDATE leads SET lease_expires_ms = $2
WHERE id IN (SELECT value FROM json_each($1)) AND lease_expires_ms < $2
