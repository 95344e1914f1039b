//! What comes from another node, as this one has it in its tables: one row for each transfer, from the grant to the receipt.

use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};
use uuid::Uuid;

use super::fault::Fault;
use crate::audit::{self, Deed};
use crate::catalog::{Label, Version};
use crate::clock::Moment;
use crate::database;
use crate::digest::Digest;
use crate::enrolment;
use crate::error::{Error, Kind, Result};
use crate::service::Ground;
use crate::transfer::{Grant, Outcome, Phase, Purpose, Receipt, Refusal, Signed};

/// How long after its grant's end what became of one is kept.
const KEPT: i64 = 30 * 24 * 3600 * 1000;

/// A transfer, at its destination.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The transfer's id.
    pub id: Uuid,
    /// Whose it is to be here: the tenant's id, or the provider's own.
    pub tenant: Option<String>,
    /// By what it comes.
    pub grant: Grant,
    /// SHA-256 of that.
    pub used: Digest,
    /// The version's id here, once it was announced.
    pub version: Option<String>,
    /// How far it is.
    pub phase: Phase,
    /// What was signed in the end.
    pub receipt: Option<Signed>,
    /// Bytes that came over the network.
    pub wire: u64,
    /// Bytes that the tenant had.
    pub reused: u64,
    /// The newest version that the server remembers.
    pub floor: Option<Label>,
}

const COLUMNS: &str = "id, tenant, number, grant_text, version, state, outcome, wire, reused";

impl Arrival {
    fn read(row: &SqliteRow) -> Result<Self> {
        let corrupt = || {
            Error::new(
                Kind::StateCorrupt,
                "the database",
                "has a transfer that can't be read",
            )
        };
        let (id, text, state): (&str, &str, &str) = (row.get("id"), row.get("grant_text"), row.get("state"));
        let signed: Signed = serde_json::from_str(text).map_err(|error| corrupt().because(error))?;
        let grant: Grant = signed.read(Purpose::Grant)?;
        let receipt = row.get::<Option<&str>, _>("outcome").map(serde_json::from_str);
        let counted = |name: &str| u64::try_from(row.get::<i64, _>(name)).unwrap_or_default();
        Ok(Self {
            id: id.parse().map_err(|error| corrupt().because(error))?,
            tenant: row.get("tenant"),
            used: signed.digest(Purpose::Grant)?,
            version: row.get("version"),
            phase: Phase::named(state).ok_or_else(corrupt)?,
            receipt: receipt.transpose().map_err(|error| corrupt().because(error))?,
            wire: counted("wire"),
            reused: counted("reused"),
            floor: grant.floor.clone().and_then(|floor| floor.try_into().ok()),
            grant,
        })
    }

    /// The one of a transfer.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(db: &mut Transaction<'_, Sqlite>, transfer: Uuid) -> Result<Option<Self>> {
        let statement = format!("SELECT {COLUMNS} FROM arrivals WHERE id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(transfer.to_string())
            .fetch_optional(&mut **db)
            .await?;
        row.as_ref().map(Self::read).transpose()
    }

