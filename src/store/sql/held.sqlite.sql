-- held
SELECT l.id
FROM leads AS l JOIN json_each($1) AS c ON l.id = c.value ->> 'id' AND l.lease_token = c.value ->> 'token'
ORDER BY l.id
