-- quota_used
SELECT used FROM quotas WHERE account = $1 AND utc_day = $2
