-- quota_lock
SELECT q.account, q.utc_day, q.used
FROM quotas AS q JOIN json_to_recordset($1::json) AS c (
    account text, utc_day bigint
) ON q.account = c.account AND q.utc_day = c.utc_day
ORDER BY q.account, q.utc_day
FOR UPDATE OF q
