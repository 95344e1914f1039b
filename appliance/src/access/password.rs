//! Passwords: Argon2id, one at a time, so that logins take bounded memory.

use std::sync::Arc;

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::error::{Error, Kind, Result};

/// The shortest password, in characters.
const SHORTEST: usize = 10;
/// The longest, in characters.
const LONGEST: usize = 256;
/// Memory in KiB, passes, lanes: OWASP's first choice for Argon2id.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);

/// A password that somebody chose; it is never shown.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// Takes a password that is long enough.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: String) -> Result<Self, String> {
        if !(SHORTEST..=LONGEST).contains(&text.chars().count()) {
            return Err(format!("a password has {SHORTEST} to {LONGEST} characters"));
        }
        Ok(Self(text))
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

/// Hashes and checks passwords.
#[derive(Debug)]
pub struct Passwords {
    turns: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Passwords {
    /// The hash to keep.
    ///
    /// # Errors
    /// There is no randomness, or the service ends.
    pub async fn hash(&self, password: Password) -> Result<String> {
        self.in_turn(move || hash(password.0.as_bytes())).await?
    }

    /// Whether the password is the one that was hashed; of no user, it never is.
    ///
    /// # Errors
    /// The service ends.
    pub async fn is(&self, hash: Option<String>, password: String) -> Result<bool> {
        // A robot's is empty, and takes as long as one of nobody.
        let hash = hash.filter(|hash| !hash.is_empty());
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(nobody);
        let right = self.in_turn(move || {
            let parsed = PasswordHash::new(&hash);
            parsed.is_ok_and(|hash| hasher().verify_password(password.as_bytes(), &hash).is_ok())
        });
        Ok(right.await? && known)
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let ending = || Error::new(Kind::Io, "passwords", "the service ends");
        let turns = Arc::clone(&self.turns);
        let turn = turns
            .acquire_owned()
            .await
            .map_err(|error| ending().because(error))?;
        // The turn lasts as long as the work, also where nobody waits for it any more.
        let work = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        work.await.map_err(|error| ending().because(error))
    }
}

/// A hash of the same cost that no password is known to have: names that nobody has take as long as others.
fn nobody() -> String {
    let (memory, passes, lanes) = COST;
    let (salt, hash) = ("A".repeat(22), "A".repeat(43));
    format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}")
}

fn hasher() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let parameters = Params::new(memory, passes, lanes, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
}

fn hash(password: &[u8]) -> Result<String> {
    let failed = |reason: String| Error::new(Kind::Io, "passwords", reason);
    let mut bytes = [0; 16];
    crate::entropy::fill(&mut bytes)?;
    let salt = SaltString::encode_b64(&bytes).map_err(|error| failed(error.to_string()))?;
    let hash = hasher().hash_password(password, &salt);
    hash.map(|hash| hash.to_string())
        .map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_that_was_hashed_is_right_and_two_hashes_of_it_differ() {
        let passwords = Passwords::default();
        let password = Password::new("correct horse".to_owned()).unwrap();
        let hash = passwords.hash(password.clone()).await.unwrap();
        assert_ne!(hash, passwords.hash(password).await.unwrap());
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        let is = |hash: Option<&String>, text: &str| passwords.is(hash.cloned(), text.to_owned());
        assert!(is(Some(&hash), "correct horse").await.unwrap());
        assert!(!is(Some(&hash), "correct horsf").await.unwrap());
        assert!(!is(None, "correct horse").await.unwrap());
        let (told, nobodys) = (PasswordHash::new(&hash).unwrap(), nobody());
        let nobodys = PasswordHash::new(&nobodys).unwrap();
        assert_eq!(
            (told.algorithm, told.params),
            (nobodys.algorithm, nobodys.params),
            "as dear as others"
        );
        assert!(Password::new("short".to_owned()).is_err());
    }
}
