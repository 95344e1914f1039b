//! Whether a certificate on a path has been taken back by its authority.

use webpki::{
    CertRevocationList, ExpirationPolicy, OwnedCertRevocationList, RevocationOptionsBuilder,
    UnknownStatusPolicy,
};

use super::crl::Crl;
use super::path::Path;
use crate::error::{Error, Kind};

/// The revocation lists that a policy brings, and what it asks of them.
///
/// Of several lists of one authority and scope the latest counts. A list that is not fresh still revokes, and is
/// refused besides.
#[derive(Debug, Clone, Default)]
pub struct Revocation {
    /// The lists.
    pub lists: Vec<Crl>,
    /// Whether every certificate on the path must have a list that speaks of it.
    pub required: bool,
    /// The most seconds since a list was made; none for no limit but its next update.
    pub max_age: Option<i64>,
}

impl Revocation {
    /// Whether there is anything to check.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty() && !self.required
    }

    /// The latest list of each authority and scope.
    fn latest(&self) -> Vec<&Crl> {
        let mut latest: Vec<&Crl> = Vec::new();
        for list in &self.lists {
            match latest.iter_mut().find(|known| known.has_scope_of(list)) {
                Some(known) if known.this_update() < list.this_update() => *known = list,
                Some(_) => {}
                None => latest.push(list),
            }
        }
        latest
    }

    pub(super) fn check(&self, path: &Path<'_>, path_time: i64, now: i64) -> Result<(), Error> {
        let latest = self.latest();
        let lists: Vec<CertRevocationList<'_>> = latest
            .iter()
            .filter_map(|list| OwnedCertRevocationList::from_der(list.as_der()).ok())
            .map(CertRevocationList::from)
            .collect();
        let lists: Vec<_> = lists.iter().collect();
        let Ok(options) = RevocationOptionsBuilder::new(&lists) else {
            return self.check_without();
        };
        let options = options.with_expiration_policy(ExpirationPolicy::Ignore);
        // First what the lists say: that a certificate is revoked matters more than that another has no list.
        let lenient = options.with_status_policy(UnknownStatusPolicy::Allow).build();
        let issuers = path.issuers(path_time, Some(lenient))?;
        if self.required {
            let strict = options.with_status_policy(UnknownStatusPolicy::Deny).build();
            path.check(path_time, Some(strict))?;
        }
        let mut consulted = latest
            .iter()
            .filter(|list| issuers.iter().any(|issuer| issuer == list.issuer_der()));
        consulted.try_for_each(|list| list.check_fresh(now, self.max_age))
    }

    fn check_without(&self) -> Result<(), Error> {
        if self.required {
            let reason = "the policy requires revocation lists, and has none";
            return Err(Error::new(Kind::CrlMissing, reason));
        }
        Ok(())
    }
}
