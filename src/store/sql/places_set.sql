-- places_set
UPDATE places
SET book = $2
WHERE account = $1
