-- How the rate limit of an account is shared by all workers: one row a limit, read and written as a whole.
CREATE TABLE places (
    account TEXT NOT NULL PRIMARY KEY,
    -- Which places are free from when, and how many are in which worker's hands until when (JSON).
    book TEXT NOT NULL
) STRICT;
