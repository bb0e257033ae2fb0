-- The queue, the claims, the runs, the call log, and what accounts share.
--
-- Both databases have the same migrations: same numbers, same names, same tables and columns (held together by a test).
-- Every `*_ms` column is a moment in milliseconds since 1970-01-01T00:00:00Z, written by leadsync and never by the
-- database: there is no now() here, so that a plain INSERT works from any client.

-- One row is one lead for one destination. Any program may insert rows; only the public columns are meant for it:
--
--     INSERT INTO leads (email, first_name) VALUES ('ann@example.com', 'Ann');
CREATE TABLE leads (
    -- Public, readable. Assigned by the database alone: an id chosen elsewhere would collide later.
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY CHECK (id > 0),

    -- Public, writable: the lead as somebody wrote it down, kept unchanged.
    email TEXT,
    first_name TEXT,
    last_name TEXT,
    phone TEXT,
    company TEXT,
    job_title TEXT,
    -- The address of the profile, or its last part.
    linkedin TEXT,
    -- Where the lead came from, in the sender's words; goes to the destination.
    source TEXT,
    context TEXT,
    note TEXT,
    -- A JSON object.
    custom_fields TEXT,
    -- The sender's own number for the lead.
    external_id TEXT,
    -- As named in the configuration; NULL or empty: the default one, whose name is written here when the lead is leased.
    destination TEXT,
    -- Not to be worked on before this moment. Also moved by leadsync when a lead is put off.
    not_before_ms BIGINT NOT NULL DEFAULT 0,

    -- Public, readable: where the lead stands.
    --   received     in the queue, not yet normalised and looked up
    --   ready        normalised, claimed for its destination, looked up
    --   sending      the intent to create it is stored, the request may have left; under no lease: unknown, look first
    --   delivered    the destination has it; remote_id says which
    --   rejected     invalid, or refused for good; reason says why
    --   exhausted    certainly not delivered, attempts used up
    --   unconfirmed  may exist at the destination, and nothing could tell
    --   skipped      deliberately not sent: duplicate, suppressed, filtered
    state TEXT NOT NULL DEFAULT 'received' CHECK (
        state IN ('received', 'ready', 'sending', 'delivered', 'rejected', 'exhausted', 'unconfirmed', 'skipped')
    ),
    -- Why it is in this state, or waits. Never personal data.
    reason TEXT,
    -- The destination's own number for the lead.
    remote_id TEXT,
    -- Create requests that failed.
    attempts BIGINT NOT NULL DEFAULT 0,
    -- When leadsync first saw the row, last changed it, and finished it.
    created_at_ms BIGINT,
    updated_at_ms BIGINT,
    finished_at_ms BIGINT,

    -- Ours from here on.
    -- Times it was put off without failing: 429, quota, breaker, budget.
    deferrals BIGINT NOT NULL DEFAULT 0,
    -- Times the destination was asked whether it is there, without an answer, since the last create.
    probes BIGINT NOT NULL DEFAULT 0,
    -- Proof of the current lease, and when that lapses by itself. Both NULL: nobody works on it.
    lease_token BIGINT,
    lease_expires_ms BIGINT,
    -- The run that last took it in.
    run_id BIGINT,
    -- The run that imported it, and from which line of which file.
    import_run_id BIGINT,
    source_file TEXT,
    source_row BIGINT,
    -- What will be sent (JSON), once it has been ready.
    prepared TEXT,
    -- Its e-mail as normalised, for `explain`.
    normal_email TEXT,
    -- The look-up's answer: found, not found, NULL: not asked.
    enriched BOOLEAN,
    -- The call that looked it up: calls.id.
    lookup_call_id BIGINT,
    -- The identity it claims at its destination: claims.fingerprint.
    fingerprint TEXT,
    -- Skipped because this lead holds the claim, or is about to.
    duplicate_of BIGINT,
    -- When its last create request was about to leave.
    sent_at_ms BIGINT,
    -- The last step committed on it: committing the same step again changes nothing.
    last_step BIGINT
)
-- A queue churns: leave room for updates in place, and let dead rows at its front be cleared early.
WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02);

-- What is due, by destination, longest due first. Partial, so that finished leads cost nothing, and led by the
-- destination, so that one that is paused with a long queue is no burden to the others.
CREATE INDEX leads_due ON leads (COALESCE(destination, ''), not_before_ms, id)
    WHERE state IN ('received', 'ready', 'sending');

-- The same for the rows of one import, which an import works off before anything else that waits.
CREATE INDEX leads_due_imported ON leads (import_run_id, COALESCE(destination, ''), not_before_ms, id)
    WHERE state IN ('received', 'ready', 'sending') AND import_run_id IS NOT NULL;

