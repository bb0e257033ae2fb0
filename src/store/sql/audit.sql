-- audit
SELECT 'leads that hold an identity nobody has claimed' AS what, count(*) AS leads
FROM leads
WHERE state IN ('ready', 'sending', 'delivered', 'unconfirmed') AND fingerprint IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM claims WHERE claims.destination = leads.destination AND claims.fingerprint = leads.fingerprint
)
UNION ALL
SELECT 'claims of leads that do not hold them', count(*)
FROM claims
JOIN leads ON leads.id = claims.lead_id
WHERE leads.state NOT IN ('ready', 'sending', 'delivered', 'unconfirmed')
UNION ALL
SELECT 'leads that are being sent and were never meant to be', count(*)
FROM leads
WHERE state = 'sending' AND (sent_at_ms IS NULL OR prepared IS NULL)
UNION ALL
SELECT 'leads at their end that are under a lease', count(*)
FROM leads
WHERE state IN ('delivered', 'rejected', 'exhausted', 'unconfirmed', 'skipped') AND lease_token IS NOT NULL
UNION ALL
SELECT 'leads at their end without a time of it', count(*)
FROM leads
WHERE state IN ('delivered', 'rejected', 'exhausted', 'unconfirmed', 'skipped') AND finished_at_ms IS NULL
