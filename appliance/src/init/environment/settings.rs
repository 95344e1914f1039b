//! The properties that the appliance understands, as types.

use std::net::IpAddr;
use std::str::FromStr;

use crate::endpoint::Endpoint;
use crate::hostname::Hostname;
use crate::role::Role;
use crate::timekeeping::NTP_PORT;

/// More name or time servers than this are of no use to anybody.
const MOST_SERVERS: usize = 8;

/// What the machine is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// `role`.
    pub role: Role,
    /// `hostname`; none makes one from the hardware address.
    pub hostname: Option<Hostname>,
    /// `ip`, `gateway`: the first interface's address; none asks DHCP.
    pub address: Option<StaticAddress>,
    /// `dns`.
    pub name_servers: Vec<IpAddr>,
    /// `ntp`.
    pub ntp_servers: Vec<Endpoint>,
}

/// An address that a person chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticAddress {
    /// The address and its network.
    pub cidr: Cidr,
    /// The way out.
    pub gateway: Option<IpAddr>,
}

/// An address with the length of its network's prefix, such as `192.0.2.5/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// The address.
    pub address: IpAddr,
    /// The prefix's bits.
    pub prefix: u8,
}

impl Settings {
    /// Takes the values that `property` has; gives what is wrong with each that is not understood, without the value.
    /// An empty value counts as none.
    pub fn of<'a>(property: impl Fn(&str) -> Option<&'a str>) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let value = |key: &str| property(key).map(str::trim).filter(|value| !value.is_empty());
        let role = parsed("role", value("role"), &mut problems);
        let hostname = parsed("hostname", value("hostname"), &mut problems);
        let cidr: Option<Cidr> = parsed("ip", value("ip"), &mut problems);
        let gateway: Option<IpAddr> = parsed("gateway", value("gateway"), &mut problems);
        let name_servers = list("dns", value("dns"), &mut problems, |word| {
            word.parse::<IpAddr>().map_err(|error| error.to_string())
        });
        let ntp_servers = list("ntp", value("ntp"), &mut problems, |word| {
            Endpoint::parse(word, NTP_PORT).map_err(str::to_owned)
        });
        let gateway = match (cidr, gateway) {
            (Some(cidr), Some(gateway)) if cidr.address.is_ipv4() != gateway.is_ipv4() => {
                problems.push("gateway: it is of another IP version than ip".to_owned());
                None
            }
            (_, gateway) => gateway,
        };
        let settings = Self {
            role: role.unwrap_or_default(),
            hostname,
            address: cidr.map(|cidr| StaticAddress { cidr, gateway }),
            name_servers,
            ntp_servers,
        };
        (settings, problems)
    }
}

impl FromStr for Cidr {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "an address has the form 192.0.2.5/24";
        let (address, prefix) = text.split_once('/').ok_or(FORM)?;
        let address: IpAddr = address.parse().map_err(|_| FORM)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.parse().map_err(|_| FORM)?;
        if !(1..=longest).contains(&prefix) {
            return Err("the network's prefix is too long or none");
        }
        if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
            return Err("it is no host's address");
        }
        Ok(Self { address, prefix })
    }
}

fn parsed<T: FromStr<Err: ToString>>(
    key: &str,
    value: Option<&str>,
    problems: &mut Vec<String>,
) -> Option<T> {
    match value?.parse::<T>() {
        Ok(value) => Some(value),
        Err(error) => {
            problems.push(format!("{key}: {}", error.to_string()));
            None
        }
    }
}

fn list<T>(
    key: &str,
    value: Option<&str>,
    problems: &mut Vec<String>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let words = value.unwrap_or_default().split([',', ' ', ';']);
    words
        .filter(|word| !word.is_empty())
        .take(MOST_SERVERS)
        .filter_map(|word| match parse(word) {
            Ok(value) => Some(value),
            Err(error) => {
                problems.push(format!("{key}: {error}"));
                None
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(properties: &[(&str, &'static str)]) -> (Settings, Vec<String>) {
        Settings::of(|key| {
            let found = properties.iter().find(|(own, _)| *own == key);
            found.map(|&(_, value)| value)
        })
    }

    #[test]
    fn all_properties_are_taken() {
        let (settings, problems) = of(&[
            ("role", "sp"),
            ("hostname", "edge-1"),
            ("ip", "192.0.2.5/24"),
            ("gateway", "192.0.2.1"),
            ("dns", "192.0.2.2, 2001:db8::1"),
            ("ntp", "ntp.example.com,[2001:db8::2]:1123"),
        ]);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(settings.role, Role::Sp);
        let address = settings.address.unwrap();
        assert_eq!((address.cidr.prefix, address.gateway.is_some()), (24, true));
        assert_eq!(settings.name_servers.len(), 2);
        let ntp: Vec<_> = settings.ntp_servers.iter().map(ToString::to_string).collect();
        assert_eq!(ntp, ["ntp.example.com:123", "[2001:db8::2]:1123"]);
    }

    #[test]
    fn empty_values_are_defaults() {
        let (settings, problems) = of(&[("role", ""), ("ip", " "), ("dns", "")]);
        assert_eq!((settings, problems.len()), (Settings::default(), 0));
    }

    #[test]
    fn each_wrong_value_is_named_and_the_others_still_count() {
        let (settings, problems) = of(&[
            ("role", "manager"),
            ("hostname", "no spaces"),
            ("ip", "192.0.2.5"),
            ("gateway", "x"),
            ("dns", "192.0.2.2 y"),
            ("ntp", "192.0.2.3 2001:db8::1"),
        ]);
        let keys: Vec<_> = problems.iter().filter_map(|p| p.split(':').next()).collect();
        assert_eq!(keys, ["role", "hostname", "ip", "gateway", "dns", "ntp"]);
        assert_eq!(settings.name_servers.len(), 1);
    }

    #[test]
    fn addresses_that_no_host_can_have_are_refused() {
        for text in [
            "0.0.0.0/8",
            "224.0.0.1/4",
            "127.0.0.1/8",
            "10.0.0.1/33",
            "10.0.0.1/0",
            "::/64",
        ] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
        assert!("2001:db8::5/64".parse::<Cidr>().is_ok());
    }
}
