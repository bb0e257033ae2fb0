-- claimed
-- The lock makes whoever is giving up a claim wait for whoever has just lost to it, and the other way round: a lead must
-- not become the duplicate of one that is at this moment found unusable.
SELECT k.destination, k.fingerprint, k.lead_id
FROM claims AS k JOIN json_to_recordset($1::json) AS c (
    destination text, fingerprint text
) ON k.destination = c.destination AND k.fingerprint = c.fingerprint
ORDER BY k.destination, k.fingerprint
FOR UPDATE OF k
