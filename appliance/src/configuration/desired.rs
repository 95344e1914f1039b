//! On a server: what is wanted of nodes, in versions, and how far they have come.

use std::fmt;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;

use super::{Difference, Push, Report, Settings};
use crate::access::{Name, Principal};
use crate::clock::Moment;
use crate::digest::{hex, sha256};
use crate::error::{Error, Kind, Result};
use crate::node::Node;

/// Whose configuration: `all`, `cloud:NAME`, `node:ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every node's.
    All,
    /// That of a cloud's nodes.
    Cloud(String),
    /// One node's.
    Node(String),
}

impl Scope {
    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "all" => Some(Self::All),
            Some(("cloud", name)) => Some(Self::Cloud(name.to_owned())),
            Some(("node", id)) => Some(Self::Node(id.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Cloud(name) => write!(f, "cloud:{name}"),
            Self::Node(id) => write!(f, "node:{id}"),
        }
    }
}

/// Who wants something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Actor {
    /// A person.
    User,
    /// A program, with a token.
    Automation,
    /// A program, which names the rule that it followed.
    Rule,
}

impl Actor {
    fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Automation => "automation",
            Self::Rule => "rule",
        }
    }
}

/// A version of what is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Configuration {
    /// Whose: `all`, `cloud:NAME`, `node:ID`.
    pub scope: String,
    /// Its number, from 1; its ETag. 0 where nothing was ever wanted.
    pub version: i64,
    /// What is wanted.
    pub settings: Settings,
    /// What sort of actor wanted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Actor>,
    /// The user's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The rule that a program followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Moment>,
}

/// What is wanted from now on.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConfiguration {
    /// All of it: what is left out is wanted no more.
    pub settings: Settings,
    /// The rule that a program follows with it.
    pub rule: Option<Name>,
}

/// How far a node has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Convergence {
    /// It is as it is wanted.
    InSync,
    /// It has not been told yet, or has not answered.
    Pending,
    /// It followed, and was changed by others since.
    Drifted,
    /// It can't follow.
    Refused,
}

/// What is wanted of a node, and what is so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ConfigurationStatus)]
pub struct Status {
    /// How far it has come.
    pub state: Convergence,
    /// What holds for it, of all scopes.
    pub desired: Settings,
    /// What it told last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported: Option<Settings>,
    /// Why it can't follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What differs.
    pub differences: Vec<Difference>,
}

const COLUMNS: &str = "scope, version, settings, kind, actor, rule, at";

impl Configuration {
    fn read(row: &SqliteRow) -> Result<Self> {
        let kind: String = row.get("kind");
        let kinds = [Actor::User, Actor::Automation, Actor::Rule];
        Ok(Self {
            scope: row.get("scope"),
            version: row.get("version"),
            settings: parse(row.get("settings"))?,
            kind: kinds.into_iter().find(|known| known.as_str() == kind),
            actor: row.get("actor"),
            rule: row.get("rule"),
            at: Some(Moment(row.get("at"))),
        })
    }

