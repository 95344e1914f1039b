//! Who this connector is: an instance identifier, a key and a certificate of its own, made once.
//!
//! The three files are written into `identity.new`, made durable and renamed to `identity` together, so that a crash
//! leaves all of them or none; a part missing later is damage and never mended by making another.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::SignatureScheme;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use time::{Date, Duration, Month, OffsetDateTime, PrimitiveDateTime, Time};
use uuid::Uuid;

use crate::digest::sha256;
use crate::error::{Error, Kind, Result};
use crate::file;
use crate::hostname::Hostname;
use crate::store::Store;

const DIRECTORY: &str = "identity";
const INSTANCE_ID: &str = "instance-id";
const KEY: &str = "key.pem";
const CERTIFICATE: &str = "cert.pem";
const PEM_LIMIT: usize = 64 << 10;

/// An identity, ready to serve with.
#[derive(Debug, Clone)]
pub struct Identity {
    instance_id: Uuid,
    certified: Arc<CertifiedKey>,
    fingerprint: Fingerprint,
    ephemeral: bool,
}

/// The SHA-256 digest of a certificate's DER form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Identity {
    /// Reads the store's identity, or makes one if there is none.
    ///
    /// # Errors
    /// [`Kind::Identity`] for a damaged or incomplete one, [`Kind::StateFull`] and its like where it cannot be kept.
    pub fn load_or_create(store: &Store, hostname: &Hostname) -> Result<Self> {
        let directory = store.root().join(DIRECTORY);
        if directory.symlink_metadata().is_ok() {
            return Self::load(&directory);
        }
        let new = Parts::generate(hostname)?;
        new.keep(store.root())?;
        new.into_identity(false)
    }

    /// An identity that is forgotten when the process ends.
    ///
    /// # Errors
    /// [`Kind::Identity`] where the system has no randomness to give.
    pub fn ephemeral(hostname: &Hostname) -> Result<Self> {
        Parts::generate(hostname)?.into_identity(true)
    }

    /// The identifier of this instance.
    pub fn instance_id(&self) -> Uuid {
        self.instance_id
    }

    /// Key and certificate for TLS.
    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }

    /// The certificate in PEM.
    pub fn certificate_pem(&self) -> String {
        let der = self.certified.cert.first();
        der.map_or_else(String::new, |der| pem(der))
    }

    /// The certificate's fingerprint, to be compared by a person.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Signs bytes with the key, ECDSA over P-256 and SHA-256, in DER.
    ///
    /// # Errors
    /// [`Kind::Identity`].
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let failed = || Error::new(Kind::Identity, KEY, "cannot sign");
        let signer = (self.certified.key).choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]);
        let signature = signer.ok_or_else(failed)?.sign(bytes);
        signature.map_err(|error| failed().because(error))
    }

    /// It lives in memory only.
    pub fn is_ephemeral(&self) -> bool {
        self.ephemeral
    }

    /// Reads the one of a state directory.
    ///
    /// # Errors
    /// [`Kind::Identity`].
    pub(crate) fn load_from(root: &Path) -> Result<Self> {
        Self::load(&root.join(DIRECTORY))
    }

    fn load(directory: &Path) -> Result<Self> {
        let read = |name: &str| {
            file::read(&directory.join(name), PEM_LIMIT)
                .map_err(|e| damaged(directory, name, "cannot be read").because(e))
        };
        let instance_id = String::from_utf8_lossy(&read(INSTANCE_ID)?)
            .trim()
            .parse()
            .map_err(|e| damaged(directory, INSTANCE_ID, "is not a UUID").because(e))?;
        let key = PrivateKeyDer::from_pem_slice(&read(KEY)?)
            .map_err(|e| damaged(directory, KEY, "is not a private key in PEM").because(e))?;
        let certificate = CertificateDer::from_pem_slice(&read(CERTIFICATE)?)
            .map_err(|e| damaged(directory, CERTIFICATE, "is not a certificate in PEM").because(e))?;
        let certified = certify(certificate, key)
            .map_err(|e| damaged(directory, KEY, "does not belong to the certificate").because(e))?;
        Self::new(instance_id, certified, false)
    }

    fn new(instance_id: Uuid, certified: CertifiedKey, ephemeral: bool) -> Result<Self> {
        let fingerprint = match certified.cert.first() {
            Some(certificate) => Fingerprint::of(certificate),
            None => return Err(Error::new(Kind::Identity, CERTIFICATE, "there is no certificate")),
        };
        Ok(Self {
            instance_id,
            certified: Arc::new(certified),
            fingerprint,
            ephemeral,
        })
    }
}

