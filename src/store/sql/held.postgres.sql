-- held
SELECT l.id
FROM leads AS l JOIN json_to_recordset($1::json) AS c (
    id bigint, token bigint
) ON l.id = c.id AND l.lease_token = c.token
ORDER BY l.id
FOR UPDATE OF l
