//! `vcc node join`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{Call, decision};
use crate::admin::{Connector, Result, details, endpoint, print, secret, text};
use crate::endpoint::Endpoint;

/// Have this node ask a server to take it in; the session is with the node
///
/// Whoever approves it at the server compares the fingerprint that is shown here.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Where the server is, as the node sees it
    #[arg(value_name = "SERVER[:PORT]", id = "to", value_parser = endpoint)]
    server: Endpoint,
    /// The name of the cloud that the node works in
    #[arg(long)]
    cloud: String,
    /// The node's name there; its host's if not given
    #[arg(long)]
    name: Option<String>,
    /// Take the server's code (vcc node code) from this file's only line ('-': standard input); asked for if not given
    #[arg(long, value_name = "FILE")]
    code_file: Option<PathBuf>,
    /// Wait so long at most until somebody has decided, 1 to 86400; the node goes on asking whether or not anybody waits here
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    wait: Option<u32>,
}

const EXAMPLES: &str = "\
Examples:
  vcc node join server.example --cloud east --code-file code
  vcc node join server.example --cloud east --code-file code --wait 600

Exit codes:
  0  the node has asked; with --wait, it is taken in
  1  refused, or nobody has decided in time
  2  wrong usage, nobody is logged in, or the server could not be reached in time";

impl Arguments {
    pub(super) async fn run(self, call: &Call, mut connector: Connector) -> Result<()> {
        let code = secret(self.code_file.as_deref(), "The server's code: ", "--code-file")?;
        let mut body = json!({ "server": self.server.to_string(), "code": code, "cloud": self.cloud });
        if let Some(name) = self.name {
            body["name"] = name.into();
        }
        let begun = connector.post(decision::PATH, &body).await?;
        let Some(seconds) = self.wait else {
            call.output.result(&begun, || details(&begun))?;
            let server = text(&begun, "server");
            call.output.remark(&format!(
                "somebody at {server} has to approve it: {}",
                decision::approval(&begun)
            ));
            call.output.remark(
                "the node goes on asking by itself: vcc status tells how it stands, and what is in the way",
            );
            return Ok(());
        };
        if !call.output.json {
            print(&details(&begun))?;
        }
        let taken = decision::wait(&mut connector, begun, Duration::from_secs(seconds.into())).await?;
        call.output.result(&taken, || {
            format!("{} has taken the node in\n", text(&taken, "server"))
        })
    }
}
