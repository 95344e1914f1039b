//! What a server gave, once it was found to make sense.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::message::Message;
use crate::error::{Error, Kind, Result};

/// No lease is renewed more often than this asks for, whatever the server says.
const SHORTEST: Duration = Duration::from_secs(60);
/// RFC 2131 section 3.3: a lease of this many seconds has no end.
const INFINITE: u32 = u32::MAX;
/// A lease without end is renewed like one of ten years.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// An address and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// How many bits of it name the network.
    pub prefix: u8,
    /// The way out, if there is one.
    pub router: Option<Ipv4Addr>,
    /// Name servers, in order of preference.
    pub name_servers: Vec<Ipv4Addr>,
    /// Time servers, in order of preference.
    pub ntp_servers: Vec<Ipv4Addr>,
    /// The server that gave it.
    pub server: Ipv4Addr,
    /// Time after which its server is asked to renew it.
    pub renewal: Duration,
    /// Time after which any server is.
    pub rebinding: Duration,
    /// Time after which the address must not be used.
    pub expiry: Duration,
}

impl Lease {
    /// Takes the lease out of an offer or acknowledgement.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for an address that no host can have, a mask with holes, or no server or lease time.
    pub fn of(message: &Message) -> Result<Self> {
        let options = &message.options;
        let address = message.yours;
        if !is_host(address) {
            return Err(refused(format!("{address} is no host's address")));
        }
        let prefix = match options.mask {
            Some(mask) => prefix(mask)?,
            None => by_class(address),
        };
        let server = options.server.filter(|&server| is_host(server));
        let seconds = options.lease.ok_or_else(|| refused("it has no time"))?;
        let expiry = match seconds {
            INFINITE => LONGEST,
            _ => Duration::from_secs(seconds.into()).clamp(SHORTEST, LONGEST),
        };
        let (renewal, rebinding) = times(expiry, options.renewal, options.rebinding);
        Ok(Self {
            address,
            prefix,
            router: options
                .routers
                .iter()
                .copied()
                .find(|&router| is_host(router) && router != address),
            name_servers: (options.name_servers.iter().copied())
                .filter(|&server| is_host(server) || server.is_loopback())
                .collect(),
            ntp_servers: (options.ntp_servers.iter().copied())
                .filter(|&server| is_host(server))
                .collect(),
            server: server.ok_or_else(|| refused("it names no server"))?,
            renewal,
            rebinding,
            expiry,
        })
    }
}

/// T1 and T2 as the server wishes where they are in order, otherwise after RFC 2131 section 4.4.5.
fn times(expiry: Duration, renewal: Option<u32>, rebinding: Option<u32>) -> (Duration, Duration) {
    let seconds = |wish: Option<u32>| wish.map(|seconds| Duration::from_secs(seconds.into()));
    if let (Some(renewal), Some(rebinding)) = (seconds(renewal), seconds(rebinding))
        && (SHORTEST / 2..=rebinding).contains(&renewal)
        && rebinding < expiry
    {
        return (renewal, rebinding);
    }
    (expiry / 2, expiry / 8 * 7)
}

fn is_host(address: Ipv4Addr) -> bool {
    !(address.octets()[0] == 0
        || address.is_loopback()
        || address.is_multicast()
        || address.octets()[0] >= 240)
}

fn prefix(mask: Ipv4Addr) -> Result<u8> {
    let bits = u32::from(mask);
    let prefix = bits.leading_ones();
    if bits.count_ones() != prefix || prefix == 0 {
        return Err(refused(format!("{mask} is no network mask")));
    }
    u8::try_from(prefix).map_err(|_| refused("no mask is that long"))
}

/// RFC 2131 leaves out what a client does without a mask; the address's old class is what everybody takes.
fn by_class(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..128 => 8,
        128..192 => 16,
        _ => 24,
    }
}

fn refused(reason: impl Into<String>) -> Error {
    Error::new(Kind::Malformed, "DHCP lease", reason)
}

#[cfg(test)]
mod tests {
    use super::super::message::{MessageKind, Options};
    use super::*;

    fn ack() -> Message {
        let mut options = Options::new(MessageKind::Ack);
        options.server = Some(Ipv4Addr::new(192, 0, 2, 1));
        options.lease = Some(3600);
        options.mask = Some(Ipv4Addr::new(255, 255, 255, 0));
        Message {
            reply: true,
            transaction: 0,
            seconds: 0,
            broadcast: true,
            client: Ipv4Addr::UNSPECIFIED,
            yours: Ipv4Addr::new(192, 0, 2, 5),
            hardware: [2; 6],
            options,
        }
    }

    fn changed(change: impl Fn(&mut Message)) -> Result<Lease> {
        let mut message = ack();
        change(&mut message);
        Lease::of(&message)
    }

    #[test]
    fn a_sound_lease_is_taken_with_the_standards_times() {
        let lease = Lease::of(&ack()).unwrap();
        assert_eq!((lease.prefix, lease.router), (24, None));
        let seconds = [lease.renewal, lease.rebinding, lease.expiry].map(|time| time.as_secs());
        assert_eq!(seconds, [1800, 3150, 3600]);
    }

    #[test]
    fn addresses_that_no_host_can_have_are_refused() {
        for address in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "0.1.2.3"] {
            let refused = changed(|message| message.yours = address.parse().unwrap());
            assert!(refused.is_err(), "{address}");
        }
    }

    #[test]
    fn masks_with_holes_are_refused() {
        for mask in ["255.0.255.0", "0.0.0.0", "0.0.0.255"] {
            let refused = changed(|message| message.options.mask = Some(mask.parse().unwrap()));
            assert!(refused.is_err(), "{mask}");
        }
    }

    #[test]
    fn no_server_can_make_the_client_busy() {
        for (lease, renewal, rebinding) in [(0, None, None), (1, Some(0), Some(0)), (3600, Some(1), Some(2))]
        {
            let lease = changed(|message| {
                message.options.lease = Some(lease);
                message.options.renewal = renewal;
                message.options.rebinding = rebinding;
            });
            assert!(lease.unwrap().renewal >= SHORTEST / 2);
        }
    }

    #[test]
    fn wishes_out_of_order_give_way_to_the_standards_times() {
        let lease = changed(|message| {
            message.options.renewal = Some(3000);
            message.options.rebinding = Some(2000);
        });
        assert_eq!(lease.unwrap().renewal.as_secs(), 1800);
    }
}
