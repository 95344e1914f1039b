//! The settings of a connector.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::digest::{hex, sha256};
use crate::endpoint::Endpoint;
use crate::syslog::Collector;
use crate::timekeeping::NTP_PORT;

const NOTICE: usize = 500;
const SERVERS: usize = 8;

/// Settings; one that is left out holds as the appliance has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Shown on the consoles, on the pages and by `/api/v1/about`: a line for whoever comes by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 500)]
    pub notice: Option<String>,
    /// Servers that the clock is set by (NTP): names or addresses, and a port if that is not 123. An empty list asks none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 8)]
    pub ntp: Option<Vec<String>>,
    /// Server that the log is forwarded to (RFC 5424): `udp://HOST[:PORT]`, port 514, or `tcp://HOST[:PORT]`, port 601. An empty
    /// one forwards it nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300)]
    pub syslog: Option<String>,
    /// Where other nodes reach this one: `HOST[:PORT]`, port 443. Left out, it is the address that its heartbeats come from at the
    /// server, and the port on which it takes connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300)]
    pub peer_endpoint: Option<String>,
}

/// A setting that is in effect otherwise than it is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Difference {
    /// Its name.
    pub setting: String,
    /// What is wanted.
    #[schema(value_type = Object)]
    pub desired: Value,
    /// What is in effect.
    #[schema(value_type = Object)]
    pub reported: Value,
}

impl Settings {
    /// Sees that every value is one that can hold.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        if let Some(notice) = &self.notice
            && (notice.chars().count() > NOTICE || notice.chars().any(char::is_control))
        {
            return Err(format!(
                "notice has {NOTICE} characters at most, and no control characters"
            ));
        }
        if let Some(syslog) = self.syslog.as_ref().filter(|syslog| !syslog.is_empty())
            && let Err(reason) = syslog.parse::<Collector>()
        {
            return Err(format!("syslog: {reason}"));
        }
        if let Some(endpoint) = &self.peer_endpoint
            && let Err(reason) = endpoint.parse::<Endpoint>()
        {
            return Err(format!("peer_endpoint: {reason}"));
        }
        let servers = self.ntp.as_deref().unwrap_or_default();
        if servers.len() > SERVERS {
            return Err(format!("ntp has {SERVERS} servers at most"));
        }
        servers
            .iter()
            .try_for_each(|text| match Endpoint::parse(text, NTP_PORT) {
                Ok(_) => Ok(()),
                Err(reason) => Err(format!("ntp: '{}': {reason}", text.escape_debug())),
            })
    }

    /// The servers that the clock is set by; nothing leaves them to the appliance.
    pub fn time_servers(&self) -> Option<Vec<Endpoint>> {
        let servers = self.ntp.as_ref()?.iter();
        // Every one was read before it was kept.
        Some(
            servers
                .filter_map(|text| Endpoint::parse(text, NTP_PORT).ok())
                .collect(),
        )
    }

    /// Where the log is forwarded to; nothing leaves it to the appliance.
    pub fn syslog_server(&self) -> Option<Option<Collector>> {
        // It was read before it was kept.
        self.syslog.as_ref().map(|text| text.parse().ok())
    }

    /// Where other nodes reach this one, where that was told.
    pub fn peer_endpoint(&self) -> Option<Endpoint> {
        // It was read before it was kept.
        self.peer_endpoint.as_ref()?.parse().ok()
    }

    /// These, and where they say nothing, the others.
    #[must_use]
    pub fn or(self, wider: Self) -> Self {
        Self {
            notice: self.notice.or(wider.notice),
            ntp: self.ntp.or(wider.ntp),
            syslog: self.syslog.or(wider.syslog),
            peer_endpoint: self.peer_endpoint.or(wider.peer_endpoint),
        }
    }

    /// As JSON, the same for the same settings.
    pub fn json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// SHA-256 of that, in hexadecimal.
    pub fn digest(&self) -> String {
        hex(&sha256(self.json().to_string().as_bytes()))
    }

    /// What differs in others that are in effect.
    pub fn differences(&self, reported: &Self) -> Vec<Difference> {
        let (wanted, told) = (self.json(), reported.json());
        let mut names: Vec<&String> = [&wanted, &told]
            .into_iter()
            .filter_map(Value::as_object)
            .flat_map(|settings| settings.keys())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
            .into_iter()
            .filter(|name| wanted[name.as_str()] != told[name.as_str()])
            .map(|name| Difference {
                setting: name.clone(),
                desired: wanted[name.as_str()].clone(),
                reported: told[name.as_str()].clone(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrower_wins_setting_by_setting_and_what_differs_is_named() {
        let wide = Settings {
            notice: Some("all".to_owned()),
            ntp: Some(vec!["192.0.2.1".to_owned()]),
            ..Settings::default()
        };
        let narrow = Settings {
            notice: Some("one".to_owned()),
            ..Settings::default()
        };
        let both = narrow.clone().or(wide.clone());
        assert_eq!((&both.notice, &both.ntp), (&narrow.notice, &wide.ntp));
        assert_eq!(both.differences(&both), []);
        let differences = both.differences(&narrow);
        assert_eq!(differences.len(), 1);
        assert_eq!(
            (differences[0].setting.as_str(), &differences[0].reported),
            ("ntp", &Value::Null)
        );
    }

    #[test]
    fn values_that_cannot_hold_are_refused() {
        let notice = |text: &str| Settings {
            notice: Some(text.to_owned()),
            ..Settings::default()
        };
        assert!(notice("in maintenance until 10").check().is_ok());
        assert!(notice(&"ä".repeat(500)).check().is_ok());
        for wrong in ["\u{1b}[2J", "two\nlines", &"a".repeat(501)] {
            assert!(notice(wrong).check().is_err(), "{wrong:?}");
        }
        let ntp = |hosts: &[&str]| Settings {
            ntp: Some(hosts.iter().map(|&host| host.to_owned()).collect()),
            ..Settings::default()
        };
        let syslog = |text: &str| Settings {
            syslog: Some(text.to_owned()),
            ..Settings::default()
        };
        assert!(syslog("").check().is_ok() && syslog("tcp://collector.example").check().is_ok());
        assert!(syslog("collector.example").check().is_err());
        let peer = |text: &str| Settings {
            peer_endpoint: Some(text.to_owned()),
            ..Settings::default()
        };
        assert!(peer("node.example:8443").check().is_ok());
        assert!(peer("").check().is_err() && peer("https://node.example").check().is_err());
        assert!(ntp(&["pool.example.org", "[2001:db8::1]:123"]).check().is_ok());
        assert!(
            ntp(&[""]).check().is_err() && ntp(&["a b"]).check().is_err() && ntp(&["a"; 9]).check().is_err()
        );
        assert!(serde_json::from_str::<Settings>(r#"{"other": 1}"#).is_err());
    }
}
