//! How far a transfer is, as the destination tells its server.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Refusal, Signed};

/// How far a destination is with a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = TransferPhase)]
pub enum Phase {
    /// It looks at the grant, and reaches for the source.
    Granted,
    /// Bytes come, into quarantine.
    Receiving,
    /// All is there and keeps the policy.
    Verified,
    /// It is the tenant's, and not shown yet.
    Imported,
    /// It can be had.
    Published,
    /// It was refused, and its bytes are gone.
    Rejected,
    /// The source can't be reached this way.
    Unreachable,
}

impl Phase {
    /// The name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "GRANTED",
            Self::Receiving => "RECEIVING",
            Self::Verified => "VERIFIED",
            Self::Imported => "IMPORTED",
            Self::Published => "PUBLISHED",
            Self::Rejected => "REJECTED",
            Self::Unreachable => "UNREACHABLE",
        }
    }

    /// The one of a name.
    pub fn named(name: &str) -> Option<Self> {
        [
            Self::Granted,
            Self::Receiving,
            Self::Verified,
            Self::Imported,
            Self::Published,
            Self::Rejected,
            Self::Unreachable,
        ]
        .into_iter()
        .find(|phase| phase.as_str() == name)
    }

    /// Whether it was decided.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Published | Self::Rejected)
    }
}

/// What a destination tells with its task's progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Told {
    /// How far it is.
    pub phase: Phase,
    /// Bytes that came over the network: content and indexes.
    pub wire: u64,
    /// Bytes that the tenant had already.
    pub reused: u64,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// What it signed in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Signed>,
}

impl Told {
    /// Of what has got so far, with nothing counted yet.
    pub fn at(phase: Phase) -> Self {
        Self {
            phase,
            wire: 0,
            reused: 0,
            refusal: None,
            receipt: None,
        }
    }
}
