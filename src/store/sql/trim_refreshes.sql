-- trim_refreshes
DELETE FROM token_refreshes
WHERE account = $1 AND (refreshed_at_ms < $2 OR generation <= $3)
