//! Permission to move one version, once.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Place;
use crate::catalog::Sort;
use crate::clock::Moment;
use crate::digest::Digest;

/// A node that takes part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TransferParty)]
pub struct Party {
    /// Its id.
    pub node: Uuid,
    /// Its cloud's name.
    pub cloud: String,
    /// Where the version is, or is to be, there.
    pub place: Place,
}

/// What a server lets two nodes do, signed by its authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TransferGrant)]
pub struct Grant {
    /// The transfer's id; a grant is good for this one.
    pub transfer: Uuid,
    /// Counts the server's grants.
    pub number: i64,
    /// Who has it.
    pub source: Party,
    /// Who gets it.
    pub destination: Party,
    /// The version's id at the source.
    pub version: Uuid,
    /// What it is called.
    pub label: String,
    /// What it is.
    pub kind: Sort,
    /// Its digest, by its files: see [`Offer::digest`](super::Offer::digest).
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub digest: Digest,
    /// Bytes of its files.
    pub bytes: u64,
    /// The newest version of the item for which the destination gave a receipt, as far as the server knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<String>,
    /// The node that passes the bytes on, where neither end reaches the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Uuid>,
    /// Whether the source is to remove it after the receipt.
    #[serde(default)]
    pub moves: bool,
    /// The subscription that it follows from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<Uuid>,
    /// When it was signed.
    #[schema(value_type = String, format = DateTime)]
    pub issued: Moment,
    /// Until when it can be begun.
    #[schema(value_type = String, format = DateTime)]
    pub expires: Moment,
}
