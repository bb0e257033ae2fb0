-- standing
SELECT to_regclass('leads') IS NOT NULL AS leads, to_regclass('_leadsync_migrations') IS NOT NULL AS ours
