//! On the server: looks after transfers for as long as the service runs.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Sqlite, Transaction};

use super::Dispatch;
use crate::error::Result;
use crate::log;
use crate::service::Context;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// Looks between two at which old ones are forgotten.
const FORGETS: u32 = 300;
/// Ended transfers that are kept.
const KEPT: i64 = 10_000;

/// Looks after transfers.
pub async fn tend(context: Arc<Context>) {
    let mut trouble = None;
    let mut round = 0_u32;
    loop {
        tokio::time::sleep(PAUSE).await;
        let told = look(&context, round.is_multiple_of(FORGETS)).await.err();
        round = round.wrapping_add(1);
        let told = told.map(|error| error.chain().to_string());
        if told != trouble {
            if let Some(told) = &told {
                log::warn(format_args!("transfers: {told}"));
            }
            trouble = told;
        }
    }
}

/// Looks once, and forgets old ones if that is asked for.
///
/// # Errors
/// The database fails.
pub async fn look(context: &Context, forgets: bool) -> Result<()> {
    let (Some(ground), Some(issuing)) = (context.ground(), context.issuing()) else {
        return Ok(());
    };
    let keys = issuing.keys();
    let mut dispatch = Dispatch::new(&keys, ground.news());
    let mut db = ground.database.begin().await?;
    dispatch.look(&mut db).await?;
    if forgets {
        forget(&mut db, KEPT).await?;
    }
    db.commit().await?;
    dispatch.tell(ground);
    Ok(())
}

/// Forgets the ended ones but for the newest.
async fn forget(db: &mut Transaction<'_, Sqlite>, kept: i64) -> Result<()> {
    let statement = "DELETE FROM transfers WHERE ended IS NOT NULL AND NOT (moves = 1 AND released IS NULL AND state = 'PUBLISHED') \
                     AND id NOT IN (SELECT id FROM transfers WHERE ended IS NOT NULL ORDER BY created DESC, id DESC LIMIT $1)";
    sqlx::query(statement).bind(kept).execute(&mut **db).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::Row as _;

    use super::*;
    use crate::database::Database;

    #[tokio::test]
    async fn the_newest_that_have_ended_are_kept_and_all_that_have_not() {
        let database = Database::in_memory().await.unwrap();
        let mut db = database.begin().await.unwrap();
        let statement = "INSERT INTO nodes (id, name, cloud, state, code, key, request, poll, requested, version, counter, nonce, \
                         revision) VALUES ($1, '', '', 'ACTIVE', '', '', '', '', 0, '', 0, '', 1)";
        for id in ["one", "other"] {
            sqlx::query(statement).bind(id).execute(&mut *db).await.unwrap();
        }
        let statement = "INSERT INTO transfers (id, source, destination, wish, moves, state, cancel, tried, done, total, message, \
                         actor, created, starts, ended, revision) \
                         VALUES ($1, 'one', 'other', '', $2, $3, 0, '[]', 0, 0, '', '', $4, 0, $5, 1)";
        let rows = [
            ("a", 0, "GRANTED", 1, None),
            ("b", 0, "PUBLISHED", 2, Some(9)),
            ("c", 1, "PUBLISHED", 3, Some(9)),
            ("d", 0, "FAILED", 4, Some(9)),
            ("e", 0, "REJECTED", 5, Some(9)),
        ];
        for (id, moves, state, created, ended) in rows {
            sqlx::query(statement)
                .bind(id)
                .bind(moves)
                .bind(state)
                .bind(created)
                .bind(ended)
                .execute(&mut *db)
                .await
                .unwrap();
        }
        forget(&mut db, 1).await.unwrap();
        let left = sqlx::query("SELECT id FROM transfers ORDER BY id")
            .fetch_all(&mut *db)
            .await
            .unwrap();
        let left: Vec<String> = left.iter().map(|row| row.get("id")).collect();
        // The third is yet to be removed at its source.
        assert_eq!(left, ["a", "c", "e"]);
    }
}
