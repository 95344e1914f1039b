//! Where a version is, or is to be, on a node.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Name;

/// An item of a node's catalogs, by names: ids are a node's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The tenant's name; none for what is the provider's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tenant: Option<Name>,
    /// The catalog's name.
    #[schema(value_type = String)]
    pub catalog: Name,
    /// The item's name.
    #[schema(value_type = String)]
    pub item: Name,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(tenant) = &self.tenant {
            write!(f, "{tenant}:")?;
        }
        write!(f, "{}/{}", self.catalog, self.item)
    }
}
