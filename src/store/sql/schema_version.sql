-- schema_version
SELECT COALESCE(max(version), 0) FROM _leadsync_migrations WHERE success
