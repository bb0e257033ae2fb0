-- quota_set
UPDATE quotas SET used = c.value ->> 'used'
FROM json_each($1) AS c
WHERE quotas.account = c.value ->> 'account' AND quotas.utc_day = c.value ->> 'utc_day'
