-- count_run
UPDATE runs
SET taken = taken + $2,
    delivered = delivered + $3,
    rejected = rejected + $4,
    exhausted = exhausted + $5,
    unconfirmed = unconfirmed + $6,
    skipped = skipped + $7,
    failed_attempts = failed_attempts + $8,
    deferrals = deferrals + $9
WHERE id = $1
