//! On the server: the newest version of each item that a node has given a receipt for. A grant names it, so that a destination
//! which has lost what it knew is not given an older one unnoticed.

use sqlx::{Row as _, Sqlite, Transaction};

use super::Place;
use crate::access::Name;
use crate::catalog::Label;
use crate::error::Result;

/// The one of an item on a node.
///
/// # Errors
/// The database fails.
pub async fn of(db: &mut Transaction<'_, Sqlite>, node: &str, place: &Place) -> Result<Option<String>> {
    let statement = "SELECT label FROM floors WHERE node = $1 AND tenant = $2 AND catalog = $3 AND item = $4";
    let row = sqlx::query(statement)
        .bind(node)
        .bind(tenant(place))
        .bind(place.catalog.as_str())
        .bind(place.item.as_str())
        .fetch_optional(&mut **db)
        .await?;
    Ok(row.map(|row| row.get("label")))
}

/// Raises it to a version, if that is newer.
///
/// # Errors
/// The database fails.
pub async fn raise(db: &mut Transaction<'_, Sqlite>, node: &str, place: &Place, label: &Label) -> Result<()> {
    let known = of(db, node, place).await?;
    let known = known.and_then(|known| Label::try_from(known).ok());
    if known.is_some_and(|known| known >= *label) {
        return Ok(());
    }
    let statement = "INSERT INTO floors (node, tenant, catalog, item, label) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT (node, tenant, catalog, item) DO UPDATE SET label = excluded.label";
    sqlx::query(statement)
        .bind(node)
        .bind(tenant(place))
        .bind(place.catalog.as_str())
        .bind(place.item.as_str())
        .bind(label.as_str())
        .execute(&mut **db)
        .await?;
    Ok(())
}

/// What is the provider's own is of no name.
fn tenant(place: &Place) -> &str {
    place.tenant.as_ref().map_or("", Name::as_str)
}
