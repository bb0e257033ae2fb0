-- hand_pauses
SELECT name, since_ms, until_ms, why, set_by
FROM hand_pauses
WHERE until_ms IS NULL OR until_ms > $1
ORDER BY name