    /// The newest of a scope.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of(db: &mut Transaction<'_, Sqlite>, scope: &Scope) -> Result<Self> {
        let newest = Self::history(db, scope, i64::MAX, 1).await?;
        Ok(newest.into_iter().next().unwrap_or_else(|| Self {
            scope: scope.to_string(),
            version: 0,
            settings: Settings::default(),
            kind: None,
            actor: None,
            rule: None,
            at: None,
        }))
    }

    /// The newest of each scope but those of nodes that were sent away, by scope, after `after`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(db: &mut Transaction<'_, Sqlite>, after: &str, most: u32) -> Result<Vec<Self>> {
        let statement = format!(
            "SELECT {COLUMNS} FROM configurations AS own WHERE scope > $1 \
             AND version = (SELECT MAX(version) FROM configurations WHERE scope = own.scope) \
             AND NOT EXISTS (SELECT 1 FROM nodes WHERE own.scope LIKE 'node:%' AND id = SUBSTR(own.scope, 6) \
             AND state = 'REVOKED') ORDER BY scope LIMIT $2"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(after)
            .bind(i64::from(most))
            .fetch_all(&mut **db)
            .await?;
        rows.iter().map(Self::read).collect()
    }

    /// The versions of a scope, the newest first, before `before`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn history(
        db: &mut Transaction<'_, Sqlite>,
        scope: &Scope,
        before: i64,
        most: u32,
    ) -> Result<Vec<Self>> {
        let statement = format!(
            "SELECT {COLUMNS} FROM configurations WHERE scope = $1 AND version < $2 ORDER BY version DESC LIMIT $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(scope.to_string())
            .bind(before)
            .bind(i64::from(most))
            .fetch_all(&mut **db)
            .await?;
        rows.iter().map(Self::read).collect()
    }

    /// Wants something else, if `version` is still the newest.
    ///
    /// # Errors
    /// [`Kind::Changed`], [`Kind::Malformed`].
    pub async fn want(
        db: &mut Transaction<'_, Sqlite>,
        scope: &Scope,
        version: i64,
        new: NewConfiguration,
        actor: &Principal,
        now: Moment,
    ) -> Result<Self> {
        if Self::of(db, scope).await?.version != version {
            return Err(Error::new(
                Kind::Changed,
                scope.to_string(),
                "has changed since it was read",
            ));
        }
        let malformed = |reason| Error::new(Kind::Malformed, scope.to_string(), reason);
        new.settings.check().map_err(malformed)?;
        let kind = match (actor.is_session, &new.rule) {
            (true, None) => Actor::User,
            (false, None) => Actor::Automation,
            (false, Some(_)) => Actor::Rule,
            (true, Some(_)) => {
                return Err(malformed(
                    "only a program, with a token, follows a rule".to_owned(),
                ));
            }
        };
        let wanted = Self {
            scope: scope.to_string(),
            version: version + 1,
            settings: new.settings,
            kind: Some(kind),
            actor: Some(actor.name.clone()),
            rule: new.rule.map(|rule| rule.to_string()),
            at: Some(now),
        };
        let statement = format!("INSERT INTO configurations ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)");
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(&wanted.scope)
            .bind(wanted.version)
            .bind(wanted.settings.json().to_string())
            .bind(kind.as_str())
            .bind(&wanted.actor)
            .bind(&wanted.rule)
            .bind(now.0)
            .execute(&mut **db)
            .await?;
        Ok(wanted)
    }
}

fn parse(text: String) -> Result<Settings> {
    serde_json::from_str(&text)
        .map_err(|error| Error::new(Kind::StateCorrupt, "configurations", "is damaged").because(error))
}

/// All that holds for a node.
async fn effective(db: &mut Transaction<'_, Sqlite>, node: &Node) -> Result<Settings> {
    let mut settings = Settings::default();
    for scope in [
        Scope::Node(node.id.clone()),
        Scope::Cloud(node.cloud.clone()),
        Scope::All,
    ] {
        settings = settings.or(Configuration::of(db, &scope).await?.settings);
    }
    Ok(settings)
}

/// What a node was told to follow how often, and what it told.
struct Told {
    applied: i64,
    report: Option<Report>,
}

async fn told(db: &mut Transaction<'_, Sqlite>, node: &str) -> Result<Told> {
    let row = sqlx::query("SELECT applied, report FROM reports WHERE node = $1")
        .bind(node)
        .fetch_optional(&mut **db)
        .await?;
    let Some(row) = row else {
        return Ok(Told {
            applied: 0,
            report: None,
        });
    };
    let text: Option<String> = row.get("report");
    let report = text.map(|text| serde_json::from_str(&text)).transpose();
    Ok(Told {
        applied: row.get("applied"),
        report: report
            .map_err(|error| Error::new(Kind::StateCorrupt, "reports", "is damaged").because(error))?,
    })
}

