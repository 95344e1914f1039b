//! The audit log on its way to a syslog server: entries wait in the database until they are sent, however long that takes, and
//! signed checkpoints go after them, so that whoever holds the connector can't rewrite what has been told.

use std::time::Duration;

use tokio::time::Instant;

use super::message;
use crate::audit::{self, Checkpoint};
use crate::database;
use crate::error::Result;
use crate::hostname::Hostname;
use crate::service::{Context, Ground};

/// The setting that has the number of the entry that was sent last.
const POSITION: &str = "syslog-audit";
/// Between two checkpoints of a connection.
const CHECKPOINT: Duration = Duration::from_secs(3600);

/// What was sent of the log.
pub(super) struct Trail<'a> {
    context: &'a Context,
    ground: &'a Ground,
    /// The entry that was sent last; unknown until the database was asked.
    sent: Option<i64>,
    /// What the database has of that.
    kept: Option<i64>,
    /// The entry that the last checkpoint was of.
    signed: i64,
    /// When another entry gets one.
    sign_at: Instant,
}

/// A message that is to be sent.
pub(super) struct Next {
    /// The entry that it is about.
    number: i64,
    is_checkpoint: bool,
    pub(super) bytes: Vec<u8>,
}

impl<'a> Trail<'a> {
    /// None where there is no log.
    pub(super) fn of(context: &'a Context) -> Option<Self> {
        let ground = context.ground()?;
        Some(Self {
            context,
            ground,
            sent: None,
            kept: None,
            signed: 0,
            sign_at: Instant::now(),
        })
    }

    /// There is a new connection, perhaps to another server.
    pub(super) fn opened(&mut self) {
        self.sign_at = Instant::now();
    }

    /// Messages that are to be sent now; none once all are.
    ///
    /// # Errors
    /// The database fails.
    pub(super) async fn next(&mut self, hostname: &Hostname) -> Result<Vec<Next>> {
        let mut db = self.ground.database.begin().await?;
        let sent = match self.sent {
            Some(sent) => sent,
            None => {
                let kept = database::setting(&mut db, POSITION).await?;
                self.kept = kept.and_then(|number| number.parse().ok());
                match self.kept {
                    Some(kept) => kept,
                    // What was before anybody wanted it forwarded is in the log itself.
                    None => audit::last(&mut db).await?.0,
                }
            }
        };
        self.sent = Some(sent);
        let entries = audit::list_after(&mut db, sent).await?;
        if !entries.is_empty() {
            let next = entries.iter().map(|entry| Next {
                number: entry.number,
                is_checkpoint: false,
                bytes: message::entry(entry, hostname),
            });
            return Ok(next.collect());
        }
        if self.kept != Some(sent) {
            database::set(&mut db, POSITION, &sent.to_string()).await?;
        }
        let checkpoint = match self.signed != sent && Instant::now() >= self.sign_at {
            true => {
                let (identity, now) = (self.context.identity(), self.ground.clock.now());
                Some(Checkpoint::of(&mut db, identity, now).await?)
            }
            false => None,
        };
        if self.kept != Some(sent) {
            db.commit().await?;
            self.kept = Some(sent);
        }
        let next = checkpoint.map(|checkpoint| Next {
            number: checkpoint.number,
            is_checkpoint: true,
            bytes: message::checkpoint(&checkpoint, hostname),
        });
        Ok(next.into_iter().collect())
    }

    /// One was sent.
    pub(super) fn sent(&mut self, next: &Next) {
        match next.is_checkpoint {
            true => (self.signed, self.sign_at) = (next.number, Instant::now() + CHECKPOINT),
            false => self.sent = Some(next.number),
        }
    }
}
