-- sealed_keys
SELECT name, sealed FROM sealed_keys ORDER BY name
