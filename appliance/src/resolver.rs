//! Names to addresses without the C library: a stub that asks the name servers that the machine was given (RFC 1034 section
//! 5.3.1).
//!
//! The program is static, and glibc's `getaddrinfo` wants the shared libraries of the glibc that it was built with. What is
//! left out is what the connector needs none of: search lists, a cache, DNSSEC, records other than addresses.
//!
//! | module | holds |
//! |---|---|
//! | `message` | a question and its answer as bytes, and the attacks that end there |
//! | `exchange` | the question over UDP, and over TCP where the answer is longer |
//! | `servers` | who is asked, and what `/etc/hosts` says |

mod exchange;
mod message;
mod servers;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use crate::endpoint::DomainName;
use crate::error::{Error, Kind, Result};
use crate::machine::Machine;
use message::{Family, Message};
use servers::Servers;

const HOSTS: &str = "/etc/hosts";
const CONFIGURATION: &str = "/etc/resolv.conf";

/// Asks the name servers that there are when it asks: a new lease counts with the next name.
#[derive(Debug, Clone)]
pub struct Resolver(Source);

/// Where the name servers are written down.
#[derive(Debug, Clone)]
enum Source {
    /// In PID 1's report.
    Machine(PathBuf),
    /// In the files of an ordinary system.
    Files { hosts: PathBuf, configuration: PathBuf },
    #[cfg(test)]
    Given(Servers),
}

impl Default for Resolver {
    /// That of an ordinary system.
    fn default() -> Self {
        Self::of_files(Path::new(HOSTS), Path::new(CONFIGURATION))
    }
}

impl Resolver {
    /// That of an appliance, by PID 1's report.
    pub fn of_machine(report: PathBuf) -> Self {
        Self(Source::Machine(report))
    }

    /// One that goes by a hosts(5) and a resolv.conf(5).
    pub fn of_files(hosts: &Path, configuration: &Path) -> Self {
        Self(Source::Files {
            hosts: hosts.to_owned(),
            configuration: configuration.to_owned(),
        })
    }

    /// The addresses of a name, at least one: at most 16 of each family, in the servers' order.
    ///
    /// # Errors
    /// [`Kind::Unknown`] for a name that isn't there or has no address; [`Kind::Unreachable`] where no name server tells, or
    /// none is known.
    pub async fn addresses(&self, name: &DomainName) -> Result<Vec<IpAddr>> {
        if is_local(name) {
            return Ok(vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]);
        }
        let servers = match &self.0 {
            Source::Machine(report) => Servers::of(&Machine::read(report)?),
            Source::Files { hosts, configuration } => {
                let known = servers::in_hosts(hosts, name);
                if !known.is_empty() {
                    return Ok(known);
                }
                Servers::read(configuration)
            }
            #[cfg(test)]
            Source::Given(servers) => servers.clone(),
        };
        ask(&servers, name).await
    }
}

/// RFC 6761 section 6.3: such a name is this machine, whatever a server says.
fn is_local(name: &DomainName) -> bool {
    name.as_str() == "localhost" || name.as_str().ends_with(".localhost")
}

/// Both families at once. One that fails is made up for by addresses of the other.
async fn ask(servers: &Servers, name: &DomainName) -> Result<Vec<IpAddr>> {
    let (v6, v4) = tokio::join!(
        ask_for(servers, name, Family::V6),
        ask_for(servers, name, Family::V4)
    );
    let failed = |reason| Error::new(Kind::Unknown, name.to_string(), reason);
    match (v6, v4) {
        (Ok(None), _) | (_, Ok(None)) => Err(failed("there is no such name")),
        (Ok(Some(v6)), Ok(Some(v4))) if v6.is_empty() && v4.is_empty() => {
            Err(failed("the name has no address"))
        }
        (Ok(Some(v6)), Ok(Some(v4))) => Ok([v6, v4].concat()),
        (Ok(Some(found)), Err(error)) | (Err(error), Ok(Some(found))) => match found.is_empty() {
            true => Err(error),
            false => Ok(found),
        },
        (Err(error), Err(_)) => Err(error),
    }
}

/// The addresses of one family; none if there is no such name. Every server is asked in turn, and all of them again, until one
/// knows.
async fn ask_for(servers: &Servers, name: &DomainName, family: Family) -> Result<Option<Vec<IpAddr>>> {
    let failed = |reason: &str| Error::new(Kind::Unreachable, name.to_string(), reason);
    let mut last = failed("no name server is known");
    for _ in 0..servers.attempts {
        for &server in &servers.addresses {
            match exchange::ask(server, name, family, servers.patience).await {
                Ok(Message::Addresses(addresses)) => return Ok(Some(addresses)),
                Ok(Message::NoSuchName) => return Ok(None),
                Ok(Message::Failure(code)) => {
                    last = failed(&format!("name server {server} answers with code {code}"));
                }
                Ok(Message::Stray | Message::Truncated) => {
                    last = failed(&format!("name server {server} gives no whole answer"));
                }
                Err(error) => last = failed(&format!("name server {server} is of no help")).because(error),
            }
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests;