impl Fingerprint {
    /// The fingerprint of a certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(sha256(certificate))
    }
}

impl fmt::Display for Fingerprint {
    /// `AA:BB:..`, as `openssl x509 -fingerprint -sha256` and browsers show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let colon = if i == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl FromStr for Fingerprint {
    type Err = &'static str;

    /// 64 hexadecimal digits, with colons, hyphens or blanks between them or without.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "a fingerprint is the SHA-256 digest of a certificate: 64 hexadecimal digits";
        let digit = |digit: char| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let digits = text.chars().filter(|c| !matches!(c, ':' | '-' | ' '));
        let digits: Vec<u8> = digits.map(digit).collect::<Option<_>>().ok_or(WRONG)?;
        let bytes: Vec<u8> = digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect();
        match digits.len() {
            64 => bytes.try_into().map(Self).map_err(|_| WRONG),
            _ => Err(WRONG),
        }
    }
}

/// A new identity before it is kept.
struct Parts {
    instance_id: Uuid,
    key: KeyPair,
    certificate: rcgen::Certificate,
}

impl Parts {
    fn generate(hostname: &Hostname) -> Result<Self> {
        let failed =
            |e| Error::new(Kind::Identity, DIRECTORY, "cannot make a key and certificate").because(e);
        let instance_id = Uuid::new_v4();
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = template(instance_id, hostname, OffsetDateTime::now_utc())
            .and_then(|template| template.self_signed(&key))
            .map_err(failed)?;
        Ok(Self {
            instance_id,
            key,
            certificate,
        })
    }

    fn keep(&self, root: &Path) -> Result<()> {
        let files = [
            (INSTANCE_ID, format!("{}\n", self.instance_id)),
            (KEY, self.key.serialize_pem()),
            (CERTIFICATE, self.certificate.pem()),
        ];
        file::create_directory(root, DIRECTORY, &files)
    }

    fn into_identity(self, ephemeral: bool) -> Result<Identity> {
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        let certified = certify(self.certificate.into(), key)
            .map_err(|e| Error::new(Kind::Identity, DIRECTORY, "the new key is unusable").because(e))?;
        Identity::new(self.instance_id, certified, ephemeral)
    }
}

/// RFC 7468 section 3, in lines of 64 characters.
fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = BASE64_STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

