//! What is asked for: a version of an item, from one node to another.

use serde::{Deserialize, Serialize};
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;

use super::{Place, Window};
use crate::access::Name;
use crate::catalog::Label;
use crate::clock::Moment;
use crate::error::{Error, Kind, Result};
use crate::node::State;

/// The slowest that may be asked for, in bytes a second.
pub(super) const SLOWEST: u64 = 1 << 10;
/// Connections of one transfer where nobody said how many.
pub(super) const PARALLEL: u8 = 4;
/// The most connections of one transfer.
pub(super) const MOST_PARALLEL: u8 = 8;
/// How far ahead one can begin, in milliseconds.
const FARTHEST: i64 = 366 * 24 * 3600 * 1000;

/// By which ways the bytes may go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TransferWay)]
pub enum Way {
    /// Those there are, one after the other: direct, reversed, over other nodes.
    #[default]
    Auto,
    /// The destination reaches the source.
    Direct,
    /// The source reaches the destination.
    Reversed,
    /// Both reach another node.
    Relay,
    /// Neither reaches the other: people carry a sealed bundle.
    Carried,
}

/// What somebody wants moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTransfer {
    /// The id or the name of the node that has it.
    pub source: String,
    /// Where it is there.
    pub from: Place,
    /// Which version; the newest, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub version: Option<Label>,
    /// The id or the name of the node that is to have it.
    pub destination: String,
    /// Where it is to be there; as at the source, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Place>,
    /// Whether it is removed at the source after the destination's receipt.
    #[serde(default)]
    pub moves: bool,
    /// Bytes a second at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1024)]
    pub rate: Option<u64>,
    /// Connections at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 8)]
    pub parallel: Option<u8>,
    /// When it begins; now, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub starts: Option<Moment>,
    /// The hours of the day in which bytes move, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "22:00-06:00")]
    pub window: Option<Window>,
    /// By which ways.
    #[serde(default)]
    pub route: Way,
    /// The id or the name of the node that passes the bytes on, where `route` is `relay`; any, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<String>,
    /// Whether only to ask what would be moved.
    #[serde(default)]
    pub dry_run: bool,
}

/// One side of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TransferEnd)]
pub struct End {
    /// The node's id.
    pub node: String,
    /// Its name.
    pub name: String,
    /// Its cloud's name.
    pub cloud: String,
    /// Where on it.
    pub place: Place,
}

/// What was asked for, checked against the nodes that there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Who has it.
    pub source: End,
    /// Who is to have it.
    pub destination: End,
    /// Which version; none for the newest.
    pub version: Option<Label>,
    /// Whether it is removed at the source.
    pub moves: bool,
    /// Bytes a second at most.
    pub rate: Option<u64>,
    /// Connections at once.
    pub parallel: Option<u8>,
    /// The hours of the day.
    pub window: Option<Window>,
    /// By which ways.
    pub way: Way,
    /// Over which node: its id.
    pub relay: Option<String>,
    /// Whether only to ask.
    pub dry_run: bool,
}

/// That a field is not as it may be.
pub(super) fn wrong(field: &str, reason: impl std::fmt::Display) -> Error {
    Error::new(Kind::Malformed, field, format!("{field} {reason}"))
}

impl NewTransfer {
    /// Checks it against the nodes that there are. What belongs to a tenant's user is of `own`, its tenant's name.
    ///
    /// # Errors
    /// [`Kind::Malformed`] with what is wrong.
    pub async fn check(
        self,
        db: &mut Transaction<'_, Sqlite>,
        own: Option<&Name>,
        now: Moment,
    ) -> Result<Wish> {
        let to = self.to.unwrap_or_else(|| self.from.clone());
        let (from, to) = (of_own(self.from, own, "from")?, of_own(to, own, "to")?);
        check_pace(self.rate, self.parallel)?;
        if self
            .starts
            .is_some_and(|starts| starts.0 > now.0.saturating_add(FARTHEST))
        {
            return Err(wrong("starts", "is more than a year ahead"));
        }
        let source = Known::find(db, "source", &self.source).await?.end(from);
        let destination = Known::find(db, "destination", &self.destination).await?.end(to);
        if source.node == destination.node {
            return Err(wrong("destination", "is the source: nothing has to move"));
        }
        let relay = match (&self.relay, self.route) {
            (Some(relay), Way::Relay) => Some(Known::find(db, "relay", relay).await?.id),
            (Some(_), _) => return Err(wrong("relay", "is for the route 'relay'")),
            (None, _) => None,
        };
        if relay
            .as_ref()
            .is_some_and(|relay| [&source.node, &destination.node].contains(&relay))
        {
            return Err(wrong("relay", "is one of the two ends"));
        }
        if self.moves && self.dry_run {
            return Err(wrong("dry_run", "moves nothing"));
        }
        Ok(Wish {
            source,
            destination,
            version: self.version,
            moves: self.moves,
            rate: self.rate,
            parallel: self.parallel,
            window: self.window,
            way: self.route,
            relay,
            dry_run: self.dry_run,
        })
    }
}

pub(super) fn check_pace(rate: Option<u64>, parallel: Option<u8>) -> Result<()> {
    if rate.is_some_and(|rate| !(SLOWEST..=i64::MAX.unsigned_abs()).contains(&rate)) {
        return Err(wrong(
            "rate",
            format_args!("is at least {SLOWEST} bytes a second"),
        ));
    }
    if parallel.is_some_and(|parallel| !(1..=MOST_PARALLEL).contains(&parallel)) {
        return Err(wrong("parallel", format_args!("is 1 to {MOST_PARALLEL}")));
    }
    Ok(())
}

/// What a tenant's user names is its tenant's own, also where it names none.
pub(super) fn of_own(place: Place, own: Option<&Name>, field: &str) -> Result<Place> {
    Ok(Place {
        tenant: of_own_tenant(place.tenant.clone(), own, field)?,
        ..place
    })
}

pub(super) fn of_own_tenant(said: Option<Name>, own: Option<&Name>, field: &str) -> Result<Option<Name>> {
    match (own, said) {
        (Some(own), Some(said)) if *own != said => Err(wrong(
            field,
            "is another tenant's: a tenant's user moves what is the tenant's",
        )),
        (Some(own), _) => Ok(Some(own.clone())),
        (None, said) => Ok(said),
    }
}

/// A node that is one of the server's.
pub(super) struct Known {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) cloud: String,
}

impl Known {
    /// The one of an id, or the only one of a name.
    pub(super) async fn find(db: &mut Transaction<'_, Sqlite>, field: &str, said: &str) -> Result<Self> {
        let statement = "SELECT id, name, cloud, state FROM nodes \
                         WHERE id = $1 OR (name = $1 AND state = 'ACTIVE') ORDER BY id = $1 DESC LIMIT 2";
        let rows = sqlx::query(statement).bind(said).fetch_all(&mut **db).await?;
        let row = match rows.as_slice() {
            [] => return Err(wrong(field, "is no node of this server's")),
            [first, _] if first.get::<String, _>("id") != said => {
                return Err(wrong(field, "is the name of several nodes: name it by its id"));
            }
            [first, ..] => first,
        };
        let state: State = row.get::<String, _>("state").parse()?;
        if state != State::Active {
            return Err(wrong(field, format_args!("is a node that is {state}")));
        }
        Ok(Self {
            id: row.get("id"),
            name: row.get("name"),
            cloud: row.get("cloud"),
        })
    }

    /// A place on it.
    pub(super) fn end(self, place: Place) -> End {
        End {
            node: self.id,
            name: self.name,
            cloud: self.cloud,
            place,
        }
    }
}
