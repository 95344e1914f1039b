//! Nodes of one server among themselves: who they are to each other, and the ways on which one reaches another.
//!
//! ```text
//! direct    destination ──TLS──────────────────────────► source
//! reversed  destination ◄─TCP, TLS, HTTP upgrade─ source; inside it TLS, as on the direct way
//! relay     destination ─TLS, HTTP upgrade─► relay ◄─TLS, HTTP upgrade─ source; inside both, likewise
//! ```
//!
//! Whatever the way, there is a TLS 1.3 connection from the destination to the source in which each shows the certificate of its
//! enrolment, and takes no other than one of the node that it means, by a key of the server's authority: what lies in between sees
//! nothing of it. A certificate says who a node is. What it may do is in the [`Grant`](crate::transfer::Grant) that it brings.

mod credentials;
mod dialer;
mod peering;
pub(crate) mod reach;
mod relay;
mod streams;
mod verifier;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::HeaderMap;
use hyper::header::HeaderName;

pub use credentials::{Basis, Credentials};
pub use dialer::Dialer;
pub use peering::Peering;
pub use relay::Relays;
pub use streams::Streams;

use crate::error::{Error, Kind, Result};
use crate::transfer::Signed;

/// The header field in which a node brings a grant: base64 of a [`Signed`] in JSON.
pub const GRANT: HeaderName = HeaderName::from_static("vcc-grant");
/// The longest value of it in bytes.
const LONGEST: usize = 12 << 10;

/// What [`GRANT`] says of a grant.
pub fn grant_field(grant: &Signed) -> String {
    BASE64_STANDARD.encode(serde_json::to_vec(grant).unwrap_or_default())
}

/// The grant that a request brings; nobody has looked at it yet.
///
/// # Errors
/// [`Kind::Malformed`] where there is none, or something else.
pub fn brought_grant(fields: &HeaderMap) -> Result<Signed> {
    let wrong = |reason: &str| Error::new(Kind::Malformed, "the header field VCC-Grant", reason);
    let mut all = fields.get_all(GRANT).iter();
    let (Some(value), None) = (all.next(), all.next()) else {
        return Err(wrong("is missing, or there are several"));
    };
    if value.len() > LONGEST {
        return Err(wrong("is too long"));
    }
    let bytes = BASE64_STANDARD
        .decode(value.as_bytes())
        .map_err(|error| wrong("is not base64").because(error))?;
    serde_json::from_slice(&bytes).map_err(|error| wrong("is no signed document").because(error))
}
