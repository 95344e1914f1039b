//! `vcc events`.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::Call;
use crate::admin::{Connector, Heard, Result, text};

/// Before a connection that broke is made anew.
const PAUSE: Duration = Duration::from_secs(2);

/// Show what changes, as it changes
///
/// Nodes, tasks and configuration, as far as this user sees them, until the connector stops. With --json, one document a line.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  vcc events --follow\n  vcc events --json --after 0 --count 10    the first ten that are remembered"
)]
pub(super) struct Arguments {
    /// Go on when the connection breaks, with what was missed
    #[arg(long)]
    follow: bool,
    /// Begin after the event of this number, as far as the connector remembers; with what comes next if not given
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// End after so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

impl Arguments {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let mut connector = call.connector().await?;
        let mut last = self.after;
        let mut left = self.count.unwrap_or(u64::MAX);
        // What can't be reached at all is told at once.
        let mut was_open = false;
        while left > 0 {
            let heard = hear(call, &mut connector, &mut last, &mut left, &mut was_open).await;
            match heard {
                Err(failure) if self.follow && was_open && failure.is_unheard() => {
                    call.output.remark(&format!("{failure}; trying again"));
                }
                Err(failure) => return Err(failure),
                Ok(()) if self.follow && left > 0 => {
                    call.output.remark("the connector stopped; trying again")
                }
                Ok(()) => return Ok(()),
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}

/// Tells of events until the connector ends them, or as many as are wanted were told.
async fn hear(
    call: &Call,
    connector: &mut Connector,
    last: &mut Option<u64>,
    left: &mut u64,
    was_open: &mut bool,
) -> Result<()> {
    let mut events = connector.events(*last).await?;
    *was_open = true;
    while *left > 0 {
        match events.next().await? {
            None => break,
            Some(Heard::Gap) => {
                call.output.line(&json!({ "kind": "gap" }), || {
                    "some events were missed: look anew at what counts".to_owned()
                })?;
                // The numbers begin anew with the connector.
                *last = None;
            }
            Some(Heard::Event(event)) => {
                *last = event["number"].as_u64().or(*last);
                *left -= 1;
                call.output.line(&event, || told(&event))?;
            }
        }
    }
    Ok(())
}

fn told(event: &Value) -> String {
    let field = |name| text(event, name);
    let mut line = format!("{}  {:13}  {}", field("at"), field("kind"), field("object"));
    for name in ["name", "state", "status", "version", "message"] {
        let value = &event["data"][name];
        if !value.is_null() && value != "" {
            line.push_str(&format!("  {name}={}", text(&event["data"], name)));
        }
    }
    line
}
