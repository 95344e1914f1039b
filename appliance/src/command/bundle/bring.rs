//! `vcc bundle bring`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::admin::{Connector, Failure, Output, Resource, Result, document, or_interrupted, printable, text};
use crate::bundle::{Bundle, Head};
use crate::command::Call;
use crate::command::push::{Delivery, Outgoing};
use crate::error::{Error, Kind};
use crate::file;
use crate::transfer::{Grant, Offer, Phase, Signed};

const PATH: &str = "/api/v1/arrivals";

/// Bring a bundle to the node that its grant names
///
/// One is logged in to the destination node, as somebody who may write to the tenant's catalogs. It is PUBLISHED, or REJECTED, and the
/// receipt says why. What breaks off goes on with the same command.
#[derive(Debug, Args)]
pub(in crate::command) struct Bring {
    /// The bundle
    bundle: PathBuf,
    /// What opens it
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// A newer grant for the same version, where that in the bundle has ended or was used
    #[arg(long, value_name = "FILE")]
    grant: Option<PathBuf>,
    /// Where the receipt goes: vcc transfer receipt shows it to the server
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// Replace a receipt that is there
    #[arg(long)]
    force: bool,
}

impl Bring {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        if let Some(path) = self.receipt.as_deref().filter(|_| !self.force) {
            file::demand_new(path).map_err(document::taken)?;
        }
        let bundle = Arc::new(super::open(&self.bundle, &self.key_file)?);
        let mut head = bundle.head().clone();
        if let Some(path) = &self.grant {
            head.grant = document::read(path)?;
        }
        let granted = head.granted()?;
        let mut connector = call.connector().await?;
        let asked = json!({ "grant": head.grant, "offer": head.offer });
        let arrival = match connector.post(PATH, &asked).await {
            // The answer was lost, perhaps: it is the same the second time.
            Err(failure) if failure.is_unheard() => connector.post(PATH, &asked).await?,
            other => other?,
        };
        let arrival = match has_ended(&arrival)? {
            true => arrival,
            false => self.bring(call, connector, &bundle, &head, &arrival).await?,
        };
        self.end(call.output, &granted, &arrival)
    }

    /// Sends the files, and gives what became of them.
    async fn bring(
        &self,
        call: &Call,
        connector: Connector,
        bundle: &Arc<Bundle>,
        head: &Head,
        arrival: &Value,
    ) -> Result<Value> {
        let place = self.bundle.display().to_string();
        let version = arrival["version"].as_str().unwrap_or_default();
        let path = Resource::VERSION.path_of_given(version)?;
        let files = head.offer.files.iter().enumerate();
        let mut files: Vec<_> = files.collect();
        // What a package is judged by comes first.
        files.sort_by_key(|(_, file)| !Offer::is_leading(file));
        let files = files
            .into_iter()
            .map(|(index, file)| Outgoing::of_bundle(bundle, &self.bundle, index, file));
        let mut delivery = Delivery::new(connector, call.output, files.collect(), &place);
        match or_interrupted(delivery.follow(&path), || super::stopped(place)).await {
            Ok(_) => {}
            // It was refused meanwhile, and is gone with that.
            Err(failure) if failure.has_status(StatusCode::NOT_FOUND) => {}
            Err(Failure::Failed(error)) if error.kind() == Kind::Mismatch => {
                return Err(super::unopened(error));
            }
            Err(failure) => return Err(failure),
        }
        let path = format!("{PATH}/{}", text(arrival, "transfer"));
        delivery.connector.get(&path).await
    }

    fn end(&self, output: Output, granted: &Grant, arrival: &Value) -> Result<()> {
        let receipt = &arrival["receipt"];
        let receipt: Option<Signed> = serde_json::from_value(receipt.clone()).ok();
        if let (Some(path), Some(receipt)) = (&self.receipt, &receipt) {
            document::keep(path, receipt, self.force)?;
        }
        output.result(arrival, || {
            let mut told = format!(
                "{}: {} {} ({})\n",
                text(arrival, "phase"),
                printable(&granted.destination.place.to_string()),
                printable(&granted.label),
                granted.transfer
            );
            let refusal = &arrival["refusal"];
            if !refusal.is_null() {
                let place = ["file", "chunk"].map(|field| match refusal[field].is_null() {
                    true => String::new(),
                    false => format!("{}: ", text(refusal, field)),
                });
                let [file, chunk] = place;
                told.push_str(&format!(
                    "{}: {file}{chunk}{}\n",
                    text(refusal, "rule"),
                    text(refusal, "reason")
                ));
            }
            if let Some(path) = self.receipt.as_ref().filter(|_| receipt.is_some()) {
                told.push_str(&format!(
                    "The receipt is in {}: vcc transfer receipt shows it to the server.\n",
                    printable(&path.display().to_string())
                ));
            }
            told
        })?;
        match phase(arrival)? {
            Phase::Published => Ok(()),
            Phase::Rejected => Err(Failure::Unpublished(format!("transfer {}", granted.transfer))),
            _ => Err(Failure::Unmoved {
                transfer: granted.transfer.to_string(),
                state: text(arrival, "phase"),
                message: String::new(),
            }),
        }
    }
}

fn phase(arrival: &Value) -> Result<Phase> {
    let phase = serde_json::from_value(arrival["phase"].clone());
    let wrong = |error| Error::new(Kind::Malformed, "the connector's answer", "has no phase").because(error);
    Ok(phase.map_err(wrong)?)
}

fn has_ended(arrival: &Value) -> Result<bool> {
    Ok(phase(arrival)?.has_ended())
}
