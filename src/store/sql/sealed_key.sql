-- sealed_key
SELECT sealed FROM sealed_keys WHERE name = $1
