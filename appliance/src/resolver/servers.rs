//! Who is asked: PID 1's name servers in an appliance, elsewhere what resolv.conf(5) and hosts(5) say, as musl reads them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use crate::endpoint::DomainName;
use crate::file;
use crate::machine::Machine;

const PORT: u16 = 53;
const LIMIT: usize = 1 << 20;
/// More are not asked: by then whoever waits for the name has given up.
const MOST: usize = 3;
const TIMEOUT: u64 = 5;
const ATTEMPTS: u32 = 2;
const LONGEST_TIMEOUT: u64 = 60;
const MOST_ATTEMPTS: u32 = 10;

/// Name servers, and how long to wait for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Servers {
    /// At most three, in order of preference.
    pub(super) addresses: Vec<SocketAddr>,
    /// How often each is asked.
    pub(super) attempts: u32,
    /// How long each may take each time.
    pub(super) patience: Duration,
}

impl Servers {
    /// Those of an appliance.
    pub(super) fn of(machine: &Machine) -> Self {
        Self::new(machine.name_servers.iter().copied(), TIMEOUT, ATTEMPTS)
    }

    /// Those of a resolv.conf; this machine itself where there is none.
    pub(super) fn read(configuration: &Path) -> Self {
        let bytes = file::read(configuration, LIMIT).unwrap_or_default();
        Self::parse(&String::from_utf8_lossy(&bytes))
    }

    fn new(addresses: impl Iterator<Item = IpAddr>, timeout: u64, attempts: u32) -> Self {
        let addresses = addresses.take(MOST);
        Self {
            addresses: addresses.map(|address| (address, PORT).into()).collect(),
            attempts,
            // As musl has it, the time-out is that of all attempts together.
            patience: Duration::from_secs(timeout) / attempts.max(1),
        }
    }

    /// What is not understood is passed over: the file is the system's, and others read more of it.
    fn parse(text: &str) -> Self {
        let (mut addresses, mut timeout, mut attempts) = (Vec::new(), TIMEOUT, ATTEMPTS);
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    addresses.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()));
                }
                Some("options") => {
                    for (name, value) in words.filter_map(|word| word.split_once(':')) {
                        match name {
                            "timeout" => timeout = value.parse().unwrap_or(timeout),
                            "attempts" => attempts = value.parse().unwrap_or(attempts),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        if addresses.is_empty() {
            addresses.push(Ipv4Addr::LOCALHOST.into());
        }
        Self::new(
            addresses.into_iter(),
            timeout.clamp(1, LONGEST_TIMEOUT),
            attempts.clamp(1, MOST_ATTEMPTS),
        )
    }
}

/// The addresses that a hosts file gives a name.
pub(super) fn in_hosts(hosts: &Path, name: &DomainName) -> Vec<IpAddr> {
    let bytes = file::read(hosts, LIMIT).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let addresses = lines.filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        words
            .any(|word| word.eq_ignore_ascii_case(name.as_str()))
            .then_some(address)
    });
    addresses.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_name_servers_and_the_two_options_are_taken() {
        let text = "# none\nnameserver 192.0.2.1\nsearch example.com\nnameserver fe80::1%eth0\n\
                    nameserver 2001:db8::1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n\
                    options ndots:5 timeout:4 attempts:4 rotate\n";
        let servers = Servers::parse(text);
        let addresses: Vec<_> = servers.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.2:53"]);
        assert_eq!((servers.attempts, servers.patience), (4, Duration::from_secs(1)));
    }

    #[test]
    fn an_empty_file_stands_for_this_machine_and_options_have_limits() {
        assert_eq!(
            Servers::parse("options timeout:9999 attempts:0"),
            Servers {
                addresses: vec!["127.0.0.1:53".parse().unwrap()],
                attempts: 1,
                patience: Duration::from_secs(60),
            }
        );
    }

    #[test]
    fn hosts_are_found_by_every_name_whatever_its_case() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "192.0.2.1 one.example One\nbroken one\n2001:db8::1 one #two\n192.0.2.2 two\n";
        std::fs::write(file.path(), text).unwrap();
        let of = |name: &str| in_hosts(file.path(), &name.parse().unwrap()).len();
        assert_eq!((of("one"), of("TWO"), of("three")), (2, 1, 0));
    }
}
