//! Whose turn it is to refresh a token.

use super::RefreshTurn;
use super::rows::RefreshRow;
use crate::clock::Timestamp;

/// The answer to `holder`, who found the token at `generation`.
pub(super) fn turn(row: &RefreshRow, generation: i64, holder: i64, now: Timestamp) -> RefreshTurn {
    if row.generation != generation {
        return RefreshTurn::Superseded;
    }
    if let Some(why) = &row.needs_login {
        return RefreshTurn::NeedsLogin { why: why.0.clone() };
    }
    let lost = u32::try_from(row.refresh_repeats).unwrap_or(u32::MAX);
    match (row.refresh_holder, row.refresh_until_ms.map(Timestamp::from_ms)) {
        // Asked again, since the answer was lost or to hold it for longer: the same turn, not a repeat.
        (Some(at_it), Some(_)) if at_it == holder => RefreshTurn::Yours { lost },
        (_, Some(until)) if until > now => RefreshTurn::Busy { until },
        // Whoever had the turn never told how it ended.
        (Some(_), _) => RefreshTurn::Yours { lost: lost.saturating_add(1) },
        (None, _) => RefreshTurn::Yours { lost },
    }
}
