//! An `http` or `https` URL whose secrets stay in it.

use std::fmt;

use ovf::package::MemberName;
use ureq::http::Uri;

use crate::error::{Error, Result};

/// The place of a file on a server.
///
/// It is shown without user, password and query: the first two are secrets, and the query may hold a signature that
/// lets whoever has it read the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    secure: bool,
    /// `user:password`, as it stands in the URL.
    credentials: Option<String>,
    /// Host, and port if told.
    authority: String,
    /// From its first slash.
    path: String,
    query: Option<String>,
}

impl Address {
    /// Whether a text is meant as a URL that this type takes.
    #[must_use]
    pub fn is_meant_by(text: &str) -> bool {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        scheme
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
    }

    /// Takes a URL. A fragment is left out, being nothing to the server.
    ///
    /// # Errors
    /// [`Error::Usage`], which does not repeat the text.
    pub fn parse(text: &str) -> Result<Self> {
        let malformed = || Error::Usage("the address is not an http or https URL".to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(malformed)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(malformed()),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, place) = rest.split_at(end);
        let (credentials, authority) = match authority.rsplit_once('@') {
            Some((credentials, authority)) => (Some(credentials.to_owned()), authority),
            None => (None, authority),
        };
        let (path, query) = match place.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (place, None),
        };
        let address = Address {
            secure,
            credentials,
            authority: authority.to_ascii_lowercase(),
            path: if path.is_empty() { "/" } else { path }.to_owned(),
            query,
        };
        let uri = address.request_uri().parse::<Uri>().map_err(|_| malformed())?;
        if address.authority.is_empty() || uri.host().is_none_or(str::is_empty) {
            return Err(malformed());
        }
        Ok(address)
    }

    /// Whether it holds a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.credentials.as_ref().is_some_and(|it| it.contains(':'))
    }

    /// The same, with `user:password` to give to its server.
    #[must_use]
    pub fn with_credentials(self, credentials: &str) -> Self {
        let mut escaped = String::new();
        for byte in credentials.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                    escaped.push(char::from(byte));
                }
                _ => escaped.push_str(&format!("%{byte:02X}")),
            }
        }
        Self {
            credentials: Some(escaped),
            ..self
        }
    }

    /// Where a redirect leads: an absolute URL, or one relative to this.
    ///
    /// Credentials go along within the same origin only, and a redirect has none of its own to give.
    pub(super) fn redirected(&self, location: &str) -> Result<Self> {
        let target = if Self::is_meant_by(location) {
            Self::parse(location)?
        } else if let Some(rest) = location.strip_prefix("//") {
            Self::parse(&format!("{}://{rest}", self.scheme()))?
        } else {
            let base = match location.chars().next() {
                Some('/') => "",
                Some('?') => &self.path,
                _ => self.folder(),
            };
            Self::parse(&format!("{}://{}{base}{location}", self.scheme(), self.authority))?
        };
        let same_origin = target.secure == self.secure && target.authority == self.authority;
        let credentials = self.credentials.clone().filter(|_| same_origin);
        Ok(Self {
            credentials,
            ..target
        })
    }

    /// The file `name` beside this one. The query stays behind: it was for this file.
    pub(super) fn beside(&self, name: &MemberName) -> Self {
        let mut path = self.folder().to_owned();
        for byte in name.as_str().bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                    path.push(char::from(byte));
                }
                _ => path.push_str(&format!("%{byte:02X}")),
            }
        }
        Self {
            path,
            query: None,
            ..self.clone()
        }
    }

    /// The path up to its last slash.
    fn folder(&self) -> &str {
        let end = self.path.rfind('/').map_or(0, |slash| slash + 1);
        &self.path[..end]
    }

    /// The last part of the path, its percent signs undone.
    pub(super) fn file_name(&self) -> String {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let mut bytes = Vec::new();
        let mut rest = name.as_bytes();
        while let Some((byte, after)) = rest.split_first() {
            let escaped = (*byte == b'%').then(|| after.get(..2)).flatten();
            let value = escaped
                .filter(|hex| hex.iter().all(u8::is_ascii_hexdigit))
                .and_then(|hex| std::str::from_utf8(hex).ok())
                .and_then(|hex| u8::from_str_radix(hex, 16).ok());
            (rest, _) = match value {
                Some(value) => (&after[2..], bytes.push(value)),
                None => (after, bytes.push(*byte)),
            };
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether the file is a descriptor, by its name.
    #[must_use]
    pub fn is_descriptor(&self) -> bool {
        let name = self.file_name();
        name.rsplit_once('.')
            .is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("ovf"))
    }

    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// The whole URL: for the client alone, never for a message.
    pub(super) fn request_uri(&self) -> String {
        let credentials = self.credentials.as_ref().map(|it| format!("{it}@"));
        let query = self.query.as_ref().map(|it| format!("?{it}"));
        format!(
            "{}://{}{}{}{}",
            self.scheme(),
            credentials.unwrap_or_default(),
            self.authority,
            self.path,
            query.unwrap_or_default()
        )
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority, self.path)?;
        f.write_str(if self.query.is_some() { "?…" } else { "" })
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn what_is_shown_has_neither_credentials_nor_query() {
        let address = address("HTTPS://user:hunter2@Example.com:8443/a/b.ova?sig=secret#x");
        assert_eq!(address.to_string(), "https://example.com:8443/a/b.ova?…");
        assert_eq!(
            format!("{address:?}"),
            "Address(https://example.com:8443/a/b.ova?…)"
        );
        assert_eq!(
            address.request_uri(),
            "https://user:hunter2@example.com:8443/a/b.ova?sig=secret"
        );
        for bad in [
            "ftp://user:hunter2@x/",
            "http://user:hunter2@/a",
            "http://a b/hunter2",
            "http://",
            "x",
        ] {
            let error = Address::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn credentials_follow_a_redirect_within_the_same_origin_only() {
        let from = address("http://user:secret@a.example/x/y.ova?q");
        for (location, target) in [
            ("z.ova", "http://user:secret@a.example/x/z.ova"),
            ("/z.ova?p", "http://user:secret@a.example/z.ova?p"),
            ("?p", "http://user:secret@a.example/x/y.ova?p"),
            ("http://A.example/z", "http://user:secret@a.example/z"),
            ("//b.example/z", "http://b.example/z"),
            ("http://a.example:81/z", "http://a.example:81/z"),
            ("https://a.example/z", "https://a.example/z"),
            ("http://other:one@b.example/z", "http://b.example/z"),
        ] {
            assert_eq!(
                from.redirected(location).unwrap().request_uri(),
                target,
                "{location}"
            );
        }
    }

    #[test]
    fn a_file_stands_beside_the_descriptor_under_its_name_escaped() {
        let from = address("https://a.example/x/y%20z.OVF?token");
        assert!(from.is_descriptor());
        assert_eq!(from.file_name(), "y z.OVF");
        let name = MemberName::parse("disks/a #1%.vmdk").unwrap();
        assert_eq!(
            from.beside(&name).request_uri(),
            "https://a.example/x/disks/a%20%231%25.vmdk"
        );
        assert_eq!(address("http://a.example/%zz%+1%4").file_name(), "%zz%+1%4");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic_or_shows_a_secret(
            text in "https?://(u:SECRET@)?[a.:@/%2?#é ]{0,12}(\\?SECRET)?",
            location in "[a.:@/%2?#é ]{0,12}",
        ) {
            match Address::parse(&text) {
                Ok(address) => {
                    prop_assert!(!address.to_string().contains("SECRET"));
                    let _ = (address.file_name(), address.is_descriptor(), address.redirected(&location));
                }
                Err(error) => prop_assert!(!error.to_string().contains("SECRET")),
            }
        }
    }
}
