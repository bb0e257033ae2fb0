-- quota_lock
SELECT q.account, q.utc_day, q.used
FROM quotas AS q JOIN json_each($1) AS c ON q.account = c.value ->> 'account' AND q.utc_day = c.value ->> 'utc_day'
ORDER BY q.account, q.utc_day
