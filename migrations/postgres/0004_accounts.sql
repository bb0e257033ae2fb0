-- What operators see of accounts, and what they do about them.

-- Who refreshed the token last: host, process and run.
ALTER TABLE tokens ADD COLUMN refreshed_by TEXT;

-- The last refreshes of each account: more than the life of its tokens explains means that somebody else uses the grant too.
CREATE TABLE token_refreshes (
    account TEXT NOT NULL,
    generation BIGINT NOT NULL,
    refreshed_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    refreshed_by TEXT,
    PRIMARY KEY (account, generation)
);

-- Pauses that people asked for. Apart from those that servers ask for, so that nothing but a person ends them early.
CREATE TABLE hand_pauses (
    -- A destination's name, or `enrich`: it holds for whatever account that is.
    name TEXT NOT NULL PRIMARY KEY,
    since_ms BIGINT NOT NULL,
    -- NULL: until somebody lifts it.
    until_ms BIGINT,
    why TEXT,
    set_by TEXT NOT NULL
);
