//! `network.json` in the state directory: settings that were made on the machine itself, which prevail over the
//! properties.
//!
//! ```json
//! {"ip": "192.0.2.5/24", "gateway": "192.0.2.1", "dns": ["192.0.2.2"],
//!  "routes": ["198.51.100.0/24 via 192.0.2.3"], "mtu": 1400, "vlan": 7}
//! ```
//!
//! `{"dhcp": true}` asks DHCP instead, also beside `ip6` and `gateway6`. The whole file counts or nothing of it.

use std::borrow::Cow;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Addressing, StaticAddress};
use crate::error::{Error, Kind, Result};
use crate::file;
use crate::property::Reader;

/// The file's name.
pub const NAME: &str = "network.json";
const LIMIT: usize = 16 << 10;

/// The file, as it is written.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dhcp: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip6: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway6: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dns: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan: Option<u16>,
}

/// Reads the file in `directory`; none if there is none.
///
/// # Errors
/// [`Kind::Malformed`] names each value that cannot be; [`Kind::Ceiling`] above 16 KiB; [`Kind::Io`].
pub fn read(directory: &Path) -> Result<Option<Addressing>> {
    let path = directory.join(NAME);
    match std::fs::symlink_metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file(&path, "look at", error)),
        Ok(found) if !found.is_file() => {
            return Err(Error::new(
                Kind::Malformed,
                path.display().to_string(),
                "is no file",
            ));
        }
        Ok(_) => {}
    }
    parse(&file::read(&path, LIMIT)?).map(Some)
}

/// Reads the file's bytes.
///
/// # Errors
/// [`Kind::Malformed`].
pub fn parse(bytes: &[u8]) -> Result<Addressing> {
    // A structure's values in a list would be taken, too.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Error::new(Kind::Malformed, NAME, "is no JSON object"));
    }
    let document: Document = serde_json::from_slice(bytes)
        .map_err(|e| Error::new(Kind::Malformed, NAME, "is not what it should be").because(e))?;
    let property = |key: &str| document.property(key);
    let mut reader = Reader::new(&property);
    let addressing = Addressing {
        dhcp: document.dhcp,
        ..Addressing::read(&mut reader)
    };
    for (gateway, key, address) in [
        (&document.gateway, "gateway", &document.ip),
        (&document.gateway6, "gateway6", &document.ip6),
    ] {
        if gateway.is_some() && address.is_none() {
            reader.problem(key, "there is no address to go with it");
        }
    }
    if document.dhcp && document.ip.is_some() {
        reader.problem("dhcp", "there is an ip as well");
    }
    if !document.dhcp && document.ip.is_none() && document.ip6.is_none() {
        reader.problem("ip", "one of ip, ip6 and dhcp is needed");
    }
    match reader.finish() {
        problems if problems.is_empty() => Ok(addressing),
        problems => Err(Error::new(Kind::Malformed, NAME, problems.join("; "))),
    }
}

/// Keeps settings in `directory`.
///
/// # Errors
/// [`Kind::StateFull`], [`Kind::StateReadOnly`] or [`Kind::Io`]; the former ones are still kept.
pub fn write(directory: &Path, addressing: &Addressing) -> Result<()> {
    file::replace_durably(directory, NAME, &render(addressing)?)
}

/// The file's bytes for these settings.
///
/// # Errors
/// [`Kind::Malformed`], which no settings give.
pub fn render(addressing: &Addressing) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(&Document::of(addressing))
        .map_err(|e| Error::new(Kind::Malformed, NAME, "cannot be written as JSON").because(e))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Goes back to the properties.
///
/// # Errors
/// [`Kind::StateReadOnly`] or [`Kind::Io`].
pub fn remove(directory: &Path) -> Result<()> {
    let path = directory.join(NAME);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file(&path, "remove", error))
        }
        _ => file::sync_directory(directory),
    }
}

