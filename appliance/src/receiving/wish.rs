//! What a server orders of a destination.

use serde::{Deserialize, Serialize};

use crate::transfer::{Route, Signed, Window};

/// The most connections of a transfer.
const MOST: u8 = 8;
/// As many as there are where nothing is said.
const USUAL: u8 = 4;

/// What is to be received, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wish {
    /// By what.
    pub grant: Signed,
    /// On what way.
    pub route: Route,
    /// The most bytes in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// Connections at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u8>,
    /// Within which hours of each day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

impl Wish {
    /// Connections at once.
    pub(super) fn connections(&self) -> u8 {
        self.parallel.unwrap_or(USUAL).clamp(1, MOST)
    }
}
