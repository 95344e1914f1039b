//! Why a transfer was refused.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest reason, in characters.
const REASON: usize = 500;

/// Why a transfer was refused: which rule, and where it was broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refusal {
    /// The rule's stable code, such as `grant.expired`, `source.chunk` or one of the verifier's.
    pub rule: String,
    /// The file that breaks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The chunk, by its first byte in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<u64>,
    /// In words.
    pub reason: String,
}

impl Refusal {
    /// By a rule, for a reason.
    pub fn new(rule: &str, reason: impl std::fmt::Display) -> Self {
        Self {
            rule: rule.to_owned(),
            file: None,
            chunk: None,
            reason: reason.to_string().chars().take(REASON).collect(),
        }
    }

    /// In a file.
    #[must_use]
    pub fn of_file(self, name: &str) -> Self {
        Self {
            file: Some(name.to_owned()),
            ..self
        }
    }

    /// In the chunk that begins at a byte of it.
    #[must_use]
    pub fn at_chunk(self, start: u64) -> Self {
        Self {
            chunk: Some(start),
            ..self
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.rule)?;
        if let Some(file) = &self.file {
            write!(f, ": {file}")?;
        }
        if let Some(chunk) = self.chunk {
            write!(f, ", the chunk at byte {chunk}")?;
        }
        write!(f, ": {}", self.reason)
    }
}
