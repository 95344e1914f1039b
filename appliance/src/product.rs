//! What product this is: `/etc/vcc/product.json`, written by the recipe that built the appliance.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::file;

/// Where an appliance keeps it.
pub const PATH: &str = "/etc/vcc/product.json";
const LIMIT: usize = 64 << 10;
/// The version of this program.
pub const PROGRAM_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The product's name, vendor and version, as people know them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Its name.
    pub product: String,
    /// Who makes it; may be empty.
    #[serde(default)]
    pub vendor: String,
    /// Its version.
    pub version: String,
}

impl Product {
    /// Reads an appliance's file.
    ///
    /// # Errors
    /// [`Kind::Io`], [`Kind::Ceiling`] above 64 KiB, [`Kind::Malformed`].
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = file::read(path, LIMIT)?;
        serde_json::from_slice(&bytes).map_err(|e| {
            Error::new(
                Kind::Malformed,
                path.display().to_string(),
                "is not a product file",
            )
            .because(e)
        })
    }
}

impl Default for Product {
    fn default() -> Self {
        Self {
            product: "Virtual Cloud Connector".to_owned(),
            vendor: String::new(),
            version: PROGRAM_VERSION.to_owned(),
        }
    }
}