/// Names what a node is to follow: another one for other settings, and for the same that it is told to follow anew.
fn push_id(settings: &Settings, applied: i64) -> String {
    let text = format!("{} {applied}", settings.digest());
    hex(&sha256(text.as_bytes()))
}

/// Notes what a node tells; whether it is news.
///
/// # Errors
/// The database fails.
pub async fn note(db: &mut Transaction<'_, Sqlite>, node: &str, report: &Report) -> Result<bool> {
    if told(db, node).await?.report.as_ref() == Some(report) {
        return Ok(false);
    }
    let text = serde_json::to_string(report)
        .map_err(|error| Error::new(Kind::Malformed, "reports", "cannot be kept").because(error))?;
    let statement = "INSERT INTO reports (node, applied, report) VALUES ($1, 0, $2) \
                     ON CONFLICT (node) DO UPDATE SET report = excluded.report";
    sqlx::query(statement)
        .bind(node)
        .bind(text)
        .execute(&mut **db)
        .await?;
    Ok(true)
}

/// What a node is to be given, unless it followed it already.
///
/// # Errors
/// The database fails.
pub async fn push(
    db: &mut Transaction<'_, Sqlite>,
    node: &Node,
    followed: Option<&str>,
) -> Result<Option<Push>> {
    let settings = effective(db, node).await?;
    let applied = told(db, &node.id).await?.applied;
    // A node of which nothing was ever wanted keeps what it has.
    if applied == 0 && followed.is_none() && settings == Settings::default() {
        return Ok(None);
    }
    let id = push_id(&settings, applied);
    Ok((followed != Some(id.as_str())).then(|| Push {
        settings: settings.json(),
        id,
    }))
}

/// Has a node follow anew, over what others changed there.
///
/// # Errors
/// The database fails.
pub async fn apply(db: &mut Transaction<'_, Sqlite>, node: &str) -> Result<()> {
    let statement = "INSERT INTO reports (node, applied, report) VALUES ($1, 1, NULL) \
                     ON CONFLICT (node) DO UPDATE SET applied = reports.applied + 1";
    sqlx::query(statement).bind(node).execute(&mut **db).await?;
    Ok(())
}

/// Gives one node what was wanted of another.
///
/// # Errors
/// The database fails.
pub async fn inherit(db: &mut Transaction<'_, Sqlite>, from: &str, to: &str) -> Result<()> {
    sqlx::query("UPDATE configurations SET scope = $1 WHERE scope = $2")
        .bind(Scope::Node(to.to_owned()).to_string())
        .bind(Scope::Node(from.to_owned()).to_string())
        .execute(&mut **db)
        .await?;
    Ok(())
}

impl Status {
    /// Of a node.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of(db: &mut Transaction<'_, Sqlite>, node: &Node) -> Result<Self> {
        let desired = effective(db, node).await?;
        let Told { applied, report } = told(db, &node.id).await?;
        let nothing = applied == 0 && desired == Settings::default();
        let wanted = push_id(&desired, applied);
        let (state, reason) = match &report {
            None if nothing => (Convergence::InSync, None),
            Some(report) if nothing && report.push.is_none() => (Convergence::InSync, None),
            Some(report) if report.push.as_ref() == Some(&wanted) => match &report.refused {
                Some(reason) => (Convergence::Refused, Some(reason.clone())),
                None if report.settings == desired => (Convergence::InSync, None),
                None => (Convergence::Drifted, None),
            },
            _ => (Convergence::Pending, None),
        };
        let reported = report.map(|report| report.settings);
        let differences = match (&reported, state) {
            (_, Convergence::InSync) | (None, _) => Vec::new(),
            (Some(reported), _) => desired.differences(reported),
        };
        Ok(Self {
            state,
            desired,
            reported,
            reason,
            differences,
        })
    }
}
