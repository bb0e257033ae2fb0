-- keep_sealed_key
INSERT INTO sealed_keys (name, sealed)
VALUES ($1, $2)
ON CONFLICT (name) DO NOTHING
