-- How the rate limit of an account is shared by all workers: one row a limit, read and written as a whole.
CREATE TABLE places (
    account TEXT NOT NULL PRIMARY KEY,
    -- Which places are free from when, and how many are in which worker's hands until when (JSON).
    book TEXT NOT NULL
) STRICT;

-- Leads of which nobody knows whether they arrived: a handful, to be found among however many wait.
CREATE INDEX leads_doubtful ON leads (COALESCE(destination, ''), not_before_ms, id) WHERE state = 'sending';
