//! `vcc up`: a server and two nodes, each in a cloud of its own, in one process and one directory, on the loopback interface.
//!
//! Everything is as it is between machines: three services with identities and databases of their own, which meet over TLS; the
//! nodes are enrolled by code and approval. Only who sets them up is not a person. A start that was cut off is gone on with by
//! the next.

mod folder;
mod member;
mod told;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::error::{Error, Kind, Result};
use crate::role::Role;
use crate::service;
use folder::Folder;
use member::Member;
pub use told::Told;

/// The first administrator of each.
const ADMINISTRATOR: &str = "admin";
/// The nodes, and their clouds.
const NODES: [&str; 2] = ["north", "south"];
const SERVER: &str = "server";
/// The longest wait for a node to be heard of.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is to run, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory for all three.
    pub state: PathBuf,
    /// Where they serve.
    pub address: IpAddr,
    /// The server's port at the first start; those of the nodes follow. Without one, 8443, or any that is free. The
    /// directory remembers them.
    pub port: Option<u16>,
}

/// Runs them until SIGTERM or SIGINT; `tell` is called once, when all of it works.
///
/// # Errors
/// [`Kind::Listen`] for a port that is in use, [`Kind::StateLocked`], [`Kind::Refused`] where the directory holds connectors that
/// were set up otherwise, and what a service can fail with.
pub fn run(options: &Options, tell: impl FnOnce(&Told)) -> Result<()> {
    service::runtime()?.block_on(async {
        let folder = Folder::open(&options.state)?;
        let password = folder.password()?;
        let (server, nodes) = start(options, &folder).await?;
        let begin = async {
            server.take_charge(&password).await?;
            for node in &nodes {
                node.take_charge(&password).await?;
                enrol(&server, node).await?;
            }
            let mut ids = Vec::new();
            for node in &nodes {
                ids.push(wait_until_live(&server, node).await?);
            }
            Told::of(&folder, &server, nodes.iter().zip(ids))
        };
        let stopped = tokio::select! {
            told = begin => {
                tell(&told?);
                service::told_to_stop().await.map(drop)
            }
            stopped = service::told_to_stop() => stopped.map(drop),
        };
        for node in nodes {
            node.stop().await;
        }
        server.stop().await;
        stopped
    })
}

async fn start(options: &Options, folder: &Folder) -> Result<(Member, Vec<Member>)> {
    let kept = folder.ports()?;
    if let (Some(kept), Some(wanted)) = (kept.first(), options.port)
        && *kept != wanted
    {
        let reason =
            format!("its server has port {kept}, which its nodes know; --port is for the first start");
        return Err(Error::new(
            Kind::Listen,
            folder.path().display().to_string(),
            reason,
        ));
    }
    let first = options.port.unwrap_or(8443);
    let listen = |index: u16| match kept.get(usize::from(index)) {
        Some(port) => Ok((*port, false)),
        None => first
            .checked_add(index)
            // Where nobody asked for a port, any does.
            .map(|port| (port, options.port.is_none()))
            .ok_or_else(|| Error::new(Kind::Listen, format!("port {first}"), "leaves none for the nodes")),
    };
    let mut members = Vec::new();
    let parts = [(SERVER, Role::Server)]
        .into_iter()
        .chain(NODES.map(|name| (name, Role::Node)));
    for (index, (name, role)) in (0..).zip(parts) {
        let (port, or_any) = listen(index)?;
        let at = SocketAddr::new(options.address, port);
        let member = match Member::start(folder, name, role, at).await {
            Err(error) if error.kind() == Kind::Listen && or_any => {
                Member::start(folder, name, role, SocketAddr::new(options.address, 0)).await
            }
            started => started,
        };
        members.push(member?);
    }
    folder.keep_ports(members.iter().map(|member| member.address().port()))?;
    let nodes = members.split_off(1);
    let server = members
        .pop()
        .ok_or_else(|| Error::new(Kind::Io, SERVER, "is missing"))?;
    Ok((server, nodes))
}

/// Has the server take the node in, unless it did.
async fn enrol(server: &Member, node: &Member) -> Result<()> {
    let known = node.find("/api/v1/enrolment").await?;
    let known = match known {
        Some(known) if known["state"] == "PENDING" || known["state"] == "ACTIVE" => known,
        // Suspended, revoked or new.
        _ => {
            let code = server
                .ask(Method::POST, "/api/v1/enrolment-codes", &json!({ "minutes": 10 }))
                .await?;
            let wish = json!({
                "server": server.address().to_string(), "code": code["code"], "name": node.name(), "cloud": node.name(),
            });
            node.ask(Method::POST, "/api/v1/enrolment", &wish).await?
        }
    };
    let path = format!("/api/v1/nodes/{}", known["node"].as_str().unwrap_or_default());
    match server.find(&path).await? {
        Some(pending) if pending["state"] == "PENDING" => {
            let approval = json!({ "fingerprint": known["fingerprint"] });
            server
                .ask(Method::POST, &format!("{path}/approve"), &approval)
                .await?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The node's id, as soon as the server has heard of it.
async fn wait_until_live(server: &Member, node: &Member) -> Result<String> {
    let start = Instant::now();
    loop {
        let own = node.find("/api/v1/enrolment").await?.unwrap_or_default();
        let id = own["node"].as_str().unwrap_or_default();
        let known = server.find(&format!("/api/v1/nodes/{id}")).await?;
        let known = known.unwrap_or_default();
        if known["status"] == "LIVE" && known["state"] == "ACTIVE" {
            return Ok(id.to_owned());
        }
        if start.elapsed() > PATIENCE {
            let told = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
            let reason = format!(
                "is not LIVE after {} s: it is {} and {} ({})",
                PATIENCE.as_secs(),
                told(&own["state"]),
                told(&known["status"]),
                told(&own["trouble"]),
            );
            return Err(Error::new(
                Kind::Unreachable,
                format!("node {}", node.name()),
                reason,
            ));
        }
        sleep(Duration::from_millis(50)).await;
    }
}
