//! The properties that the appliance understands, as types.

use crate::addressing::{Addressing, MOST_SERVERS};
use crate::endpoint::Endpoint;
use crate::hostname::Hostname;
use crate::property::Reader;
use crate::proposal::Proposal;
use crate::role::Role;
use crate::syslog::Collector;
use crate::timekeeping::NTP_PORT;

/// What the machine is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// `role`; none leaves it to whoever sets the machine up.
    pub role: Option<Role>,
    /// `hostname`; none makes one from the hardware address.
    pub hostname: Option<Hostname>,
    /// How it is reached.
    pub addressing: Addressing,
    /// Whom it is meant to be enrolled with.
    pub proposal: Proposal,
    /// `ntp`.
    pub ntp_servers: Vec<Endpoint>,
    /// `syslog`.
    pub syslog: Option<Collector>,
}

impl Settings {
    /// Takes the values that `property` has; gives what is wrong with each that is not understood, without the value.
    /// An empty value counts as none.
    pub fn of<'a>(property: impl Fn(&str) -> Option<&'a str>) -> (Self, Vec<String>) {
        let property = |key: &str| property(key).map(Into::into);
        let mut reader = Reader::new(&property);
        let settings = Self {
            role: reader.parsed("role"),
            hostname: reader.parsed("hostname"),
            addressing: Addressing::read(&mut reader),
            proposal: Proposal::read(&mut reader),
            ntp_servers: reader.list("ntp", &[',', ' ', ';'], MOST_SERVERS, |word| {
                Endpoint::parse(word, NTP_PORT).map_err(str::to_owned)
            }),
            syslog: reader.parsed("syslog"),
        };
        (settings, reader.finish())
    }
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
            ("syslog", "tcp://collector.example"),
        ]);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(settings.role, Some(Role::Sp));
        let address = settings.addressing.ipv4.unwrap();
        assert_eq!((address.cidr.prefix, address.gateway.is_some()), (24, true));
        assert_eq!(settings.addressing.name_servers.len(), 2);
        let ntp: Vec<_> = settings.ntp_servers.iter().map(ToString::to_string).collect();
        assert_eq!(ntp, ["ntp.example.com:123", "[2001:db8::2]:1123"]);
        assert_eq!(
            settings.syslog.unwrap().to_string(),
            "tcp://collector.example:601"
        );
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
            ("syslog", "collector.example"),
        ]);
        let keys: Vec<_> = problems.iter().filter_map(|p| p.split(':').next()).collect();
        assert_eq!(
            keys,
            ["role", "hostname", "ip", "gateway", "dns", "ntp", "syslog"]
        );
        assert_eq!(settings.addressing.name_servers.len(), 1);
    }
}
