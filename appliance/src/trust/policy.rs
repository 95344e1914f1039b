//! What a tenant asks of packages, beside whom it believes.

use ovf::certificate::{Crl, KeyPin, MIN_KEY_BITS, Revocation, TrustRoots};
use ovf::verify::Tolerance;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Root, refusal};
use crate::clock::Moment;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};

/// The most pins, lists and tolerances.
const MOST: usize = 64;
/// The largest RSA key that can be asked for, in bits.
const LARGEST_KEY: usize = 16_384;

/// Whose signature a package has to bear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Signer {
    /// One that leads to a certificate that is believed.
    #[default]
    Trusted,
    /// Anybody's: that the package is whole is all that it shows.
    Any,
    /// None; one that is there is checked.
    None,
}

/// What a tenant's packages are judged by at a time.
#[derive(Debug)]
pub struct InForce {
    /// As the verifier knows it.
    pub policy: ovf::verify::Policy,
    /// SHA-256 of the policy, and of the fingerprints of those who are believed, a line each.
    pub digest: Digest,
    believes_nobody: bool,
}

impl InForce {
    /// The verdict on everything, if there is one.
    pub(super) fn refuses_everything(&self) -> Option<Value> {
        let reason = "the tenant has named no certificate that it believes, and its policy asks for a signer who leads to one";
        self.believes_nobody.then(|| refusal("trust.nobody", reason))
    }
}

/// What is asked of packages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = TrustPolicy)]
pub struct Policy {
    /// Whose signature has to be there.
    pub signer: Signer,
    /// Keys of which one has to be on the signer's path: SHA-256 of a SubjectPublicKeyInfo, in hexadecimal.
    pub pins: Vec<String>,
    /// The least bits of an RSA key; never fewer than 2048.
    #[schema(minimum = 2048, maximum = 16384)]
    pub min_key_bits: Option<u32>,
    /// Lists of certificates that were taken back, PEM.
    pub revocation_lists: Vec<String>,
    /// Whether each certificate on the signer's path has to be spoken of by a list.
    pub require_revocation_list: bool,
    /// The most seconds since such a list was made.
    #[schema(minimum = 1)]
    pub revocation_list_max_age: Option<u32>,
    /// Rules that are waived, by their names.
    pub tolerances: Vec<String>,
}

