//! The statements: static text in `sql/`, where adjacent names make drift visible. `x.sqlite.sql` stands beside
//! `x.postgres.sql`; a plain `x.sql` serves both.

/// Defines a constant for each statement, for the database named.
macro_rules! statements {
    ($db:literal) => {
        $crate::store::sql::statements! { $db;
            own: {
                BY_EMAIL = "by_email",
                CACHED = "cached",
                CHANGE = "change",
                CLAIM = "claim",
                CLAIM_HOLDERS = "claim_holders",
                CLAIMED = "claimed",
                CLAIMS_OF = "claims_of",
                DUPLICATES = "duplicates",
                ENQUEUE = "enqueue",
                HELD = "held",
                LEADS = "leads",
                LEADS_BY_ID = "leads_by_id",
                LEASE = "lease",
                LOCK = "lock",
                LOG_CALLS = "log_calls",
                MATCHING = "matching",
                MATCHING_BY_ID = "matching_by_id",
                PICK = "pick",
                PICK_DOUBTFUL = "pick_doubtful",
                PICK_IMPORTED = "pick_imported",
                PLACES_LOCK = "places_lock",
                QUOTA_LOCK = "quota_lock",
                QUOTA_OPEN = "quota_open",
                QUOTA_SET = "quota_set",
                RECLAIM = "reclaim",
                REFRESH_LOCK = "refresh_lock",
                REINSTATED_BY = "reinstated_by",
                REMEMBER = "remember",
                RENEW = "renew",
                REPOINT = "repoint",
                STANDING = "standing",
                UNCLAIM = "unclaim",
                WAITING = "waiting",
                WAITING_IMPORTED = "waiting_imported",
            }
            shared: {
                ABANDON_REFRESH = "abandon_refresh",
                AUDIT = "audit",
                BEGIN_RUN = "begin_run",
                BEGIN_TURN = "begin_turn",
                CALLS_OF = "calls_of",
                COUNT_RUN = "count_run",
                FINISH_RUN = "finish_run",
                HAND_PAUSES = "hand_pauses",
                HOLDS_ROW = "holds_row",
                IN_THE_WAY = "in_the_way",
                KEEP_SEALED_KEY = "keep_sealed_key",
                LIFT_PAUSE = "lift_pause",
                LOG_REFRESH = "log_refresh",
                MARK_NEEDS_LOGIN = "mark_needs_login",
                PAUSE = "pause",
                PAUSE_BY_HAND = "pause_by_hand",
                PAUSED = "paused",
                PAUSES = "pauses",
                PLACES_OPEN = "places_open",
                PLACES_SET = "places_set",
                QUOTA_USED = "quota_used",
                REFRESH_BEGIN = "refresh_begin",
                REFRESH_OPEN = "refresh_open",
                REFRESHES = "refreshes",
                REJECTED_ROWS = "rejected_rows",
                RENEW_TURN = "renew_turn",
                REPLACE_TOKEN = "replace_token",
                RESEAL_KEY = "reseal_key",
                RESEAL_TOKEN = "reseal_token",
                RESUME_BY_HAND = "resume_by_hand",
                RUN = "run",
                RUNS = "runs",
                SCHEMA_VERSION = "schema_version",
                SEALED_KEY = "sealed_key",
                SEALED_KEYS = "sealed_keys",
                SEALED_TOKENS = "sealed_tokens",
                STATE_COUNTS = "state_counts",
                TOKEN = "token",
                TOKENS = "tokens",
                TRIM_REFRESHES = "trim_refreshes",
            }
        }
    };
    ($db:literal; own: { $($own:ident = $own_file:literal,)* } shared: { $($shared:ident = $shared_file:literal,)* }) => {
        $(pub(super) const $own: &str = include_str!(concat!("../sql/", $own_file, ".", $db, ".sql"));)*
        $(pub(super) const $shared: &str = include_str!(concat!("../sql/", $shared_file, ".sql"));)*
    };
}

pub(super) use statements;
