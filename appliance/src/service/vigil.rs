//! Looks whether the database can be used, also while nobody wants anything of it.

use std::sync::Arc;
use std::time::Duration;

use super::Context;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(30);

/// Looks for as long as the service runs.
pub(super) async fn run(context: Arc<Context>) {
    loop {
        tokio::time::sleep(PAUSE).await;
        context.look_at_database().await;
    }
}
