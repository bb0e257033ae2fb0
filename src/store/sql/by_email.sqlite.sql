-- by_email
SELECT id FROM leads WHERE email IS NOT NULL AND lower(trim(email)) = lower(trim($1))
UNION
SELECT id FROM leads WHERE normal_email IS NOT NULL AND normal_email = lower(trim($1))
