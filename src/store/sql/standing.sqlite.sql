-- standing
SELECT
    EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'leads' COLLATE NOCASE) AS leads,
    EXISTS (SELECT 1 FROM sqlite_master WHERE name = '_leadsync_migrations') AS ours
