//! Whom to believe, as a TOML file: what `ova verify` takes as flags, to be kept beside what it is about.

mod age;

use std::path::{Path, PathBuf};

use ovf::certificate::{Crl, KeyPin, MIN_KEY_BITS, TrustRoots};
use ovf::manifest::DigestAlgorithm;
use ovf::verify::{Policy, Tolerance};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use toml::Spanned;

use crate::error::{Error, Result};
use crate::input::read_bounded;
use crate::recipe::Spot;

pub use age::Age;

/// The policy file's shape; what is left out is as [`Policy::at`] has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    #[serde(default)]
    roots: Vec<Spanned<PathBuf>>,
    #[serde(default)]
    pins: Vec<Spanned<String>>,
    require_signature: Option<bool>,
    require_manifest: Option<bool>,
    tolerate: Option<Vec<Spanned<String>>>,
    min_key_bits: Option<Spanned<usize>>,
    min_digest: Option<Spanned<String>>,
    at: Option<Spanned<String>>,
    revocation: Option<Revocation>,
}

/// `[revocation]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Revocation {
    #[serde(default)]
    lists: Vec<Spanned<PathBuf>>,
    #[serde(default)]
    required: bool,
    max_age: Option<Age>,
}

/// A policy larger than this is not a policy.
const MAX_POLICY_BYTES: u64 = 1 << 20;
/// A file of trusted certificates is at most this long.
const MAX_ROOTS_BYTES: u64 = 16 << 20;
/// Large authorities have lists of some megabytes.
const MAX_CRL_BYTES: u64 = 64 << 20;

/// Reads a policy file; `now` holds, in Unix time, where the file names no time. Files that it names are taken from its
/// folder.
///
/// # Errors
/// It can't be read, or anything in it is wrong: the error names line and column.
pub fn open(path: &Path, now: i64) -> Result<Policy> {
    let bytes = read_bounded(path, MAX_POLICY_BYTES)?;
    let text = String::from_utf8(bytes)
        .map_err(|error| Error::recipe(path, None, format!("not UTF-8: {}", error.utf8_error())))?;
    let document: Document = toml::from_str(&text).map_err(|error| {
        let spot = error.span().map(|span| Spot::of(&text, span.start));
        Error::recipe(path, spot, error.message().to_owned())
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    document
        .into_policy(folder, now)
        .map_err(|fault| Error::recipe(path, Some(Spot::of(&text, fault.offset)), fault.reason))
}

/// Something wrong at a byte of the file.
struct Fault {
    offset: usize,
    reason: String,
}

fn at<T>(value: &Spanned<T>) -> impl Fn(String) -> Fault {
    let offset = value.span().start;
    move |reason| Fault { offset, reason }
}

impl Document {
    fn into_policy(self, folder: &Path, now: i64) -> Result<Policy, Fault> {
        let mut policy = Policy::at(now);
        for path in &self.roots {
            let read = read_roots(&folder.join(path.get_ref()));
            policy
                .roots
                .extend(read.map_err(|error| at(path)(error.to_string()))?);
        }
        for pin in &self.pins {
            let parsed = KeyPin::parse(pin.get_ref());
            policy
                .pins
                .push(parsed.map_err(|error| at(pin)(error.reason().to_owned()))?);
        }
        policy.require_signature = self.require_signature.unwrap_or(false);
        policy.require_manifest = self.require_manifest.unwrap_or(true);
        if let Some(names) = &self.tolerate {
            policy.tolerances.clear();
            for name in names {
                policy
                    .tolerances
                    .extend(tolerances(name.get_ref()).map_err(at(name))?);
            }
        }
        if let Some(bits) = &self.min_key_bits {
            policy.min_key_bits = key_bits(*bits.get_ref()).map_err(at(bits))?;
        }
        if let Some(digest) = &self.min_digest {
            policy.min_digest = strong_digest(digest.get_ref()).map_err(at(digest))?;
        }
        if let Some(time) = &self.at {
            policy.now = unix_time(time.get_ref()).map_err(at(time))?;
        }
        if let Some(revocation) = &self.revocation {
            for path in &revocation.lists {
                let read = read_crls(&folder.join(path.get_ref()));
                let read = read.map_err(|error| at(path)(error.to_string()))?;
                policy.revocation.lists.extend(read);
            }
            policy.revocation.required = revocation.required;
            policy.revocation.max_age = revocation.max_age.map(Age::seconds);
        }
        Ok(policy)
    }
}

/// Reads trusted certificates: PEM or DER.
///
/// # Errors
/// The file can't be read, or holds none.
pub fn read_roots(path: &Path) -> Result<TrustRoots> {
    let bytes = read_bounded(path, MAX_ROOTS_BYTES)?;
    Ok(TrustRoots::parse(&bytes).map_err(|error| error.in_member(path.display()))?)
}

/// Reads revocation lists: PEM or DER.
///
/// # Errors
/// The file can't be read, or holds none.
pub fn read_crls(path: &Path) -> Result<Vec<Crl>> {
    let bytes = read_bounded(path, MAX_CRL_BYTES)?;
    Ok(Crl::all_from(&bytes).map_err(|error| error.in_member(path.display()))?)
}

/// The tolerances of a name: one, or `spellings` for all that are harmless.
///
/// # Errors
/// There is none of that name: the text lists those there are.
pub fn tolerances(name: &str) -> Result<Vec<Tolerance>, String> {
    if name == "spellings" {
        return Ok(Tolerance::harmless().collect());
    }
    Tolerance::parse(name)
        .map(|tolerance| vec![tolerance])
        .ok_or_else(|| {
            let known: Vec<_> = Tolerance::all().map(Tolerance::name).collect();
            format!(
                "'{name}' is not a tolerance; there are: spellings, {}",
                known.join(", ")
            )
        })
}

/// A least size of keys.
///
/// # Errors
/// It is below what is accepted of anybody, or above what there is.
pub fn key_bits(bits: usize) -> Result<usize, String> {
    if (MIN_KEY_BITS..=8192).contains(&bits) {
        return Ok(bits);
    }
    Err(format!("RSA keys of {MIN_KEY_BITS} to 8192 bits can be verified"))
}

/// A digest that may be written: `sha256`, `sha384`, `sha512`.
///
/// # Errors
/// It is another.
pub fn strong_digest(name: &str) -> Result<DigestAlgorithm, String> {
    DigestAlgorithm::ALL
        .into_iter()
        .find(|digest| digest.is_strong() && digest.option_name() == name)
        .ok_or_else(|| format!("'{name}' is not sha256, sha384 or sha512"))
}

/// A time of RFC 3339, such as `2026-07-01T00:00:00Z`, in Unix time.
///
/// # Errors
/// It isn't one.
pub fn unix_time(text: &str) -> Result<i64, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map(OffsetDateTime::unix_timestamp)
        .map_err(|error| format!("'{text}' is not a time such as 2026-07-01T00:00:00Z: {error}"))
}

#[cfg(test)]
mod tests;
