-- by_email
SELECT id FROM leads WHERE email IS NOT NULL AND lower(left(btrim(email), 320)) = lower(left(btrim($1), 320))
UNION
SELECT id FROM leads WHERE normal_email IS NOT NULL AND normal_email = lower(btrim($1))
