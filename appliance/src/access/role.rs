//! Roles of users.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::right::{Right, Rights};

/// What a user is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs the connector: may do everything.
    ProviderAdmin,
    /// Runs a tenant: its users, its tokens, what is its.
    TenantAdmin,
    /// Works with what is the tenant's.
    TenantUser,
    /// Looks at everything, of the tenant or of all, and changes nothing.
    Auditor,
    /// A program: it has no password, and may do what its token says.
    Robot,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::ProviderAdmin,
        Self::TenantAdmin,
        Self::TenantUser,
        Self::Auditor,
        Self::Robot,
    ];

    /// What the role may do; a robot at most, where its token says so.
    pub fn rights(self) -> Rights {
        match self {
            Self::ProviderAdmin => Rights::all(),
            Self::TenantAdmin => Rights::of(&[
                Right::ReadUsers,
                Right::WriteUsers,
                Right::ReadTenants,
                Right::ReadAudit,
                Right::ReadCatalogs,
                Right::WriteCatalogs,
                Right::ReadTrust,
                Right::WriteTrust,
                Right::ReadTransfers,
                Right::WriteTransfers,
            ]),
            Self::TenantUser => Rights::of(&[
                Right::ReadCatalogs,
                Right::WriteCatalogs,
                Right::ReadTrust,
                Right::ReadTransfers,
                Right::WriteTransfers,
            ]),
            Self::Auditor => Rights::of(&[
                Right::ReadUsers,
                Right::ReadTenants,
                Right::ReadNodes,
                Right::ReadConfiguration,
                Right::ReadTasks,
                Right::ReadAudit,
                Right::ReadCatalogs,
                Right::ReadTrust,
                Right::ReadTransfers,
            ]),
            Self::Robot => Rights::all(),
        }
    }

    /// Whether a user of this role belongs to a tenant; none where either will do.
    pub fn of_tenant(self) -> Option<bool> {
        match self {
            Self::ProviderAdmin => Some(false),
            Self::TenantAdmin | Self::TenantUser => Some(true),
            Self::Auditor | Self::Robot => None,
        }
    }

    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProviderAdmin => "provider-admin",
            Self::TenantAdmin => "tenant-admin",
            Self::TenantUser => "tenant-user",
            Self::Auditor => "auditor",
            Self::Robot => "robot",
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

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("'{text}' is no role"))
    }
}
