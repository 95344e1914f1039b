//! What a connector is for.

pub mod kept;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The part that this connector plays: given on the command line; in an appliance by the property `role`, and where that names
/// none, by whoever sets it up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[schema(as = ConnectorRole)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sits beside a cloud's manager and moves packages in and out of it.
    #[default]
    Node,
    /// Keeps the catalog and orders the work of its nodes.
    Server,
    /// A service provider's gateway for the nodes of its tenants.
    Sp,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Node, Self::Server, Self::Sp];

    /// The name on the command line, in properties and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Server => "server",
            Self::Sp => "sp",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "node" => Ok(Self::Node),
            "server" => Ok(Self::Server),
            "sp" => Ok(Self::Sp),
            _ => Err("the role is none of node, server, sp".to_owned()),
        }
    }
}
