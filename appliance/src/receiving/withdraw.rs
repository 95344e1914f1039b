//! Removing what a subscription brought, and nothing else.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{Row as _, Sqlite, Transaction};
use uuid::Uuid;

use crate::audit::{self, Deed};
use crate::catalog::{self, Intake, Label, State, Version};
use crate::error::{Error, Kind, Result};
use crate::service::{Context, Ground};
use crate::transfer::Place;

/// What is to go.
#[derive(Deserialize)]
struct Wish {
    subscription: Uuid,
    /// Of this item alone.
    place: Option<Place>,
    /// All but this version.
    keep: Option<Label>,
}

/// Removes versions that came by a subscription, of all items or of one; those that people or others brought stay.
pub(crate) async fn withdraw(context: &Arc<Context>, details: Option<&Value>) -> Result<Value> {
    let wrong = || Error::new(Kind::Malformed, "the order", "is not as it should be");
    let missing = || Error::new(Kind::StateMissing, "the catalogs", "can't be used");
    let wish: Wish =
        serde_json::from_value(details.ok_or_else(wrong)?.clone()).map_err(|error| wrong().because(error))?;
    let ground = context.ground().ok_or_else(missing)?;
    let intake = ground.intake.as_ref().ok_or_else(missing)?;
    let statement = "SELECT versions.id FROM arrivals JOIN versions ON versions.id = arrivals.version \
                     JOIN items ON items.id = versions.item JOIN catalogs ON catalogs.id = items.catalog \
                     LEFT JOIN tenants ON tenants.id = catalogs.tenant \
                     WHERE arrivals.subscription = $1 AND ($2 IS NULL OR \
                     (COALESCE(tenants.name, '') = $3 AND catalogs.name = $2 AND items.name = $4)) AND ($5 IS NULL OR versions.label <> $5)";
    let place = wish.place.as_ref();
    let mut db = ground.database.begin().await?;
    let rows = sqlx::query(statement)
        .bind(wish.subscription.to_string())
        .bind(place.map(|place| place.catalog.as_str()))
        .bind(
            place
                .and_then(|place| Some(place.tenant.as_ref()?.as_str()))
                .unwrap_or_default(),
        )
        .bind(place.map(|place| place.item.as_str()).unwrap_or_default())
        .bind(wish.keep.as_ref().map(Label::as_str))
        .fetch_all(&mut *db)
        .await?;
    drop(db);
    let mut removed = 0;
    for row in rows {
        let mut db = ground.database.begin().await?;
        let found = Version::of_id(&mut db, row.get("id")).await?;
        let Some((version, tenant)) = found.filter(|(version, _)| version.state == State::Published) else {
            continue;
        };
        take_away(ground, intake, db, &version, tenant.as_deref()).await?;
        removed += 1;
    }
    Ok(json!({ "removed": removed }))
}

/// Removes a version that came from elsewhere.
pub(super) async fn take_away(
    ground: &Ground,
    intake: &Intake,
    mut db: Transaction<'_, Sqlite>,
    version: &Version,
    tenant: Option<&str>,
) -> Result<()> {
    version.delete(&mut db, version.revision).await?;
    let deed = Deed {
        actor: "transfer",
        tenant,
        action: "version.withdraw",
        object: &version.id,
        outcome: "done",
    };
    audit::record(&mut db, deed, ground.clock.now()).await?;
    db.commit().await?;
    catalog::remove(ground, intake, version, tenant).await;
    Ok(())
}
