-- refresh_open
INSERT INTO tokens (account, generation)
VALUES ($1, 0)
ON CONFLICT (account) DO NOTHING