    /// The one by which a version came, or comes.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of_version(db: &mut Transaction<'_, Sqlite>, version: &str) -> Result<Option<Self>> {
        let statement =
            format!("SELECT {COLUMNS} FROM arrivals WHERE version = $1 ORDER BY changed DESC LIMIT 1");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(version)
            .fetch_optional(&mut **db)
            .await?;
        row.as_ref().map(Self::read).transpose()
    }

    /// Takes a grant, which is used up by that; goes on with the transfer where it was begun by this grant. Another grant for it,
    /// which the server signed after that, has it tried again: what is there is kept, but for what was refused.
    ///
    /// # Errors
    /// [`Kind::Taken`] for a grant that was used; the database fails.
    pub async fn begin(
        db: &mut Transaction<'_, Sqlite>,
        signed: &Signed,
        grant: &Grant,
        tenant: Option<String>,
        now: Moment,
    ) -> Result<Self> {
        let used = signed.digest(Purpose::Grant)?;
        let known = Self::find(db, grant.transfer).await?;
        if let Some(known) = &known {
            if known.used == used {
                return Ok(known.clone());
            }
            let is_next = known.grant.number < grant.number
                && known.tenant == tenant
                && known.grant.destination == grant.destination
                && known.phase != Phase::Published;
            if !is_next {
                return Err(Error::new(
                    Kind::Taken,
                    "the grant",
                    "is another for a transfer that has one",
                ));
            }
        }
        let text = serde_json::to_string(signed)
            .map_err(|error| Error::new(Kind::Malformed, "the grant", "cannot be kept").because(error))?;
        let statement = "INSERT INTO arrivals (id, tenant, number, grant_text, subscription, state, wire, reused, expires, created, changed) \
                         VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, $8, $8) \
                         ON CONFLICT (id) DO UPDATE SET number = excluded.number, grant_text = excluded.grant_text, \
                         expires = excluded.expires, changed = excluded.changed, outcome = NULL, \
                         version = CASE arrivals.state WHEN 'REJECTED' THEN NULL ELSE arrivals.version END, \
                         state = CASE arrivals.state WHEN 'REJECTED' THEN 'GRANTED' ELSE arrivals.state END";
        sqlx::query(statement)
            .bind(grant.transfer.to_string())
            .bind(&tenant)
            .bind(grant.number)
            .bind(text)
            .bind(grant.subscription.map(|id| id.to_string()))
            .bind(Phase::Granted.as_str())
            .bind(grant.expires.0)
            .bind(now.0)
            .execute(&mut **db)
            .await?;
        let old = "DELETE FROM arrivals WHERE state IN ('PUBLISHED', 'REJECTED') AND expires < $1 AND subscription IS NULL";
        sqlx::query(old)
            .bind(now.0.saturating_sub(KEPT))
            .execute(&mut **db)
            .await?;
        let begun = Self::find(db, grant.transfer).await?;
        begun.ok_or_else(|| Error::new(Kind::Database, "the transfer", "was not kept"))
    }

    /// Notes the version that it makes here.
    ///
    /// # Errors
    /// The database fails.
    pub async fn announce(&mut self, db: &mut Transaction<'_, Sqlite>, version: &Version) -> Result<()> {
        sqlx::query("UPDATE arrivals SET version = $1, state = $2 WHERE id = $3")
            .bind(&version.id)
            .bind(Phase::Receiving.as_str())
            .bind(self.id.to_string())
            .execute(&mut **db)
            .await?;
        (self.version, self.phase) = (Some(version.id.clone()), Phase::Receiving);
        Ok(())
    }

    /// Notes how far it is; never back.
    ///
    /// # Errors
    /// The database fails.
    pub async fn proceed(&self, ground: &Ground, phase: Phase) -> Result<()> {
        let mut db = ground.database.begin().await?;
        sqlx::query(
            "UPDATE arrivals SET state = $1 WHERE id = $2 AND state NOT IN ('PUBLISHED', 'REJECTED')",
        )
        .bind(phase.as_str())
        .bind(self.id.to_string())
        .execute(&mut *db)
        .await?;
        Ok(db.commit().await?)
    }

    /// Counts bytes.
    ///
    /// # Errors
    /// The database fails.
    pub async fn count(&self, ground: &Ground, wire: u64, reused: u64) -> Result<()> {
        let mut db = ground.database.begin().await?;
        sqlx::query("UPDATE arrivals SET wire = $1, reused = $2 WHERE id = $3")
            .bind(i64::try_from(wire).unwrap_or(i64::MAX))
            .bind(i64::try_from(reused).unwrap_or(i64::MAX))
            .bind(self.id.to_string())
            .execute(&mut *db)
            .await?;
        Ok(db.commit().await?)
    }

    /// Signs and keeps what was decided by a verdict, in the transaction that makes it so.
    ///
    /// # Errors
    /// The database fails, or there is no randomness.
    pub async fn decided(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        verdict: &Value,
        policy: Digest,
        now: Moment,
    ) -> Result<Self> {
        let refusal = match verdict["accepted"].as_bool() {
            Some(true) => None,
            _ => Some(refusal_of(verdict)),
        };
        let outcome = match refusal {
            None => Outcome::Published,
            Some(_) => Outcome::Rejected,
        };
        let receipt = Receipt {
            transfer: self.id,
            grant: self.used,
            node: self.grant.destination.node,
            outcome,
            place: self.grant.destination.place.clone(),
            label: self.grant.label.clone(),
            digest: self.grant.digest,
            release: verdict["release"].as_str().map(str::to_owned),
            signer: verdict["signer"]["subject"].as_str().map(str::to_owned),
            policy,
            refusal,
            at: now,
        };
        let phase = match outcome {
            Outcome::Published => Phase::Published,
            Outcome::Rejected => Phase::Rejected,
        };
        let signed = enrolment::vouch(db, Purpose::Receipt, &receipt).await?;
        let text = signed.as_ref().map(serde_json::to_string).transpose();
        let text = text
            .map_err(|error| Error::new(Kind::Malformed, "the receipt", "cannot be kept").because(error))?;
        sqlx::query("UPDATE arrivals SET state = $1, outcome = $2, changed = $3 WHERE id = $4")
            .bind(phase.as_str())
            .bind(text)
            .bind(now.0)
            .bind(self.id.to_string())
            .execute(&mut **db)
            .await?;
        // The digest chains the receipt to all that was done before it.
        let digest = signed
            .as_ref()
            .map(|signed| signed.digest(Purpose::Receipt))
            .transpose()?;
        let outcome = match (&receipt.refusal, digest) {
            (None, Some(digest)) => format!("published; receipt {digest}"),
            (None, None) => "published".to_owned(),
            (Some(refusal), Some(digest)) => format!("refused: {}; receipt {digest}", refusal.rule),
            (Some(refusal), None) => format!("refused: {}", refusal.rule),
        };
        let deed = Deed {
            actor: "transfer",
            tenant: self.tenant.as_deref(),
            action: "transfer.receive",
            object: &self.id.to_string(),
            outcome: &outcome,
        };
        audit::record(db, deed, now).await?;
        Ok(Self {
            phase,
            receipt: signed,
            ..self.clone()
        })
    }

    /// What was wrong, as the receipt says it.
    pub fn refusal(&self) -> Option<Refusal> {
        let receipt: Receipt = self.receipt.as_ref()?.read(Purpose::Receipt).ok()?;
        receipt.refusal
    }
}

