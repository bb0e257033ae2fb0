//! What accounts share. Compiled once for each database, inside its module.

use crate::store::statement::{query, query_as, query_scalar};
use async_trait::async_trait;
use serde::Serialize;

use super::{Db, Handle, commit, places, sql};
use crate::clock::Timestamp;
use crate::store::durable;
use crate::store::error::failed;
use crate::store::rows::{HandPauseRow, LookUpRow, PauseRow, RefreshRow, SealedRow, TokenRefreshRow, TokenRow};
use crate::store::{
    CachedLookUp, CallId, CallRecord, Fingerprint, HandPause, Pause, PlacesAsk, PlacesShare, REFRESHES_KEPT,
    REFRESHES_KEPT_FOR, RefreshTurn, Result, SealedAt, StoredToken, TokenRefresh, TokenStanding, Vault, bulk, refresh,
};

#[derive(Serialize)]
struct QuotaEntry<'a> {
    account: &'a str,
    utc_day: i64,
    used: i64,
}

#[derive(Serialize)]
struct LookUpEntry<'a> {
    fingerprint: &'a Fingerprint,
    answer: String,
    fetched_at_ms: Timestamp,
    call_id: Option<CallId>,
}

#[async_trait]
impl Vault for Handle {
    async fn token(&self, account: &str) -> Result<Option<StoredToken>> {
        let mut tx = self.begin_read("token").await?;
        let row: Option<TokenRow> = query_as::<Db, TokenRow>(sql::TOKEN)
            .bind(account.to_owned())
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed("token"))?;
        Ok(row.map(|row| row.read().token))
    }

    async fn tokens(&self) -> Result<Vec<TokenStanding>> {
        let mut tx = self.begin_read("tokens").await?;
        let rows: Vec<TokenRow> =
            query_as::<Db, TokenRow>(sql::TOKENS).fetch_all(&mut *tx).await.map_err(failed("tokens"))?;
        Ok(rows.into_iter().map(TokenRow::read).collect())
    }

    async fn refreshes(&self, since: Timestamp) -> Result<Vec<TokenRefresh>> {
        let mut tx = self.begin_read("refreshes").await?;
        let rows: Vec<TokenRefreshRow> = query_as::<Db, TokenRefreshRow>(sql::REFRESHES)
            .bind(since.ms())
            .fetch_all(&mut *tx)
            .await
            .map_err(failed("refreshes"))?;
        Ok(rows.into_iter().map(TokenRefresh::from).collect())
    }

    async fn begin_refresh(
        &self,
        account: &str,
        generation: i64,
        holder: i64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<RefreshTurn> {
        let err = failed("begin_refresh");
        let mut tx = self.begin("begin_refresh").await?;
        query::<Db>(sql::REFRESH_OPEN).bind(account.to_owned()).execute(&mut *tx).await.map_err(&err)?;
        let row: RefreshRow = query_as::<Db, RefreshRow>(sql::REFRESH_LOCK)
            .bind(account.to_owned())
            .fetch_one(&mut *tx)
            .await
            .map_err(&err)?;
        let turn = refresh::turn(&row, generation, holder, now);
        if let RefreshTurn::Yours { lost } = turn {
            query::<Db>(sql::REFRESH_BEGIN)
                .bind(account.to_owned())
                .bind(holder)
                .bind(until.ms())
                .bind(i64::from(lost))
                .execute(&mut *tx)
                .await
                .map_err(&err)?;
        }
        durable::commit(tx, "begin_refresh").await?;
        Ok(turn)
    }

    async fn replace_token(&self, account: &str, generation: i64, token: &StoredToken) -> Result<bool> {
        let err = failed("replace_token");
        let mut tx = self.begin("replace_token").await?;
        if generation != 0 {
            // Without a row there is nothing that could be of this generation; the statement below would make one.
            let current: Option<TokenRow> = query_as::<Db, TokenRow>(sql::TOKEN)
                .bind(account.to_owned())
                .fetch_optional(&mut *tx)
                .await
                .map_err(&err)?;
            if current.is_none() {
                return Ok(false);
            }
        }
        let done = query::<Db>(sql::REPLACE_TOKEN)
            .bind(account.to_owned())
            .bind(generation)
            .bind(token.generation)
            .bind(token.sealed.clone())
            .bind(token.expires_at.ms())
            .bind(token.refreshed_at.ms())
            .bind(token.needs_login.clone())
            .bind(token.refreshed_by.clone())
            .execute(&mut *tx)
            .await
            .map_err(&err)?;
        let won = done.rows_affected() > 0;
        if won {
            query::<Db>(sql::LOG_REFRESH)
                .bind(account.to_owned())
                .bind(token.generation)
                .bind(token.refreshed_at.ms())
                .bind(token.expires_at.ms())
                .bind(token.refreshed_by.clone())
                .execute(&mut *tx)
                .await
                .map_err(&err)?;
            query::<Db>(sql::TRIM_REFRESHES)
                .bind(account.to_owned())
                .bind(token.refreshed_at.minus(REFRESHES_KEPT_FOR).ms())
                .bind(token.generation - REFRESHES_KEPT)
                .execute(&mut *tx)
                .await
                .map_err(&err)?;
        }
        durable::commit(tx, "replace_token").await?;
        Ok(won)
    }

    async fn abandon_refresh(&self, account: &str, holder: i64, not_before: Timestamp) -> Result<()> {
        let err = failed("abandon_refresh");
        let mut tx = self.begin("abandon_refresh").await?;
        query::<Db>(sql::ABANDON_REFRESH)
            .bind(account.to_owned())
            .bind(holder)
            .bind(not_before.ms())
            .execute(&mut *tx)
            .await
            .map_err(&err)?;
        durable::commit(tx, "abandon_refresh").await
    }

    async fn mark_needs_login(&self, account: &str, generation: i64, holder: i64, why: &str) -> Result<bool> {
        let err = failed("mark_needs_login");
        let mut tx = self.begin("mark_needs_login").await?;
        let done = query::<Db>(sql::MARK_NEEDS_LOGIN)
            .bind(account.to_owned())
            .bind(generation)
            .bind(holder)
            .bind(bulk::text(why))
            .execute(&mut *tx)
            .await
            .map_err(&err)?;
        durable::commit(tx, "mark_needs_login").await?;
        Ok(done.rows_affected() > 0)
    }

    async fn sealed_key(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let mut tx = self.begin_read("sealed_key").await?;
        query_scalar::<Db, Vec<u8>>(sql::SEALED_KEY)
            .bind(name.to_owned())
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed("sealed_key"))
    }

    async fn keep_sealed_key(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let err = failed("keep_sealed_key");
        let mut tx = self.begin("keep_sealed_key").await?;
        query::<Db>(sql::KEEP_SEALED_KEY)
            .bind(name.to_owned())
            .bind(sealed.to_vec())
            .execute(&mut *tx)
            .await
            .map_err(&err)?;
        let kept = query_scalar::<Db, Vec<u8>>(sql::SEALED_KEY)
            .bind(name.to_owned())
            .fetch_one(&mut *tx)
            .await
            .map_err(&err)?;
        durable::commit(tx, "keep_sealed_key").await?;
        Ok(kept)
    }

    async fn sealed(&self) -> Result<Vec<(SealedAt, Vec<u8>)>> {
        let err = failed("sealed");
        let mut tx = self.begin_read("sealed").await?;
        let keys: Vec<SealedRow> = query_as::<Db, _>(sql::SEALED_KEYS).fetch_all(&mut *tx).await.map_err(&err)?;
        let tokens: Vec<SealedRow> = query_as::<Db, _>(sql::SEALED_TOKENS).fetch_all(&mut *tx).await.map_err(&err)?;
        let keys = keys.into_iter().map(|row| (SealedAt::Key(row.name.0), row.sealed));
        Ok(keys.chain(tokens.into_iter().map(|row| (SealedAt::Token(row.name.0), row.sealed))).collect())
    }

    async fn reseal(&self, at: &SealedAt, from: &[u8], to: &[u8]) -> Result<bool> {
        let (statement, row) = match at {
            SealedAt::Key(name) => (sql::RESEAL_KEY, name),
            SealedAt::Token(account) => (sql::RESEAL_TOKEN, account),
        };
        let mut tx = self.begin("reseal").await?;
        let done = query::<Db>(statement)
            .bind(row.clone())
            .bind(from.to_vec())
            .bind(to.to_vec())
            .execute(&mut *tx)
            .await
            .map_err(failed("reseal"))?;
        durable::commit(tx, "reseal").await?;
        Ok(done.rows_affected() > 0)
    }

    async fn quota_used(&self, account: &str, utc_day: i64) -> Result<i64> {
        let mut tx = self.begin_read("quota_used").await?;
        let used = query_scalar::<Db, i64>(sql::QUOTA_USED)
            .bind(account.to_owned())
            .bind(utc_day)
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed("quota_used"))?;
        Ok(used.unwrap_or(0))
    }

    async fn take_quota(&self, account: &str, utc_day: i64, wanted: i64, limit: Option<i64>) -> Result<i64> {
        let err = failed("take_quota");
        let key = bulk::json(&[QuotaEntry { account, utc_day, used: 0 }]);
        let mut tx = self.begin("take_quota").await?;
        query::<Db>(sql::QUOTA_OPEN).bind(key.clone()).execute(&mut *tx).await.map_err(&err)?;
        let rows: Vec<crate::store::rows::QuotaRow> =
            query_as::<Db, _>(sql::QUOTA_LOCK).bind(key).fetch_all(&mut *tx).await.map_err(&err)?;
        let used = rows.first().map_or(0, |row| row.used);
        let room = limit.map_or(i64::MAX, |limit| limit.saturating_sub(used).max(0));
        // Never below zero: what is given back was taken, unless the day's count was cleared meanwhile.
        let got = wanted.min(room).max(-used);
        let entry = bulk::json(&[QuotaEntry { account, utc_day, used: used.saturating_add(got) }]);
        query::<Db>(sql::QUOTA_SET).bind(entry).execute(&mut *tx).await.map_err(&err)?;
        durable::commit(tx, "take_quota").await?;
        Ok(got)
    }

    async fn cached(&self, keys: &[Fingerprint], fresh_after: Timestamp) -> Result<Vec<CachedLookUp>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.begin_read("cached").await?;
        let rows: Vec<LookUpRow> = query_as::<Db, LookUpRow>(sql::CACHED)
            .bind(bulk::json(keys))
            .bind(fresh_after.ms())
            .fetch_all(&mut *tx)
            .await
            .map_err(failed("cached"))?;
        Ok(rows.into_iter().filter_map(LookUpRow::read).collect())
    }

    async fn remember(&self, answers: &[CachedLookUp], calls: &[CallRecord]) -> Result<()> {
        let err = failed("remember");
        // A statement can't write one row twice; of several answers the newest counts.
        let mut newest = std::collections::BTreeMap::new();
        for answer in answers {
            let kept = newest.entry(&answer.key).or_insert(answer);
            if answer.fetched_at >= kept.fetched_at {
                *kept = answer;
            }
        }
        let entries: Vec<LookUpEntry<'_>> = newest
            .values()
            .map(|answer| LookUpEntry {
                fingerprint: &answer.key,
                answer: bulk::json(&answer.answer),
                fetched_at_ms: answer.fetched_at,
                call_id: answer.call,
            })
            .collect();
        let entries = bulk::json(&entries);
        let mut tx = self.begin("remember").await?;
        query::<Db>(sql::REMEMBER).bind(entries).execute(&mut *tx).await.map_err(&err)?;
        commit::log_calls(&mut tx, calls).await.map_err(&err)?;
        durable::commit(tx, "remember").await
    }

    async fn log_calls(&self, calls: &[CallRecord]) -> Result<()> {
        if calls.is_empty() {
            return Ok(());
        }
        let err = failed("log_calls");
        let mut tx = self.begin("log_calls").await?;
        commit::log_calls(&mut tx, calls).await.map_err(&err)?;
        durable::commit(tx, "log_calls").await
    }

    async fn pause(&self, pause: &Pause) -> Result<()> {
        let err = failed("pause");
        let mut tx = self.begin("pause").await?;
        if pause.until <= Timestamp::default() {
            query::<Db>(sql::LIFT_PAUSE).bind(pause.account.clone()).execute(&mut *tx).await.map_err(&err)?;
        } else {
            query::<Db>(sql::PAUSE)
                .bind(pause.account.clone())
                .bind(pause.until.ms())
                .bind(bulk::text(&pause.why))
                .execute(&mut *tx)
                .await
                .map_err(&err)?;
        }
        durable::commit(tx, "pause").await
    }

    async fn share_places(&self, ask: &PlacesAsk, now: Timestamp) -> Result<PlacesShare> {
        places::share(self, ask, now).await
    }

    async fn pauses(&self, now: Timestamp) -> Result<Vec<Pause>> {
        let mut tx = self.begin_read("pauses").await?;
        let rows: Vec<PauseRow> =
            query_as::<Db, PauseRow>(sql::PAUSES).bind(now.ms()).fetch_all(&mut *tx).await.map_err(failed("pauses"))?;
        Ok(rows.into_iter().map(Pause::from).collect())
    }

    async fn pause_by_hand(&self, pause: &HandPause) -> Result<()> {
        let mut tx = self.begin("pause_by_hand").await?;
        query::<Db>(sql::PAUSE_BY_HAND)
            .bind(pause.name.clone())
            .bind(pause.since.ms())
            .bind(pause.until.map(Timestamp::ms))
            .bind(pause.why.as_deref().map(bulk::text))
            .bind(bulk::text(&pause.by))
            .execute(&mut *tx)
            .await
            .map_err(failed("pause_by_hand"))?;
        durable::commit(tx, "pause_by_hand").await
    }

    async fn resume_by_hand(&self, name: &str) -> Result<bool> {
        let mut tx = self.begin("resume_by_hand").await?;
        let done = query::<Db>(sql::RESUME_BY_HAND)
            .bind(name.to_owned())
            .execute(&mut *tx)
            .await
            .map_err(failed("resume_by_hand"))?;
        durable::commit(tx, "resume_by_hand").await?;
        Ok(done.rows_affected() > 0)
    }

    async fn hand_pauses(&self, now: Timestamp) -> Result<Vec<HandPause>> {
        let mut tx = self.begin_read("hand_pauses").await?;
        let rows: Vec<HandPauseRow> = query_as::<Db, HandPauseRow>(sql::HAND_PAUSES)
            .bind(now.ms())
            .fetch_all(&mut *tx)
            .await
            .map_err(failed("hand_pauses"))?;
        Ok(rows.into_iter().map(HandPause::from).collect())
    }
}