-- `<file>.rejected.csv`.
CREATE INDEX leads_rejected_rows ON leads (import_run_id, source_file, source_row)
    WHERE state = 'rejected' AND import_run_id IS NOT NULL;

-- Who waits for whose place.
CREATE INDEX leads_duplicates ON leads (duplicate_of, id) WHERE duplicate_of IS NOT NULL;

-- `explain EMAIL`, as received and as normalised. Cut to what an index entry can
-- hold: a longer one is no address, but must not make the INSERT fail.
CREATE INDEX leads_email ON leads (lower(left(btrim(email), 320))) WHERE email IS NOT NULL;
CREATE INDEX leads_normal_email ON leads (normal_email) WHERE normal_email IS NOT NULL;

-- Where "once" is enforced: who may be sent under an identity at a destination. Held by leads that are ready, sending,
-- delivered or unconfirmed. No reference to leads: a claim on something delivered outlives the row.
CREATE TABLE claims (
    destination TEXT NOT NULL,
    -- Keyed hash of the normalised identity, hex.
    fingerprint TEXT NOT NULL,
    lead_id BIGINT NOT NULL,
    PRIMARY KEY (destination, fingerprint)
);
CREATE INDEX claims_lead ON claims (lead_id);

-- One row is one work-off of the queue or one import. Counts change in the transactions that do what they count.
CREATE TABLE runs (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- run, import, demo.
    command TEXT NOT NULL,
    started_at_ms BIGINT NOT NULL,
    -- NULL: at work, or killed.
    finished_at_ms BIGINT,
    exit_code BIGINT,
    -- Leads taken in: leased by this run for the first time, and rows rejected while loading.
    taken BIGINT NOT NULL DEFAULT 0,
    delivered BIGINT NOT NULL DEFAULT 0,
    rejected BIGINT NOT NULL DEFAULT 0,
    exhausted BIGINT NOT NULL DEFAULT 0,
    unconfirmed BIGINT NOT NULL DEFAULT 0,
    skipped BIGINT NOT NULL DEFAULT 0,
    failed_attempts BIGINT NOT NULL DEFAULT 0,
    deferrals BIGINT NOT NULL DEFAULT 0
);

-- One row is one HTTP call: no bodies, no personal data, no secrets.
CREATE TABLE calls (
    -- Made by the worker: leads refer to it before it is stored.
    id BIGINT PRIMARY KEY,
    run_id BIGINT,
    -- NULL: about many (a look-up) or none (tokens, checks).
    lead_id BIGINT,
    -- A destination's name or `enrich`.
    account TEXT NOT NULL,
    -- create, find, lookup, token, check.
    what TEXT NOT NULL,
    started_at_ms BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    -- HTTP status; NULL: no complete reply.
    status BIGINT,
    -- What we took it to mean, in words.
    verdict TEXT NOT NULL
);
CREATE INDEX calls_lead ON calls (lead_id, started_at_ms) WHERE lead_id IS NOT NULL;

-- Answers of the look-up service, so that nobody is paid for twice.
CREATE TABLE lookups (
    -- Keyed hash of what was asked, hex.
    fingerprint TEXT NOT NULL PRIMARY KEY,
    -- Found or not found (JSON).
    answer TEXT NOT NULL,
    fetched_at_ms BIGINT NOT NULL,
    -- calls.id.
    call_id BIGINT
);

-- Access tokens, sealed: shared by all workers, refreshed by one of them at a time.
CREATE TABLE tokens (
    account TEXT NOT NULL PRIMARY KEY,
    -- Counts up by one with every refresh; 0: there is no token yet, only a refresh that has begun.
    generation BIGINT NOT NULL,
    sealed BYTEA,
    expires_at_ms BIGINT,
    refreshed_at_ms BIGINT,
    -- In words: the grant is dead, a person must log in again.
    needs_login TEXT,
    -- A refresh from this generation has begun: who is at it, and until when nobody else may.
    refresh_holder BIGINT,
    refresh_until_ms BIGINT,
    -- 1: that refresh repeats one whose reply was lost.
    refresh_repeats BIGINT NOT NULL DEFAULT 0
);

-- How much of an account's daily quota is used.
CREATE TABLE quotas (
    account TEXT NOT NULL,
    -- Days since 1970-01-01, UTC.
    utc_day BIGINT NOT NULL,
    used BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (account, utc_day)
);

-- Accounts that are not called at the moment, and why.
CREATE TABLE pauses (
    account TEXT NOT NULL PRIMARY KEY,
    until_ms BIGINT NOT NULL,
    why TEXT NOT NULL
);

-- Keys of ours, sealed by the operator's encryption key.
CREATE TABLE sealed_keys (
    name TEXT NOT NULL PRIMARY KEY,
    sealed BYTEA NOT NULL
);
