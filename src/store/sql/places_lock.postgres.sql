-- places_lock
SELECT book
FROM places
WHERE account = $1
FOR UPDATE
