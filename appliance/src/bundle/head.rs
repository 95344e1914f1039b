//! What a bundle says of itself.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::transfer::{Grant, Offer, Purpose, Signed};

/// The longest head in bytes of JSON: a node takes no longer request.
pub(super) const LONGEST: usize = 60 << 10;

/// What is in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    /// The server's grant.
    pub(crate) grant: Signed,
    /// What the source has.
    pub(crate) offer: Offer,
}

impl Head {
    /// What the grant says. That the server signed it, nodes of that server can tell, and nobody here.
    ///
    /// # Errors
    /// [`Kind::Malformed`], or [`Kind::Mismatch`] where the grant is for something else than what is offered.
    pub(crate) fn granted(&self) -> Result<Grant> {
        let grant: Grant = self.grant.read(Purpose::Grant)?;
        self.offer
            .new_files()
            .map_err(|reason| Error::new(Kind::Malformed, "the bundle", reason))?;
        match self.offer.is_of(&grant) {
            true => Ok(grant),
            false => Err(Error::new(
                Kind::Mismatch,
                "the grant",
                "is for another version than the files are of",
            )),
        }
    }

    pub(super) fn write(&self) -> Result<Vec<u8>> {
        let written = serde_json::to_vec(self);
        let bytes = written
            .map_err(|error| Error::new(Kind::Malformed, "the bundle", "can't be written").because(error))?;
        match bytes.len() <= LONGEST {
            true => Ok(bytes),
            false => Err(Error::new(
                Kind::Ceiling,
                "the version",
                format!("has so many files that what names them is longer than {LONGEST} bytes"),
            )),
        }
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let head: Self = serde_json::from_slice(bytes).map_err(|error| {
            Error::new(Kind::Malformed, "the bundle", "has a head that can't be read").because(error)
        })?;
        head.granted()?;
        Ok(head)
    }
}
