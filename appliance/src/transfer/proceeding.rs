//! What comes next for a transfer: the question to its source, the grant and the way, the release; and looking after those that wait.

use std::time::Duration;

use serde_json::json;
use sqlx::{Row as _, Sqlite, Transaction};
use uuid::Uuid;

use super::dispatch::{Dispatch, ROOM};
use super::life::{Event, State};
use super::wish::PARALLEL;
use super::{Grant, Outreach, Party, Purpose, Route, Row, Signed, choice, floors};
use crate::database::{set, setting};
use crate::error::{Error, Kind as Fault, Result};
use crate::task::Kind;

/// How long a grant is good.
const GOOD: Duration = Duration::from_hours(7 * 24);
/// Counts the grants.
const GRANTS: &str = "grants";

impl Dispatch<'_> {
    /// Orders what comes next, as far as its node has room for it; otherwise it waits, and is looked at again.
    pub(super) async fn go_on(&mut self, db: &mut Transaction<'_, Sqlite>, row: &mut Row) -> Result<()> {
        match row.state {
            State::Requested if row.task.is_none() => self.ask_source(db, row).await,
            State::Granted | State::Receiving | State::Verified | State::Imported if row.task.is_none() => {
                self.set_out(db, row).await
            }
            State::Published if row.waits_for_release() && row.task.is_none() => self.release(db, row).await,
            _ => Ok(()),
        }
    }

    async fn ask_source(&mut self, db: &mut Transaction<'_, Sqlite>, row: &mut Row) -> Result<()> {
        let source = &row.wish.source;
        let mut details = json!({ "transfer": row.id, "place": source.place });
        if let (Some(version), Some(details)) = (&row.wish.version, details.as_object_mut()) {
            details.insert("version".to_owned(), json!(version));
        }
        let node = source.node.clone();
        row.task = self.task(db, &node, Kind::Offer, &details, &row.actor).await?;
        Ok(())
    }

    /// Takes the next way there is.
    async fn set_out(&mut self, db: &mut Transaction<'_, Sqlite>, row: &mut Row) -> Result<()> {
        let route = match row.route.take() {
            Some(route) => Some(route),
            None => choice::choose(db, row, self.news).await?,
        };
        let (source, destination) = (row.wish.source.node.clone(), row.wish.destination.node.clone());
        let Some(route) = route else {
            let why = match row.tried.is_empty() {
                true => "no way is known: no node that could be reached has told where",
                false => "none of the ways has worked",
            };
            let message = format!(
                "{why} (from {} to {})",
                row.wish.source.name, row.wish.destination.name
            );
            return self.fail(db, row, message).await;
        };
        let reach = match &route {
            Route::Direct { .. } | Route::Carried {} => None,
            Route::Reversed {} => choice::endpoint(db, &destination)
                .await?
                .map(|endpoint| Outreach::Reversed { endpoint }),
            Route::Relay { node, endpoint } => Some(Outreach::Relay {
                node: *node,
                endpoint: endpoint.clone(),
            }),
        };
        let grant = self.grant(db, row, &route).await?;
        row.route = Some(route.clone());
        let parallel = row.wish.parallel.unwrap_or(PARALLEL);
        // Both, or none yet.
        if !self.has_room(db, &destination).await? || (reach.is_some() && !self.has_room(db, &source).await?)
        {
            return Ok(());
        }
        let mut details = json!({ "grant": grant, "route": route, "parallel": parallel });
        if let Some(details) = details.as_object_mut() {
            details.extend(row.wish.rate.map(|rate| ("rate".to_owned(), json!(rate))));
            details.extend(row.wish.window.map(|window| ("window".to_owned(), json!(window))));
        }
        if let Some(reach) = reach {
            let details = json!({ "grant": grant, "route": reach, "streams": parallel });
            row.reach = self.task(db, &source, Kind::Reach, &details, &row.actor).await?;
        }
        row.task = self
            .task(db, &destination, Kind::Receive, &details, &row.actor)
            .await?;
        Ok(())
    }

    /// The grant for a way: the one there is, unless another node is to pass the bytes on.
    async fn grant(&self, db: &mut Transaction<'_, Sqlite>, row: &mut Row, route: &Route) -> Result<Signed> {
        let relay = match route {
            Route::Relay { node, .. } => Some(*node),
            Route::Direct { .. } | Route::Reversed {} | Route::Carried {} => None,
        };
        if let Some(signed) = &row.grant {
            let grant: Grant = signed.read(Purpose::Grant)?;
            if relay.is_none() || grant.relay == relay {
                return Ok(signed.clone());
            }
        }
        let broken = |what: &str| Error::new(Fault::StateCorrupt, "transfers", format!("{what} is damaged"));
        let id = |text: &str| text.parse::<Uuid>().map_err(|_| broken("an id"));
        let found = row.found.clone().ok_or_else(|| broken("an offer"))?;
        let (now, destination) = (self.news.now, &row.wish.destination);
        let last = setting(db, GRANTS).await?.and_then(|number| number.parse().ok());
        let number = last.unwrap_or(0_i64).saturating_add(1);
        set(db, GRANTS, &number.to_string()).await?;
        let party = |end: &super::End| {
            let node = id(&end.node)?;
            let (cloud, place) = (end.cloud.clone(), end.place.clone());
            Ok::<_, Error>(Party { node, cloud, place })
        };
        let grant = Grant {
            transfer: id(&row.id)?,
            number,
            source: party(&row.wish.source)?,
            destination: party(destination)?,
            version: found.version,
            label: found.label.to_string(),
            kind: found.kind,
            digest: found.digest,
            bytes: found.bytes,
            floor: floors::of(db, &destination.node, &destination.place).await?,
            relay,
            moves: row.wish.moves,
            subscription: row.subscription.as_deref().map(id).transpose()?,
            issued: now,
            expires: now.after(GOOD),
        };
        let authority = &self.keys.current;
        let signed = Signed::new(Purpose::Grant, &grant, authority.certificate(), |bytes| {
            authority.sign(bytes)
        })?;
        row.number = Some(number);
        row.grant = Some(signed.clone());
        Ok(signed)
    }

    async fn release(&mut self, db: &mut Transaction<'_, Sqlite>, row: &mut Row) -> Result<()> {
        let details = json!({ "grant": row.grant, "receipt": row.receipt });
        let source = row.wish.source.node.clone();
        row.task = self
            .task(db, &source, Kind::Release, &details, &row.actor)
            .await?;
        Ok(())
    }
}

