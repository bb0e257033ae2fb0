-- resume_by_hand
DELETE FROM hand_pauses WHERE name = $1
