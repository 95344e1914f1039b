//! Where messages go.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;

const FORM: &str = "a syslog server is udp://HOST[:PORT] or tcp://HOST[:PORT]";

/// A syslog server: `udp://collector.example:514`, `tcp://[2001:db8::1]:601`. The port is written always.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Collector {
    pub(super) transport: Transport,
    pub(super) endpoint: Endpoint,
}

/// How messages go there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// One a datagram (RFC 5426).
    Udp,
    /// One after the other, each with its length (RFC 6587 section 3.4.1).
    Tcp,
}

impl FromStr for Collector {
    type Err = &'static str;

    /// With port 514 (UDP) or 601 (TCP) where it has none.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").ok_or(FORM)?;
        let (transport, port) = match scheme {
            "udp" => (Transport::Udp, 514),
            "tcp" => (Transport::Tcp, 601),
            _ => return Err(FORM),
        };
        Ok(Self {
            transport,
            endpoint: Endpoint::parse(rest, port)?,
        })
    }
}

impl TryFrom<String> for Collector {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Collector> for String {
    fn from(collector: Collector) -> Self {
        collector.to_string()
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        write!(f, "{scheme}://{}", self.endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_it_is_written_with_the_port_of_its_transport() {
        for (text, shown) in [
            ("udp://collector.example", "udp://collector.example:514"),
            ("tcp://192.0.2.1", "tcp://192.0.2.1:601"),
            ("tcp://[2001:db8::1]:1514", "tcp://[2001:db8::1]:1514"),
        ] {
            let collector: Collector = text.parse().unwrap();
            assert_eq!(collector.to_string(), shown);
            assert_eq!(shown.parse(), Ok(collector));
        }
        for text in [
            "",
            "collector.example",
            "udp:collector.example",
            "UDP://a.example",
            "http://a.example",
            "tcp://",
            "tcp://a.example/",
            "udp://a.example:0",
            "udp://user@a.example",
            "udp://a.example\n",
        ] {
            assert!(text.parse::<Collector>().is_err(), "{text:?}");
        }
    }
}