fn certify(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, rustls::Error> {
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(vec![certificate], key, &provider)
}

fn damaged(directory: &Path, name: &str, reason: &str) -> Error {
    Error::new(Kind::Identity, directory.join(name).display().to_string(), reason)
}

fn template(
    instance_id: Uuid,
    hostname: &Hostname,
    now: OffsetDateTime,
) -> Result<CertificateParams, rcgen::Error> {
    let name = format!("vcc-{instance_id}");
    // A connector on one's own machine is reached over the loopback interface.
    let names = [&name, hostname.as_str(), "localhost", "127.0.0.1", "::1"];
    let mut template = CertificateParams::new(names.map(str::to_owned))?;
    template.distinguished_name = rcgen::DistinguishedName::new();
    template.distinguished_name.push(DnType::CommonName, name);
    template.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    template.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    (template.not_before, template.not_after) = validity(now);
    Ok(template)
}

/// From a year before to ten years after `now`. The clock may be wrong at first boot: one before 2026 is taken for
/// 2026, and one that is a year ahead still makes a certificate that is valid today.
fn validity(now: OffsetDateTime) -> (OffsetDateTime, OffsetDateTime) {
    let year = |year| {
        let date = Date::from_calendar_date(year, Month::January, 1).unwrap_or(Date::MIN);
        PrimitiveDateTime::new(date, Time::MIDNIGHT).assume_utc()
    };
    let now = now.clamp(year(2026), year(9000));
    (now - Duration::days(366), now + Duration::days(3653))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        (directory, store)
    }

    fn load(store: &Store) -> Result<Identity> {
        Identity::load_or_create(store, &Hostname::default())
    }

    #[test]
    fn an_identity_is_made_once_and_kept_private() {
        let (directory, store) = store();
        let first = load(&store).unwrap();
        let second = load(&store).unwrap();
        assert_eq!(first.fingerprint(), second.fingerprint());
        assert_eq!(first.instance_id(), second.instance_id());
        assert!(!second.is_ephemeral());
        let mode = |name: &str| {
            directory
                .path()
                .join(name)
                .metadata()
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!((mode("identity"), mode("identity/key.pem")), (0o700, 0o600));
    }

    #[test]
    fn two_stores_have_two_identities() {
        let ((_a, a), (_b, b)) = (store(), store());
        let (a, b) = (load(&a).unwrap(), load(&b).unwrap());
        assert_ne!(a.fingerprint(), b.fingerprint());
        assert_ne!(a.instance_id(), b.instance_id());
    }

    #[test]
    fn damage_is_named_and_never_replaced_by_a_new_identity() {
        for name in [INSTANCE_ID, KEY, CERTIFICATE] {
            for damage in [
                Some(&b"-----BEGIN nothing"[..]),
                Some(&[0xff; 100]),
                Some(&[]),
                None,
            ] {
                let (directory, store) = store();
                load(&store).unwrap();
                let path = directory.path().join(DIRECTORY).join(name);
                match damage {
                    Some(bytes) => std::fs::write(&path, bytes).unwrap(),
                    None => std::fs::remove_file(&path).unwrap(),
                }
                let error = load(&store).unwrap_err();
                assert_eq!(error.kind(), Kind::Identity, "{name}");
                assert!(error.to_string().contains(name), "{error}");
            }
        }
    }

    #[test]
    fn a_key_that_is_not_the_certificates_is_refused() {
        let ((a, store_a), (b, store_b)) = (store(), store());
        load(&store_a).unwrap();
        load(&store_b).unwrap();
        std::fs::copy(
            a.path().join("identity/key.pem"),
            b.path().join("identity/key.pem"),
        )
        .unwrap();
        assert_eq!(load(&store_b).unwrap_err().kind(), Kind::Identity);
    }

    #[test]
    fn the_fingerprint_is_the_one_that_openssl_shows() {
        let (directory, store) = store();
        let identity = load(&store).unwrap();
        let shown = std::process::Command::new("openssl")
            .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
            .arg(directory.path().join("identity/cert.pem"))
            .output();
        let Ok(shown) = shown else {
            eprintln!("skipped: openssl is not installed");
            return;
        };
        let text = String::from_utf8(shown.stdout).unwrap();
        assert!(
            text.trim().ends_with(&identity.fingerprint().to_string()),
            "{text}"
        );
    }

    #[test]
    fn a_fingerprint_is_read_as_people_copy_it_and_nothing_shorter_or_longer() {
        let (_directory, store) = store();
        let fingerprint = load(&store).unwrap().fingerprint();
        let shown = fingerprint.to_string();
        for text in [shown.clone(), shown.to_lowercase(), shown.replace(':', "")] {
            assert_eq!(text.parse(), Ok(fingerprint));
        }
        for wrong in [
            "",
            "AA",
            &shown[1..],
            &format!("{shown}:00"),
            &shown.replacen(':', "G", 1),
        ] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_wrong_clock_still_makes_a_certificate_that_is_valid_in_2026() {
        let (from, to) = validity(OffsetDateTime::UNIX_EPOCH);
        assert_eq!((from.year(), to.year()), (2024, 2036));
    }
}
