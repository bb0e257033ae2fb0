-- quota_set
UPDATE quotas SET used = c.used
FROM json_to_recordset($1::json) AS c (account text, utc_day bigint, used bigint)
WHERE quotas.account = c.account AND quotas.utc_day = c.utc_day
