//! What a backup says of itself.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Moment;
use crate::error::{Error, Kind, Result};
use crate::product::PROGRAM_VERSION;

/// The name of the manifest in a backup.
pub(super) const NAME: &str = "vcc-backup.json";
/// The longest manifest in bytes.
pub(super) const LIMIT: u64 = 64 << 10;
pub(super) const DATABASE: &str = "vcc.db";

const FORMAT: &str = "vcc-backup";
const VERSION: u32 = 1;
const SMALL: u64 = 64 << 10;

/// Members in their order, and the most bytes of each.
pub(super) const KNOWN: [(&str, u64); 4] = [
    ("identity/instance-id", 4096),
    ("identity/key.pem", SMALL),
    ("identity/cert.pem", SMALL),
    (DATABASE, 64 << 30),
];

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: String,
    version: u32,
    /// When it was made.
    pub made: Moment,
    /// The version of the program that made it.
    pub program: String,
    /// The identifier of the instance whose state it is.
    pub instance: Uuid,
    /// What it holds, in this order.
    pub members: Vec<Member>,
}

/// A file in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its path in the state directory.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256 digest, 64 hexadecimal digits.
    pub sha256: String,
}

/// What is read before the rest, which another version may have changed.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

impl Manifest {
    pub(super) fn new(instance: Uuid, made: Moment, members: Vec<Member>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            made,
            program: PROGRAM_VERSION.to_owned(),
            instance,
            members,
        }
    }

    /// Reads one, and sees that it lists what a backup holds and nothing else.
    ///
    /// # Errors
    /// [`Kind::Malformed`], and [`Kind::Ceiling`] for a member that is too long.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let damaged = |error| wrong("is no manifest of a backup").because(error);
        let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
        if head.format != FORMAT {
            return Err(wrong("is no manifest of a backup"));
        }
        if head.version != VERSION {
            let reason = format!(
                "is of version {}; this program knows version {VERSION}",
                head.version
            );
            return Err(wrong(reason));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(damaged)?;
        manifest.check()?;
        Ok(manifest)
    }

    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|error| wrong("cannot be written").because(error))
    }

    /// Whether a member has this name, or lies in the directory of this name.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.members
            .iter()
            .any(|member| member.name.split('/').next() == Some(name))
    }

    fn check(&self) -> Result<()> {
        let mut known = KNOWN.iter();
        let mut listed = Vec::new();
        for member in &self.members {
            let Some((name, most)) = known.find(|(name, _)| *name == member.name) else {
                let reason = format!(
                    "lists '{}', which no backup has at that place",
                    member.name.escape_default()
                );
                return Err(wrong(reason));
            };
            if member.size > *most {
                let reason = format!("is longer than {most} bytes");
                return Err(Error::new(Kind::Ceiling, *name, reason));
            }
            let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            if member.sha256.len() != 64 || !member.sha256.bytes().all(is_digit) {
                return Err(wrong(format!("has no digest of {name}")));
            }
            listed.push(*name);
        }
        match KNOWN.iter().find(|(name, _)| !listed.contains(name)) {
            Some((name, _)) => Err(wrong(format!("lists no {name}"))),
            None => Ok(()),
        }
    }
}

fn wrong(reason: impl Into<String>) -> Error {
    Error::new(Kind::Malformed, NAME, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn manifest() -> Value {
        let members = KNOWN.map(|(name, _)| json!({ "name": name, "size": 1, "sha256": "0".repeat(64) }));
        json!({
            "format": FORMAT, "version": VERSION, "made": "2026-01-02T03:04:05Z", "program": "1",
            "instance": Uuid::nil(), "members": members,
        })
    }

    fn read(manifest: &Value) -> Result<Manifest> {
        Manifest::read(manifest.to_string().as_bytes())
    }

    #[test]
    fn a_manifest_is_read() {
        let read = read(&manifest()).unwrap();
        assert!(read.holds("identity") && read.holds(DATABASE) && !read.holds("lock"));
    }

    #[test]
    fn what_no_backup_has_is_refused_and_named() {
        let set = |path: &str, value: Value| {
            let mut own = manifest();
            *own.pointer_mut(path).unwrap() = value;
            own
        };
        let mut doubled = manifest();
        let first = doubled["members"][0].clone();
        doubled["members"].as_array_mut().unwrap().insert(1, first);
        let mut halved = manifest();
        halved["members"].as_array_mut().unwrap().remove(2);
        let mut more = manifest();
        more["more"] = json!(1);
        for (own, told) in [
            (set("/format", json!("other")), "no manifest"),
            (set("/version", json!(2)), "version 2"),
            (
                set("/members/0/name", json!("identity/../lock")),
                "identity/../lock",
            ),
            (set("/members/0/name", json!("/etc/passwd")), "/etc/passwd"),
            (set("/members/1/size", json!(SMALL + 1)), "longer"),
            (set("/members/1/sha256", json!("0".repeat(63))), "no digest"),
            (set("/members/1/sha256", json!("F".repeat(64))), "no digest"),
            (set("/members", json!([])), "lists no"),
            (doubled, "identity/instance-id"),
            (halved, "identity/cert.pem"),
            (more, "unknown field"),
            (json!(7), "no manifest"),
        ] {
            let refused = read(&own).unwrap_err().chain().to_string();
            assert!(refused.contains(told), "{refused}: {told}");
        }
    }
}
