-- state_counts
SELECT COALESCE(destination, '') AS destination, state, count(*) AS leads
FROM leads
GROUP BY COALESCE(destination, ''), state
ORDER BY 1, 2