impl Document {
    fn of(addressing: &Addressing) -> Self {
        let halves = |address: Option<StaticAddress>| {
            let gateway = address.and_then(|address| address.gateway);
            let address = address.map(|address| address.cidr.to_string());
            (address, gateway.map(|gateway| gateway.to_string()))
        };
        let (ip, gateway) = halves(addressing.ipv4);
        let (ip6, gateway6) = halves(addressing.ipv6);
        Self {
            dhcp: addressing.dhcp,
            ip,
            gateway,
            ip6,
            gateway6,
            dns: addressing.name_servers.iter().map(ToString::to_string).collect(),
            routes: addressing.routes.iter().map(ToString::to_string).collect(),
            mtu: addressing.mtu.map(super::Mtu::get),
            vlan: addressing.vlan.map(super::Vlan::get),
        }
    }

    /// A value as a property has it.
    fn property(&self, key: &str) -> Option<Cow<'_, str>> {
        let text = |text: &'_ Option<String>| text.clone().map(Cow::Owned);
        let list = |words: &[String]| Some(Cow::Owned(words.join(",")));
        let number = |number: Option<u16>| number.map(|number| Cow::Owned(number.to_string()));
        match key {
            "ip" => text(&self.ip),
            "gateway" => text(&self.gateway),
            "ip6" => text(&self.ip6),
            "gateway6" => text(&self.gateway6),
            "dns" => list(&self.dns),
            "routes" => list(&self.routes),
            "mtu" => number(self.mtu),
            "vlan" => number(self.vlan),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{"ip": "192.0.2.5/24", "gateway": "192.0.2.1", "ip6": "2001:db8::5/64",
        "gateway6": "fe80::1", "dns": ["192.0.2.2", "2001:db8::2"],
        "routes": ["198.51.100.0/24 via 192.0.2.3"], "mtu": 1400, "vlan": 7}"#;

    #[test]
    fn what_is_kept_is_read_again_and_a_removed_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), None);
        for text in [
            WHOLE,
            r#"{"dhcp": true, "mtu": 1400}"#,
            r#"{"ip6": "2001:db8::5/64"}"#,
        ] {
            let addressing = parse(text.as_bytes()).unwrap();
            write(folder.path(), &addressing).unwrap();
            assert_eq!(read(folder.path()).unwrap(), Some(addressing), "{text}");
        }
        remove(folder.path()).unwrap();
        remove(folder.path()).unwrap();
        assert_eq!(read(folder.path()).unwrap(), None);
    }

    #[test]
    fn an_ipv6_address_alone_asks_no_dhcp_server() {
        assert!(!parse(br#"{"ip6": "2001:db8::5/64"}"#).unwrap().dhcp);
    }

    #[test]
    fn a_file_that_contradicts_itself_or_says_more_counts_not_at_all() {
        for (text, reason) in [
            ("", "EOF"),
            ("{}", "ip: one of"),
            ("[true]", "no JSON object"),
            (r#"{"dhcp": false}"#, "ip: one of"),
            (r#"{"dhcp": true, "ip": "192.0.2.5/24"}"#, "dhcp: there is an ip"),
            (
                r#"{"dhcp": true, "gateway": "192.0.2.1"}"#,
                "gateway: there is no",
            ),
            (r#"{"dhcp": true, "dns": ["x"]}"#, "dns: "),
            (r#"{"dhcp": true, "mtu": 70000}"#, "70000"),
            (r#"{"dhcp": true, "vlan": 0}"#, "vlan: "),
            (r#"{"dhcp": true, "colour": 1}"#, "unknown field"),
            (r#"{"dhcp": true, "dhcp": true}"#, "duplicate field"),
            (r#"{"dhcp": true} x"#, "trailing"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(
                error.chain().to_string().contains(reason),
                "{text}: {}",
                error.chain()
            );
        }
    }

    #[test]
    fn a_file_that_is_too_long_or_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(NAME), vec![b' '; LIMIT + 1]).unwrap();
        assert_eq!(read(folder.path()).unwrap_err().kind(), Kind::Ceiling);
        std::fs::remove_file(folder.path().join(NAME)).unwrap();
        std::fs::create_dir(folder.path().join(NAME)).unwrap();
        assert_eq!(read(folder.path()).unwrap_err().kind(), Kind::Malformed);
    }
}
