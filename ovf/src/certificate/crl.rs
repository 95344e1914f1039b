//! A certificate revocation list (RFC 5280 5), as its authority published it.

use std::fmt;

use webpki::BorrowedCertRevocationList;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::x509::display;
use crate::error::{Error, Kind};

/// The object identifier of the extension that tells what part of an authority's certificates a list speaks of.
const ISSUING_DISTRIBUTION_POINT: &str = "2.5.29.28";

/// A revocation list, read but not believed: its signature is checked where it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct Crl {
    der: Vec<u8>,
    issuer: String,
    issuer_der: Vec<u8>,
    /// The issuing distribution point in DER: lists of different ones stand side by side.
    scope: Vec<u8>,
    this_update: i64,
    next_update: Option<i64>,
}

impl Crl {
    /// Reads the lists of a file: one in DER, or any number in PEM.
    ///
    /// # Errors
    /// [`Kind::CrlMalformed`], also for a file without lists, and for lists of version 1, delta and indirect ones.
    pub fn all_from(bytes: &[u8]) -> Result<Vec<Self>, Error> {
        if bytes.first() == Some(&0x30) {
            return Ok(vec![Self::from_der(bytes)?]);
        }
        let blocks = pem::parse_many(bytes)
            .map_err(|error| malformed("the PEM text cannot be read").caused_by(error))?;
        let lists: Vec<_> = blocks
            .iter()
            .filter(|block| block.tag() == "X509 CRL")
            .map(|block| Self::from_der(block.contents()))
            .collect::<Result<_, _>>()?;
        if lists.is_empty() {
            return Err(malformed("the file has no revocation list"));
        }
        Ok(lists)
    }

    /// Reads one list in DER.
    ///
    /// # Errors
    /// As [`Crl::all_from`].
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let (rest, list) = CertificateRevocationList::from_der(der)
            .map_err(|error| malformed("the revocation list is not one of X.509").caused_by(error))?;
        if !rest.is_empty() {
            return Err(malformed("bytes follow the revocation list"));
        }
        // Whoever judges a path by it must be able to read it, too.
        BorrowedCertRevocationList::from_der(der).map_err(|error| {
            malformed("the revocation list is not a whole and direct one of version 2").caused_by(error)
        })?;
        let scope = list
            .extensions()
            .iter()
            .find(|extension| extension.oid.to_id_string() == ISSUING_DISTRIBUTION_POINT);
        Ok(Crl {
            der: der.to_vec(),
            issuer: display(list.issuer()),
            issuer_der: list.issuer().as_raw().to_vec(),
            scope: scope
                .map(|extension| extension.value.to_vec())
                .unwrap_or_default(),
            this_update: list.last_update().timestamp(),
            next_update: list.next_update().map(|time| time.timestamp()),
        })
    }

    /// The list in DER.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// Who issued it, for people.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// When it was made, in Unix time.
    pub fn this_update(&self) -> i64 {
        self.this_update
    }

    /// When the next one is due, in Unix time.
    pub fn next_update(&self) -> Option<i64> {
        self.next_update
    }

    /// Whether it is fresh at `now`, in Unix time: made, not past its next update, and made at most `max_age` seconds ago.
    ///
    /// # Errors
    /// [`Kind::CrlStale`].
    pub fn check_fresh(&self, now: i64, max_age: Option<i64>) -> Result<(), Error> {
        let age = now.saturating_sub(self.this_update);
        let fault = if age < 0 {
            "is of a later time".to_owned()
        } else if self.next_update.is_some_and(|next| next < now) {
            "is past its next update".to_owned()
        } else if let Some(max_age) = max_age.filter(|max_age| age > *max_age) {
            format!("is {age} seconds old, the policy allows {max_age}")
        } else {
            return Ok(());
        };
        let reason = format!("the revocation list of {} {fault}", self.issuer);
        Err(Error::new(Kind::CrlStale, reason))
    }

    /// Whether this list and `other` speak of the same certificates.
    pub(super) fn has_scope_of(&self, other: &Self) -> bool {
        self.issuer_der == other.issuer_der && self.scope == other.scope
    }

    pub(super) fn issuer_der(&self) -> &[u8] {
        &self.issuer_der
    }
}

impl fmt::Debug for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crl({}, {})", self.issuer, self.this_update)
    }
}

fn malformed(reason: &str) -> Error {
    Error::new(Kind::CrlMalformed, reason)
}
