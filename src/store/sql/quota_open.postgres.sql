-- quota_open
INSERT INTO quotas (account, utc_day)
SELECT c.account, c.utc_day
FROM json_to_recordset($1::json) AS c (account text, utc_day bigint)
WHERE true
ORDER BY 1, 2
ON CONFLICT (account, utc_day) DO NOTHING