impl Policy {
    /// A tenant's, with its revision; the provider's own where there is none.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of(db: &mut Transaction<'_, Sqlite>, tenant: Option<&str>) -> Result<(Self, i64)> {
        let row = sqlx::query("SELECT document, revision FROM policies WHERE COALESCE(tenant, '') = $1")
            .bind(tenant.unwrap_or_default())
            .fetch_optional(&mut **db)
            .await?;
        let Some(row) = row else {
            return Ok((Self::default(), 0));
        };
        let document: String = row.get("document");
        let policy = serde_json::from_str(&document).map_err(|error| {
            Error::new(
                Kind::StateCorrupt,
                "the database",
                "has a policy that can't be read",
            )
            .because(error)
        })?;
        Ok((policy, row.get("revision")))
    }

    /// Puts it in the place of revision `was`.
    ///
    /// # Errors
    /// [`Kind::Changed`]; [`Kind::Malformed`] for one that makes no sense.
    pub async fn set(&self, db: &mut Transaction<'_, Sqlite>, tenant: Option<&str>, was: i64) -> Result<i64> {
        self.against(TrustRoots::default(), Moment(0))?;
        if Self::of(db, tenant).await?.1 != was {
            return Err(Error::new(
                Kind::Changed,
                "the policy",
                "has changed since it was read",
            ));
        }
        let document = serde_json::to_string(self).unwrap_or_default();
        let written = match was {
            0 => sqlx::query("INSERT INTO policies (tenant, document, id, revision) VALUES ($1, $2, $3, 1)")
                .bind(tenant)
                .bind(document)
                .bind(Uuid::new_v4().to_string()),
            _ => sqlx::query(
                "UPDATE policies SET document = $1, revision = revision + 1 WHERE COALESCE(tenant, '') = $2",
            )
            .bind(document)
            .bind(tenant.unwrap_or_default()),
        };
        written.execute(&mut **db).await?;
        Ok(was + 1)
    }

    /// What a tenant's packages are judged by at a time.
    ///
    /// # Errors
    /// The database fails.
    pub async fn in_force(
        db: &mut Transaction<'_, Sqlite>,
        tenant: Option<&str>,
        now: Moment,
    ) -> Result<InForce> {
        let (policy, _) = Self::of(db, tenant).await?;
        let roots = Root::of(db, tenant).await?;
        let mut text = serde_json::to_string(&policy).unwrap_or_default();
        for root in &roots {
            text.push('\n');
            text.push_str(&root.fingerprint);
        }
        let believes_nobody = policy.signer == Signer::Trusted && policy.pins.is_empty() && roots.is_empty();
        let roots = roots.iter().map(Root::certificate).collect::<Result<_>>()?;
        Ok(InForce {
            policy: policy.against(TrustRoots::new(roots), now)?,
            digest: Digest::of(text.as_bytes()),
            believes_nobody,
        })
    }

    /// The same as the verifier knows it.
    fn against(&self, roots: TrustRoots, now: Moment) -> Result<ovf::verify::Policy> {
        let wrong = |what: &str| Error::new(Kind::Malformed, "the policy", what.to_owned());
        let lists = [
            self.pins.len(),
            self.revocation_lists.len(),
            self.tolerances.len(),
        ];
        if lists.iter().any(|length| *length > MOST) {
            return Err(wrong(&format!("names more than {MOST} of a sort")));
        }
        let bits = self.min_key_bits.map_or(Ok(MIN_KEY_BITS), usize::try_from);
        let bits = bits
            .ok()
            .filter(|bits| (MIN_KEY_BITS..=LARGEST_KEY).contains(bits));
        let bits = bits.ok_or_else(|| {
            wrong(&format!(
                "asks for RSA keys that have not {MIN_KEY_BITS} to {LARGEST_KEY} bits"
            ))
        })?;
        if self.revocation_list_max_age == Some(0) {
            return Err(wrong("takes no revocation list, however new"));
        }
        let pin = |text: &String| {
            KeyPin::parse(text).map_err(|error| wrong("has a pin that is none").because(error))
        };
        let mut revocation = Revocation {
            lists: Vec::new(),
            required: self.require_revocation_list,
            max_age: self.revocation_list_max_age.map(i64::from),
        };
        for list in &self.revocation_lists {
            let found = Crl::all_from(list.as_bytes())
                .map_err(|error| wrong("has a revocation list that is none").because(error))?;
            revocation.lists.extend(found);
        }
        let mut policy = ovf::verify::Policy::at(now.0 / 1000);
        for name in &self.tolerances {
            let tolerance = Tolerance::parse(name)
                .ok_or_else(|| wrong(&format!("tolerates '{name}', which is no rule's name")))?;
            policy.tolerances.push(tolerance);
        }
        policy.require_signature = self.signer != Signer::None;
        if self.signer == Signer::Trusted {
            policy.roots = roots;
            policy.pins = self.pins.iter().map(pin).collect::<Result<_>>()?;
        }
        policy.min_key_bits = bits;
        policy.revocation = revocation;
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(document: &str) -> Result<ovf::verify::Policy> {
        let policy: Policy = serde_json::from_str(document).unwrap();
        policy.against(TrustRoots::default(), Moment(1_800_000_000_000))
    }

    #[test]
    fn a_policy_that_says_nothing_asks_for_a_signature_and_tolerates_nothing_that_weakens() {
        let none = policy("{}").unwrap();
        assert!(none.require_signature && none.require_manifest);
        assert_eq!((none.now, none.min_key_bits), (1_800_000_000, MIN_KEY_BITS));
        assert!(!none.tolerances.contains(&Tolerance::Sha1));
        assert!(!policy(r#"{"signer": "none"}"#).unwrap().require_signature);
        assert_eq!(policy(r#"{"min_key_bits": 4096}"#).unwrap().min_key_bits, 4096);
        assert!(serde_json::from_str::<Policy>(r#"{"signers": "any"}"#).is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in [
            r#"{"pins": ["abc"]}"#.to_owned(),
            r#"{"min_key_bits": 1024}"#.to_owned(),
            r#"{"min_key_bits": 100000}"#.to_owned(),
            r#"{"revocation_list_max_age": 0}"#.to_owned(),
            r#"{"tolerances": ["everything"]}"#.to_owned(),
            r#"{"revocation_lists": ["-----BEGIN X509 CRL-----"]}"#.to_owned(),
            format!("{{\"tolerances\": [{}\"sha1\"]}}", "\"sha1\",".repeat(MOST)),
        ] {
            assert_eq!(policy(&bad).unwrap_err().kind(), Kind::Malformed, "{bad}");
        }
    }
}
