//! The next key of the authority, as its nodes come to know it.

use std::sync::Arc;
use std::time::Duration;

use super::Context;
use crate::authority::rotation::{self, Forced, Step};
use crate::authority::{Issuing, Keys};
use crate::error::Result;
use crate::log;

/// Between two looks whether the last node has come.
const PAUSE: Duration = Duration::from_secs(2);

/// Takes each step when the last node has come, for as long as the service runs. What the server shows its nodes is made anew when
/// the clock has gone far, or was put right.
pub async fn run(context: Arc<Context>) {
    let Some(issuing) = context.issuing().cloned() else {
        return;
    };
    let mut trouble = None;
    loop {
        tokio::time::sleep(PAUSE).await;
        let told = look(&context, &issuing).await.err();
        let told = told.map(|error| error.chain().to_string());
        if told != trouble {
            if let Some(told) = &told {
                log::warn(format_args!("authority: {told}"));
            }
            trouble = told;
        }
    }
}

async fn look(context: &Context, issuing: &Issuing) -> Result<()> {
    let Some(ground) = context.ground() else {
        return Ok(());
    };
    let many = Keys::count(&mut ground.database.begin().await?).await?;
    if many > 1 || issuing.keys().is_rotating() {
        proceed(context, "server", None).await?;
    } else if issuing.is_of_another_time(ground.clock.now()) {
        issuing.take(Keys::clone(&issuing.keys()), ground.clock.now())?;
    }
    Ok(())
}

/// Takes the next step, if there is one to take now.
pub(crate) async fn proceed(context: &Context, actor: &str, forced: Option<Forced>) -> Result<Option<Step>> {
    let (Some(ground), Some(issuing)) = (context.ground(), context.issuing()) else {
        return Ok(None);
    };
    let now = ground.clock.now();
    let mut db = ground.database.begin().await?;
    let step = rotation::proceed(&mut db, actor, forced, now).await?;
    let keys = Keys::read(&mut db).await?;
    db.commit().await?;
    // What another step, that was not heard of, has changed is taken with it.
    issuing.take(keys, now)?;
    if let Some(step) = step {
        log::info(format_args!("authority: {step}"));
        ground.nudges.wake_all();
    }
    Ok(step)
}
