//! Who makes a request.

use super::{Right, Rights, Role};

/// A user, as far as the session or token lets it act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The user's id.
    pub id: String,
    /// What it logs in with.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Its tenant; the provider's user has none.
    pub tenant: Option<String>,
    /// What it may do with this session or token.
    pub rights: Rights,
    /// The session's or token's id.
    pub token: String,
    /// Whether a person logged in, and no program.
    pub is_session: bool,
}

impl Principal {
    /// Whether it may do this.
    pub fn may(&self, right: Right) -> bool {
        self.rights.has(right)
    }

    /// Whether it may see what belongs to a tenant, or to none.
    pub fn sees(&self, tenant: Option<&str>) -> bool {
        self.tenant.is_none() || self.tenant.as_deref() == tenant
    }
}
