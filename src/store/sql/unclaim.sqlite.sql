-- unclaim
DELETE FROM claims
WHERE (destination, fingerprint) IN (SELECT c.value ->> 'destination', c.value ->> 'fingerprint' FROM json_each($1) AS c)
