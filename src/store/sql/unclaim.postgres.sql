-- unclaim
DELETE FROM claims
WHERE (destination, fingerprint) IN (SELECT c.destination, c.fingerprint FROM json_to_recordset($1::json) AS c (
    destination text, fingerprint text
))