impl Dispatch<'_> {
    /// Looks after those that wait for a time, for room, or for a node that is gone.
    ///
    /// # Errors
    /// The database fails.
    pub async fn look(&mut self, db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        let gone = "SELECT transfers.id, nodes.name FROM nodes JOIN transfers ON nodes.id IN (source, destination) \
                    WHERE nodes.state = 'REVOKED' AND (transfers.ended IS NULL OR (moves = 1 AND released IS NULL \
                    AND transfers.state = 'PUBLISHED' AND nodes.id = source)) LIMIT 100";
        for one in sqlx::query(gone).fetch_all(&mut **db).await? {
            let (id, name): (String, String) = (one.get("id"), one.get("name"));
            let Some(mut row) = Row::of_id(db, &id).await? else {
                continue;
            };
            let message = format!("{name} is no longer one of the server's nodes");
            if row.waits_for_release() {
                self.leave(db, &mut row).await?;
                row.message = message;
                self.has_released(db, &mut row, false).await?;
            } else {
                self.fail(db, &mut row, message).await?;
            }
            self.keep(db, row).await?;
        }
        // Nodes that have no room are left out, so that nobody waits behind those who wait for them.
        let waiting = "WITH busy AS (SELECT node FROM tasks WHERE ended IS NULL GROUP BY node HAVING COUNT(*) >= $2) \
                       SELECT id, starts FROM transfers WHERE ended IS NULL AND starts <= $1 AND task IS NULL \
                       AND source NOT IN (SELECT node FROM busy) AND destination NOT IN (SELECT node FROM busy) \
                       UNION ALL SELECT id, starts FROM transfers WHERE moves = 1 AND released IS NULL AND state = 'PUBLISHED' \
                       AND task IS NULL AND source NOT IN (SELECT node FROM busy) ORDER BY starts LIMIT 100";
        let rows = sqlx::query(waiting)
            .bind(self.news.now.0)
            .bind(ROOM)
            .fetch_all(&mut **db)
            .await?;
        for one in rows {
            let id: String = one.get("id");
            let Some(before) = Row::of_id(db, &id).await? else {
                continue;
            };
            let mut row = before.clone();
            self.step(&mut row, Event::Due);
            self.go_on(db, &mut row).await?;
            if row != before {
                self.keep(db, row).await?;
            }
        }
        self.look_at_subscriptions(db).await
    }
}
