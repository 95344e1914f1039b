//! What a destination vouches for.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Place, Refusal};
use crate::clock::Moment;
use crate::digest::Digest;

/// How a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = TransferOutcome)]
pub enum Outcome {
    /// It can be had at the destination.
    Published,
    /// It was refused.
    Rejected,
}

/// A destination's statement of what became of a transfer, signed by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TransferReceipt)]
pub struct Receipt {
    /// The transfer.
    pub transfer: Uuid,
    /// SHA-256 of the grant that it was for.
    #[schema(value_type = String)]
    pub grant: Digest,
    /// The node that says so.
    pub node: Uuid,
    /// What became of it.
    pub outcome: Outcome,
    /// Where.
    pub place: Place,
    /// The version.
    pub label: String,
    /// Its digest, by its files.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// The product's own version, as the signed descriptor tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Whom the publisher's certificate names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// SHA-256 of the policy and the certificates that it was judged by.
    #[schema(value_type = String)]
    pub policy: Digest,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// When it was decided.
    #[schema(value_type = String, format = DateTime)]
    pub at: Moment,
}
