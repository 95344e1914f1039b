//! Which way the bytes go next: each there is is tried once.

use sqlx::{Row as _, Sqlite, Transaction};

use super::{Route, Row, Way};
use crate::endpoint::Endpoint;
use crate::error::Result;
use crate::node::{Freshness, News, Node};

/// Other nodes that are tried for one transfer: where so many can't help, no other will.
const MOST_RELAYS: usize = 8;

/// The next way for a transfer, if there is one.
pub(super) async fn choose(
    db: &mut Transaction<'_, Sqlite>,
    row: &Row,
    news: News<'_>,
) -> Result<Option<Route>> {
    let is = |ways: &[Way]| ways.contains(&row.wish.way);
    if is(&[Way::Carried]) {
        return Ok(row.tried.is_empty().then_some(Route::Carried {}));
    }
    if is(&[Way::Auto, Way::Direct])
        && !row
            .tried
            .iter()
            .any(|tried| matches!(tried.route, Route::Direct { .. }))
        && let Some(endpoint) = endpoint(db, &row.wish.source.node).await?
    {
        return Ok(Some(Route::Direct { endpoint }));
    }
    if is(&[Way::Auto, Way::Reversed])
        && !row.tried.iter().any(|tried| tried.route == Route::Reversed {})
        && endpoint(db, &row.wish.destination.node).await?.is_some()
    {
        return Ok(Some(Route::Reversed {}));
    }
    match is(&[Way::Auto, Way::Relay]) {
        true => relay(db, row, news).await,
        false => Ok(None),
    }
}

/// Where a node is reached, if that is known.
pub(super) async fn endpoint(db: &mut Transaction<'_, Sqlite>, node: &str) -> Result<Option<Endpoint>> {
    let row = sqlx::query("SELECT endpoint FROM nodes WHERE id = $1")
        .bind(node)
        .fetch_optional(&mut **db)
        .await?;
    Ok(row.and_then(|row| row.get::<String, _>("endpoint").parse().ok()))
}

async fn relay(db: &mut Transaction<'_, Sqlite>, row: &Row, news: News<'_>) -> Result<Option<Route>> {
    let tried = |id: &str| {
        row.tried
            .iter()
            .any(|tried| matches!(tried.route, Route::Relay { node, .. } if node.to_string() == id))
    };
    let relays = row
        .tried
        .iter()
        .filter(|tried| matches!(tried.route, Route::Relay { .. }));
    if relays.count() >= MOST_RELAYS {
        return Ok(None);
    }
    let statement = "SELECT id, endpoint FROM nodes WHERE state = 'ACTIVE' AND endpoint <> '' AND id NOT IN ($1, $2) \
                     AND ($3 IS NULL OR id = $3) ORDER BY name, id";
    let others = sqlx::query(statement)
        .bind(&row.wish.source.node)
        .bind(&row.wish.destination.node)
        .bind(&row.wish.relay)
        .fetch_all(&mut **db)
        .await?;
    for other in others {
        let (id, endpoint): (String, String) = (other.get("id"), other.get("endpoint"));
        let (Ok(node), Ok(endpoint), false) = (id.parse(), endpoint.parse(), tried(&id)) else {
            continue;
        };
        let known = Node::find(db, &id, news).await?;
        let is_live = known.is_some_and(|known| known.status == Freshness::Live);
        // One that was asked for by name may have been silent for a moment.
        if is_live || row.wish.relay.is_some() {
            return Ok(Some(Route::Relay { node, endpoint }));
        }
    }
    Ok(None)
}
