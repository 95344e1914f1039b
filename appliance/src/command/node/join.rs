//! `vcc node join`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Call;
use crate::admin::{Connector, Result, details, endpoint, secret};
use crate::endpoint::Endpoint;

/// Have this node ask a server to take it in; the session is with the node
///
/// Whoever approves it at the server compares the fingerprint that is shown here.
#[derive(Debug, Args)]
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
}

impl Arguments {
    pub(super) async fn run(self, call: &Call, mut connector: Connector) -> Result<()> {
        let code = secret(self.code_file.as_deref(), "The server's code: ", "--code-file")?;
        let mut body = json!({ "server": self.server.to_string(), "code": code, "cloud": self.cloud });
        if let Some(name) = self.name {
            body["name"] = name.into();
        }
        let begun = connector.post("/api/v1/enrolment", &body).await?;
        call.output.result(&begun, || details(&begun))?;
        call.output
            .remark("it waits to be approved at the server: vcc node approve");
        Ok(())
    }
}
