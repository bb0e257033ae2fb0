//! Whose turn it is to refresh a token.

use super::RefreshTurn;
use super::rows::RefreshRow;
use crate::clock::Timestamp;

/// The answer to `holder`, who found the token at `generation`.
pub(super) fn turn(row: &RefreshRow, generation: i64, holder: i64, now: Timestamp) -> RefreshTurn {
    if row.generation != generation {
        return RefreshTurn::Superseded;
    }
    match (row.refresh_holder, row.refresh_until_ms.map(Timestamp::from_ms)) {
        // Asked twice, since the first answer was lost: the same turn, not a repeat.
        (Some(at_it), Some(_)) if at_it == holder => RefreshTurn::Yours { repeated: row.refresh_repeats != 0 },
        (Some(_), Some(until)) if until > now => RefreshTurn::Busy { until },
        (Some(_), _) => RefreshTurn::Yours { repeated: true },
        (None, _) => RefreshTurn::Yours { repeated: false },
    }
}
