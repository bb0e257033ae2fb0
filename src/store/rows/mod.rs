//! Rows as both drivers hand them over, and what we make of them.
//!
//! Any program may write to `leads`, so reading is forgiving: text that is no UTF-8, numbers out of range and JSON that
//! can't be read never make a whole batch fail.

mod leads;
mod ledger;
mod vault;

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::sqlite::{SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, FromRow, Postgres, Sqlite, Type};

use super::{Result, StoreError};
use crate::clock::Timestamp;
use crate::lead::LeadState;

pub(super) use leads::*;
pub(super) use ledger::*;
pub(super) use vault::*;

/// Text of whatever bytes; what is no UTF-8 is replaced.
#[derive(Debug)]
pub(super) struct Text(pub(super) String);

impl Type<Sqlite> for Text {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }

    fn compatible(ty: &SqliteTypeInfo) -> bool {
        <String as Type<Sqlite>>::compatible(ty)
    }
}

impl<'r> Decode<'r, Sqlite> for Text {
    fn decode(value: SqliteValueRef<'r>) -> std::result::Result<Self, BoxDynError> {
        let bytes = <&[u8] as Decode<Sqlite>>::decode(value)?;
        Ok(Self(String::from_utf8_lossy(bytes).into_owned()))
    }
}

impl Type<Postgres> for Text {
    fn type_info() -> PgTypeInfo {
        <String as Type<Postgres>>::type_info()
    }

    fn compatible(ty: &PgTypeInfo) -> bool {
        <String as Type<Postgres>>::compatible(ty)
    }
}

impl<'r> Decode<'r, Postgres> for Text {
    fn decode(value: PgValueRef<'r>) -> std::result::Result<Self, BoxDynError> {
        Ok(Self(String::from_utf8_lossy(value.as_bytes()?).into_owned()))
    }
}

fn opt(text: Option<Text>) -> Option<String> {
    text.map(|text| text.0)
}

fn state(text: &Text) -> Result<LeadState> {
    text.0.parse().map_err(|_| StoreError::Unreadable { what: "the state of a lead".to_owned() })
}

fn destination(text: Option<Text>) -> Option<String> {
    opt(text).filter(|name| !name.is_empty())
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

/// What stands in the schema that we were pointed at.
#[derive(FromRow)]
pub(super) struct StandingRow {
    /// There is something called `leads`.
    pub(super) leads: bool,
    /// There is our table of migrations.
    pub(super) ours: bool,
}
