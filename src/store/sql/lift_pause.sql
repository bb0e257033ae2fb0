-- lift_pause
DELETE FROM pauses WHERE account = $1
