//! What the log was at one moment, signed by the connector: whoever keeps it elsewhere can tell later that nothing before it was
//! changed since, whatever was written anew, and can show that it was the connector that said so.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use sqlx::{Sqlite, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::clock::Moment;
use crate::error::{Error, Kind, Result};
use crate::identity::{Fingerprint, Identity};

const PLACE: &str = "the checkpoint";

/// A signed statement that the log has so many entries, of which the last has this digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The instance id of the connector whose log it is.
    #[schema(value_type = String, format = Uuid)]
    pub log: Uuid,
    /// The number of the newest entry.
    pub number: i64,
    /// Its digest, in hexadecimal.
    pub digest: String,
    /// When it was signed.
    #[schema(value_type = String, format = DateTime)]
    pub at: Moment,
    /// The connector's certificate, PEM.
    pub certificate: String,
    /// ECDSA over P-256 and SHA-256 (DER, base64) of five lines: `vcc audit checkpoint 1`, then `log`, `number`, `digest` and `at`,
    /// each with its value after a space. A newline ends each.
    pub signature: String,
}

impl Checkpoint {
    /// Signs what the log is now.
    ///
    /// # Errors
    /// The database fails, or [`Kind::Identity`].
    pub async fn of(db: &mut Transaction<'_, Sqlite>, identity: &Identity, now: Moment) -> Result<Self> {
        let (number, digest) = super::last(db).await?;
        let mut checkpoint = Self {
            log: identity.instance_id(),
            number,
            digest,
            at: now,
            certificate: identity.certificate_pem(),
            signature: String::new(),
        };
        let signature = identity.sign(checkpoint.statement().as_bytes())?;
        checkpoint.signature = BASE64_STANDARD.encode(signature);
        Ok(checkpoint)
    }

    /// Sees that it was signed with the key of the certificate in it, and gives that one's fingerprint.
    ///
    /// # Errors
    /// [`Kind::Malformed`].
    pub fn verify(&self) -> Result<Fingerprint> {
        let malformed = |reason: &str| Error::new(Kind::Malformed, PLACE, reason);
        let der = CertificateDer::from_pem_slice(self.certificate.as_bytes())
            .map_err(|error| malformed("has no certificate in PEM").because(error))?;
        let (_, certificate) = x509_parser::parse_x509_certificate(&der)
            .map_err(|error| malformed("has a certificate that can't be read").because(error))?;
        let key = &certificate.public_key().subject_public_key.data;
        let signature = BASE64_STANDARD
            .decode(&self.signature)
            .map_err(|error| malformed("has a signature that is no base64").because(error))?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
            .verify(self.statement().as_bytes(), &signature)
            .map_err(|_| malformed("isn't what its certificate's key signed"))?;
        Ok(Fingerprint::of(&der))
    }

    /// What is signed.
    fn statement(&self) -> String {
        let Self {
            log,
            number,
            digest,
            at,
            ..
        } = self;
        format!("vcc audit checkpoint 1\nlog {log}\nnumber {number}\ndigest {digest}\nat {at}\n")
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::audit::{Deed, record};
    use crate::database::Database;
    use crate::hostname::Hostname;

    async fn checkpoint() -> (Identity, Checkpoint) {
        let database = Database::in_memory().await.unwrap();
        let mut db = database.begin().await.unwrap();
        let deed = Deed {
            actor: "root",
            tenant: None,
            action: "user.create",
            object: "a",
            outcome: "done",
        };
        record(&mut db, deed, Moment(7)).await.unwrap();
        let identity = Identity::ephemeral(&Hostname::default()).unwrap();
        let checkpoint = Checkpoint::of(&mut db, &identity, Moment(1_800_000_000_000)).await;
        (identity, checkpoint.unwrap())
    }

    #[tokio::test]
    async fn a_checkpoint_holds_for_its_connector_its_log_and_its_moment_alone() {
        let (identity, own) = checkpoint().await;
        assert_eq!(own.verify().unwrap(), identity.fingerprint());
        assert_eq!(own.number, 1);
        let (_, other) = checkpoint().await;
        let forged = [
            Checkpoint {
                log: other.log,
                ..own.clone()
            },
            Checkpoint {
                number: 2,
                ..own.clone()
            },
            Checkpoint {
                digest: "0".repeat(64),
                ..own.clone()
            },
            Checkpoint {
                at: Moment(0),
                ..own.clone()
            },
            Checkpoint {
                certificate: other.certificate.clone(),
                ..own.clone()
            },
            Checkpoint {
                signature: other.signature.clone(),
                ..own.clone()
            },
            Checkpoint {
                signature: String::new(),
                ..own.clone()
            },
            Checkpoint {
                certificate: String::new(),
                ..own
            },
        ];
        for forged in forged {
            assert_eq!(forged.verify().unwrap_err().kind(), Kind::Malformed, "{forged:?}");
        }
    }

    #[tokio::test]
    async fn openssl_verifies_a_checkpoint() {
        let (_, own) = checkpoint().await;
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let certificate = write("cert.pem", own.certificate.as_bytes());
        let statement = write("statement", own.statement().as_bytes());
        let signature = write("signature", &BASE64_STANDARD.decode(&own.signature).unwrap());
        let mut openssl = Command::new("openssl");
        let Ok(key) = openssl
            .args(["x509", "-noout", "-pubkey", "-in"])
            .arg(&certificate)
            .output()
        else {
            eprintln!("skipped: openssl is not installed");
            return;
        };
        let key = write("key.pem", &key.stdout);
        let verified = Command::new("openssl")
            .args(["dgst", "-sha256", "-verify"])
            .arg(&key)
            .arg("-signature")
            .args([&signature, &statement])
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&verified.stdout),
            "Verified OK\n",
            "{verified:?}"
        );
    }
}
