-- waiting_imported
SELECT
    COALESCE(destination, '') AS destination,
    count(*) FILTER (WHERE COALESCE(lease_expires_ms, 0) <= $1 AND not_before_ms <= $1) AS due,
    count(*) FILTER (WHERE lease_expires_ms > $1) AS leased,
    min(CASE WHEN lease_expires_ms > $1 THEN max(lease_expires_ms, not_before_ms)
             WHEN not_before_ms > $1 THEN not_before_ms END) AS next_due_ms,
    min(CASE WHEN state = 'sending' THEN max(COALESCE(lease_expires_ms, 0), not_before_ms) END) AS next_doubtful_ms
FROM leads
WHERE state IN ('received', 'ready', 'sending') AND import_run_id = $2
GROUP BY COALESCE(destination, '')
ORDER BY 1
