-- quota_open
INSERT INTO quotas (account, utc_day)
SELECT c.value ->> 'account', c.value ->> 'utc_day'
FROM json_each($1) AS c
WHERE true
ORDER BY 1, 2
ON CONFLICT (account, utc_day) DO NOTHING
