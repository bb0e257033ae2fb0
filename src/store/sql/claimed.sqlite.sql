-- claimed
SELECT k.destination, k.fingerprint, k.lead_id
FROM claims AS k
JOIN json_each($1) AS c
    ON k.destination = c.value ->> 'destination' AND k.fingerprint = c.value ->> 'fingerprint'
ORDER BY k.destination, k.fingerprint
