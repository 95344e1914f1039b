//! What a source has.

use ovf::package::MemberName;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Grant;
use crate::catalog::{NewFile, Sort, digest_of_files};
use crate::digest::Digest;

/// A version that a source can send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Offer {
    /// What it is called.
    pub label: String,
    /// What it is.
    pub kind: Sort,
    /// Its files, in their order.
    pub files: Vec<OfferedFile>,
}

/// A file of an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfferedFile {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 digest.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub digest: Digest,
}

impl Offer {
    /// The version's digest: what a grant names.
    pub fn digest(&self) -> Digest {
        digest_of_files(
            self.files
                .iter()
                .map(|file| (file.digest, file.bytes, file.name.as_str())),
        )
    }

    /// Whether it is what a grant is for.
    pub fn is_of(&self, grant: &Grant) -> bool {
        self.label == grant.label
            && self.kind == grant.kind
            && self.bytes() == grant.bytes
            && self.digest() == grant.digest
    }

    /// Bytes of all files; the most there can be where it is more.
    pub fn bytes(&self) -> u64 {
        self.files
            .iter()
            .fold(0, |sum: u64, file| sum.saturating_add(file.bytes))
    }

    /// The files as a version announces them.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new_files(&self) -> Result<Vec<NewFile>, String> {
        let new = |file: &OfferedFile| {
            let bytes =
                i64::try_from(file.bytes).map_err(|_| format!("the file '{}' is too long", file.name))?;
            Ok(NewFile {
                name: file.name.clone(),
                bytes,
                digest: Some(file.digest.to_string()),
            })
        };
        let files = self.files.iter().map(new).collect::<Result<Vec<_>, String>>()?;
        match NewFile::fault(&files) {
            Some(fault) => Err(fault),
            None => Ok(files),
        }
    }

    /// Whether a file is a package by itself.
    pub fn is_archive(file: &OfferedFile) -> bool {
        MemberName::parse(&file.name).is_ok_and(|name| name.has_extension("ova"))
    }

    /// Whether a file is one that a package is judged by: small, and fetched before the others.
    pub fn is_leading(file: &OfferedFile) -> bool {
        MemberName::parse(&file.name).is_ok_and(|name| {
            ["ovf", "mf", "cert"]
                .iter()
                .any(|extension| name.has_extension(extension))
        })
    }
}
