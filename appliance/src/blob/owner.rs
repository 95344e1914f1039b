//! Whose a file is.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

const PROVIDER: &str = "provider";

/// Whose a file is; a part of every path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The provider's.
    Provider,
    /// A tenant's.
    Tenant(Uuid),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider => f.write_str(PROVIDER),
            Self::Tenant(id) => write!(f, "{}", id.hyphenated()),
        }
    }
}

impl FromStr for Owner {
    type Err = &'static str;

    /// Reads what [`Owner`] writes, and no other way to write the same.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == PROVIDER {
            return Ok(Self::Provider);
        }
        let owner = text.parse().map(Self::Tenant).ok();
        owner
            .filter(|owner| owner.to_string() == text)
            .ok_or("an owner is `provider` or a tenant's UUID")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_has_one_name() {
        let id = "8c9c4b3e-6a43-4f0b-9d2b-0a2b7c1d5e6f";
        for text in [PROVIDER, id] {
            assert_eq!(text.parse::<Owner>().unwrap().to_string(), text);
        }
        for wrong in ["Provider", "..", "", &id.to_uppercase(), &id.replace('-', "")] {
            assert!(wrong.parse::<Owner>().is_err(), "{wrong}");
        }
    }
}
