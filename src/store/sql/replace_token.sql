-- replace_token
INSERT INTO tokens (account, generation, sealed, expires_at_ms, refreshed_at_ms, needs_login, refreshed_by)
VALUES ($1, $3, $4, $5, $6, $7, $8)
ON CONFLICT (account) DO UPDATE
SET generation = excluded.generation,
    sealed = excluded.sealed,
    expires_at_ms = excluded.expires_at_ms,
    refreshed_at_ms = excluded.refreshed_at_ms,
    needs_login = excluded.needs_login,
    refreshed_by = excluded.refreshed_by,
    refresh_holder = NULL,
    refresh_until_ms = NULL,
    refresh_repeats = 0
WHERE tokens.generation = $2
