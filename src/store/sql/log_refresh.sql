-- log_refresh
INSERT INTO token_refreshes (account, generation, refreshed_at_ms, expires_at_ms, refreshed_by)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (account, generation) DO UPDATE
SET refreshed_at_ms = excluded.refreshed_at_ms,
    expires_at_ms = excluded.expires_at_ms,
    refreshed_by = excluded.refreshed_by
