//! Configuration: what a connector is told to be like, by its own administrators and by its server.
//!
//! A server keeps what is wanted for all nodes, for those of a cloud and for one node, in versions; the narrower one wins, field
//! by field. A node is given the whole of what holds for it, never a difference: after any number of changes one answer brings
//! it up to date. Whatever its own administrators change afterwards is drift, which is shown and left until somebody decides.

mod desired;
mod own;
mod settings;

pub use desired::{
    Actor, Configuration, Convergence, NewConfiguration, Scope, Status, apply, inherit, note, push,
};
pub use own::Own;
pub use settings::{Difference, Settings};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a server gives a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Push {
    /// Names it; a node tells the one that it followed last.
    pub id: String,
    /// All that is to be in effect. A node that doesn't know a setting refuses the whole.
    #[schema(value_type = Settings)]
    pub settings: serde_json::Value,
}

/// What a node tells its server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The push that it followed last, or refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64)]
    pub push: Option<String>,
    /// Why it refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 500)]
    pub refused: Option<String>,
    /// What is in effect.
    pub settings: Settings,
}