/// Which grants are too old for this state, as a moment.
const SINCE: &str = "grants-since";

/// Takes no grants from now on that were signed before: this state doesn't know what became of them.
///
/// # Errors
/// The database fails.
pub(crate) async fn refuse_grants_before(db: &mut Transaction<'_, Sqlite>, now: Moment) -> Result<()> {
    database::set(db, SINCE, &now.0.to_string()).await
}

/// Sees that a grant was signed after the node's state was restored.
pub(super) async fn is_of_this_state(db: &mut Transaction<'_, Sqlite>, grant: &Grant) -> Result<(), Fault> {
    let since = database::setting(db, SINCE).await?;
    let since = since.and_then(|text| text.parse().ok()).map(Moment);
    match since.filter(|since| grant.issued < *since) {
        Some(since) => {
            let reason = format!(
                "the grant was signed before the node's state was restored, on {since}: order it again"
            );
            Err(Refusal::new("grant.before-restore", reason).into())
        }
        None => Ok(()),
    }
}

/// The first of a verdict's failures.
pub(super) fn refusal_of(verdict: &Value) -> Refusal {
    let checks = verdict["checks"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let failed = checks.iter().find(|check| check["outcome"] == "failed");
    let text = |name: &str| failed.and_then(|check| check[name].as_str());
    let refusal = Refusal::new(
        text("code").unwrap_or("catalog.not-judged"),
        text("reason").unwrap_or("nothing is told"),
    );
    Refusal {
        file: text("member").map(str::to_owned),
        chunk: failed.and_then(|check| check["chunk"].as_u64()),
        ..refusal
    }
}
