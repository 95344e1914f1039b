//! Rights, and sets of them: what a role may do, and what a token is limited to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One thing that may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Right {
    /// See users and their tokens.
    #[serde(rename = "users:read")]
    ReadUsers,
    /// Make, change and remove users, and their tokens.
    #[serde(rename = "users:write")]
    WriteUsers,
    /// See tenants.
    #[serde(rename = "tenants:read")]
    ReadTenants,
    /// Make and remove tenants.
    #[serde(rename = "tenants:write")]
    WriteTenants,
    /// See nodes.
    #[serde(rename = "nodes:read")]
    ReadNodes,
    /// Make enrolment codes; approve, suspend and revoke nodes.
    #[serde(rename = "nodes:write")]
    WriteNodes,
    /// See what is configured: the connector, and on a server its nodes.
    #[serde(rename = "configuration:read")]
    ReadConfiguration,
    /// Change it.
    #[serde(rename = "configuration:write")]
    WriteConfiguration,
    /// See the tasks of nodes.
    #[serde(rename = "tasks:read")]
    ReadTasks,
    /// Order tasks, and stop them.
    #[serde(rename = "tasks:write")]
    WriteTasks,
    /// See the audit log.
    #[serde(rename = "audit:read")]
    ReadAudit,
    /// See catalogs, and take what they offer.
    #[serde(rename = "catalogs:read")]
    ReadCatalogs,
    /// Make and change catalogs, and bring and remove what they offer.
    #[serde(rename = "catalogs:write")]
    WriteCatalogs,
    /// See whom the tenant believes, and what it asks of packages.
    #[serde(rename = "trust:read")]
    ReadTrust,
    /// Change that.
    #[serde(rename = "trust:write")]
    WriteTrust,
    /// See what moves between clouds.
    #[serde(rename = "transfers:read")]
    ReadTransfers,
    /// Move what catalogs offer between clouds, and have catalogs follow others.
    #[serde(rename = "transfers:write")]
    WriteTransfers,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::ReadUsers,
        Self::WriteUsers,
        Self::ReadTenants,
        Self::WriteTenants,
        Self::ReadNodes,
        Self::WriteNodes,
        Self::ReadConfiguration,
        Self::WriteConfiguration,
        Self::ReadTasks,
        Self::WriteTasks,
        Self::ReadAudit,
        Self::ReadCatalogs,
        Self::WriteCatalogs,
        Self::ReadTrust,
        Self::WriteTrust,
        Self::ReadTransfers,
        Self::WriteTransfers,
    ];

    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadUsers => "users:read",
            Self::WriteUsers => "users:write",
            Self::ReadTenants => "tenants:read",
            Self::WriteTenants => "tenants:write",
            Self::ReadNodes => "nodes:read",
            Self::WriteNodes => "nodes:write",
            Self::ReadConfiguration => "configuration:read",
            Self::WriteConfiguration => "configuration:write",
            Self::ReadTasks => "tasks:read",
            Self::WriteTasks => "tasks:write",
            Self::ReadAudit => "audit:read",
            Self::ReadCatalogs => "catalogs:read",
            Self::WriteCatalogs => "catalogs:write",
            Self::ReadTrust => "trust:read",
            Self::WriteTrust => "trust:write",
            Self::ReadTransfers => "transfers:read",
            Self::WriteTransfers => "transfers:write",
        }
    }
}

/// A set of rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights(u32);

impl Rights {
    /// Every right.
    pub fn all() -> Self {
        Self::of(&Right::ALL)
    }

    /// No right.
    pub fn none() -> Self {
        Self(0)
    }

    /// Those that a user of a tenant can have.
    pub fn of_tenants() -> Self {
        Self::of(&[
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
        ])
    }

    /// These.
    pub fn of(rights: &[Right]) -> Self {
        Self(rights.iter().fold(0, |bits, right| bits | 1 << *right as u32))
    }

    /// Whether it is one of them.
    pub fn has(self, right: Right) -> bool {
        self.0 >> right as u32 & 1 == 1
    }

    /// Those that both have.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether the other set has all of them.
    pub fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// One after the other.
    pub fn each(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.has(*right))
    }
}

impl fmt::Display for Rights {
    /// Their names with spaces between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.each().map(Right::as_str).collect();
        f.write_str(&names.join(" "))
    }
}

impl FromStr for Rights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let right = |name: &str| {
            Right::ALL
                .into_iter()
                .find(|right| right.as_str() == name)
                .ok_or_else(|| format!("'{name}' is no right"))
        };
        let rights = text.split_whitespace().map(right);
        Ok(Self::of(&rights.collect::<Result<Vec<_>, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_reads_as_it_is_written_and_keeps_to_what_it_is_limited_to() {
        let some = Rights::of(&[Right::ReadUsers, Right::ReadAudit]);
        assert_eq!(some.to_string(), "users:read audit:read");
        assert_eq!(some.to_string().parse(), Ok(some));
        assert!(some.within(Rights::all()) && !Rights::all().within(some));
        assert_eq!(
            some.and(Rights::of(&[Right::ReadAudit])).to_string(),
            "audit:read"
        );
        assert!("users:everything".parse::<Rights>().is_err());
    }
}
