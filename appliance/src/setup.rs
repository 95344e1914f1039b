//! The first start: whoever reads the code on the machine's console makes the first administrator. There is no password
//! that was there before.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::{Sqlite, Transaction};

use crate::access::{Name, NewUser, Role, User};
use crate::audit::{self, Deed};
use crate::clock::Moment;
use crate::database::{self, Database};
use crate::digest::{hex, sha256};
use crate::error::{Error, Kind, Result};

/// When the connector was set up, in milliseconds since 1970.
const SETTING: &str = "set-up";
/// Crockford's letters: none that is taken for another.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 12;

/// A code of 60 random bits, `XXXX-XXXX-XXXX`, kept in memory alone: a new one with every start.
#[derive(Clone)]
pub struct Code([u8; LENGTH]);

impl Code {
    pub(crate) fn new() -> Result<Self> {
        let mut bytes = [0; LENGTH];
        crate::entropy::fill(&mut bytes)?;
        Ok(Self(bytes.map(|byte| LETTERS[usize::from(byte % 32)])))
    }

    /// Whether somebody typed it; small letters, spaces and hyphens are forgiven, and O, I and L for what they look like.
    pub fn is(&self, typed: &str) -> bool {
        // How long it takes tells of digests, and nothing of the code.
        self.digest() == Self::digest_of(typed)
    }

    /// SHA-256 in hexadecimal: what is kept of a code in a file.
    pub(crate) fn digest(&self) -> String {
        hex(&sha256(&self.0))
    }

    /// The same of what somebody typed.
    pub(crate) fn digest_of(typed: &str) -> String {
        let typed: Vec<u8> = typed
            .bytes()
            .filter(|byte| !matches!(byte, b' ' | b'-'))
            .map(|byte| match byte.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            })
            .collect();
        hex(&sha256(&typed))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.0.chunks(4).enumerate() {
            let hyphen = if index == 0 { "" } else { "-" };
            write!(f, "{hyphen}{}", String::from_utf8_lossy(group))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

/// Whether the connector is set up, and by what code it can be.
#[derive(Debug)]
pub struct Setup {
    code: Code,
    done: AtomicBool,
}

impl Setup {
    /// Looks whether it was set up.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of(database: &Database) -> Result<Self> {
        let setting = database::setting(&mut database.begin().await?, SETTING).await?;
        Ok(Self {
            code: Code::new()?,
            done: AtomicBool::new(setting.is_some()),
        })
    }

    /// Whether it is set up.
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// The code for the console; none once it was used.
    pub fn code(&self) -> Option<&Code> {
        (!self.is_done()).then_some(&self.code)
    }

    /// Whether nobody was faster, as of this transaction.
    ///
    /// # Errors
    /// The database fails.
    pub async fn is_open(&self, db: &mut Transaction<'_, Sqlite>) -> Result<bool> {
        Ok(database::setting(db, SETTING).await?.is_none())
    }

    /// Makes the first administrator, once.
    ///
    /// # Errors
    /// [`Kind::Taken`] if somebody was faster.
    pub async fn finish(
        &self,
        mut db: Transaction<'_, Sqlite>,
        name: Name,
        hash: String,
        now: Moment,
    ) -> Result<User> {
        if !self.is_open(&mut db).await? {
            return Err(Error::new(
                Kind::Taken,
                "set-up",
                "the connector is set up already",
            ));
        }
        let new = NewUser {
            name,
            role: Role::ProviderAdmin,
            tenant: None,
            hash: Some(hash),
        };
        let user = User::create(&mut db, new, now).await?;
        database::set(&mut db, SETTING, &now.0.to_string()).await?;
        let deed = Deed {
            actor: "set-up",
            tenant: None,
            action: "user.create",
            object: &user.name,
            outcome: "done",
        };
        audit::record(&mut db, deed, now).await?;
        db.commit().await?;
        self.done.store(true, Ordering::Release);
        Ok(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_forgiving_about_how_it_is_typed_and_about_nothing_else() {
        let code = Code(*b"0123456789AB");
        assert_eq!(code.to_string(), "0123-4567-89AB");
        assert!(code.is("o123 4567-89ab") && code.is("OI23456789AB"));
        for wrong in ["", "0123-4567-89AC", "0123-4567-89A", "0123-4567-89ABC"] {
            assert!(!code.is(wrong), "{wrong}");
        }
        assert_ne!(Code::new().unwrap().to_string(), Code::new().unwrap().to_string());
    }
}
