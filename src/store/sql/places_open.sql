-- places_open
INSERT INTO places (account, book)
VALUES ($1, $2)
ON CONFLICT (account) DO NOTHING
