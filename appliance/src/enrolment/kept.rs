//! What a node keeps of its enrolment.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{CertificateParams, KeyPair, SigningKey as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use sqlx::{Sqlite, Transaction};
use uuid::Uuid;

use super::{Enrolment, refusal};
use crate::authority::{KeyDigest, NodeCertificate};
use crate::client::Client;
use crate::clock::Moment;
use crate::database;
use crate::endpoint::Endpoint;
use crate::error::{Error, Kind, Result};
use crate::node::State;
use crate::peer::Basis;
use crate::resolver::Resolver;
use crate::service::Ground;
use crate::transfer::{Purpose, Signed};

const SETTING: &str = "enrolment";

/// A node's enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) server: Endpoint,
    /// Keys by which the server is known.
    pub(super) authorities: Vec<KeyDigest>,
    /// Certificates of these keys, and of the one before: DER, base64. Earlier versions had none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) certificates: Vec<String>,
    pub(super) node: Uuid,
    /// Asks how the request stands.
    pub(super) poll: String,
    pub(super) key: Key,
    pub(super) state: State,
    /// DER, base64.
    pub(super) certificate: Option<String>,
    pub(super) counter: i64,
    /// That of a next number that was asked for and not answered.
    pub(super) nonce: Option<String>,
    /// The key of a next certificate that was asked for and not answered.
    pub(super) next: Option<Key>,
    /// Why the server no longer takes the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

/// A private key: PKCS#8, base64.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Key(String);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// Keys of a server's that are kept.
const AUTHORITIES: usize = 8;
/// The longest certificate of an authority in base64.
const LONGEST: usize = 8 << 10;

fn key_of(certificate: &str) -> Option<KeyDigest> {
    let bytes = Some(certificate).filter(|text| text.len() <= LONGEST)?;
    KeyDigest::of_certificate(&CertificateDer::from(BASE64_STANDARD.decode(bytes).ok()?))
}

fn damaged() -> Error {
    Error::new(Kind::StateCorrupt, SETTING, "is damaged")
}

impl Key {
    pub(super) fn new() -> Result<Self> {
        let failed = |error| Error::new(Kind::Identity, SETTING, "cannot make a key").because(error);
        let key = KeyPair::generate().map_err(failed)?;
        Ok(Self(BASE64_STANDARD.encode(key.serialize_der())))
    }

    fn pair(&self) -> Result<KeyPair> {
        let bytes = BASE64_STANDARD.decode(&self.0);
        let der = PrivatePkcs8KeyDer::from(bytes.map_err(|error| damaged().because(error))?);
        KeyPair::try_from(&der).map_err(|error| damaged().because(error))
    }

    /// What people compare.
    pub(super) fn fingerprint(&self) -> Result<KeyDigest> {
        Ok(KeyDigest::of_key(&self.pair()?))
    }

    /// A request for a certificate (PKCS#10) in DER, base64.
    pub(super) fn request(&self) -> Result<String> {
        let pair = self.pair()?;
        let request =
            CertificateParams::new(Vec::new()).and_then(|template| template.serialize_request(&pair));
        let failed = |error| Error::new(Kind::Identity, SETTING, "cannot make a request").because(error);
        Ok(BASE64_STANDARD.encode(request.map_err(failed)?.der()))
    }

    fn private(&self) -> Result<PrivateKeyDer<'static>> {
        let bytes = BASE64_STANDARD.decode(&self.0);
        Ok(PrivateKeyDer::Pkcs8(
            bytes.map_err(|error| damaged().because(error))?.into(),
        ))
    }
}

impl Kept {
    pub(super) async fn read(db: &mut Transaction<'_, Sqlite>) -> Result<Option<Self>> {
        let text = database::setting(db, SETTING).await?;
        let kept = text.map(|text| serde_json::from_str(&text)).transpose();
        kept.map_err(|error| damaged().because(error))
    }

    pub(super) async fn write(&self, db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        let text = serde_json::to_string(self)
            .map_err(|error| Error::new(Kind::Malformed, SETTING, "cannot be kept").because(error))?;
        database::set(db, SETTING, &text).await
    }

    pub(super) async fn forget(db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        database::unset(db, SETTING).await
    }

    /// Writes it, if nothing has changed it since it was read as `before`.
    ///
    /// # Errors
    /// [`Kind::Changed`].
    pub(super) async fn keep(&self, ground: &Ground, before: &Self) -> Result<()> {
        let mut db = ground.database.begin().await?;
        if Self::read(&mut db).await?.as_ref() != Some(before) {
            return Err(Error::new(
                Kind::Changed,
                SETTING,
                "has changed since it was read",
            ));
        }
        self.write(&mut db).await?;
        Ok(db.commit().await?)
    }

    fn certificate(&self) -> Result<Option<CertificateDer<'static>>> {
        let bytes = self.certificate.as_ref().map(|text| BASE64_STANDARD.decode(text));
        let bytes = bytes.transpose().map_err(|error| damaged().because(error))?;
        Ok(bytes.map(CertificateDer::from))
    }

    /// Takes what the server told: keys, and of the certificates those of keys that are pinned, or were when their certificate was
    /// taken.
    pub(super) fn believe(&mut self, authorities: &[KeyDigest], certificates: &[String]) {
        if !(1..=AUTHORITIES).contains(&authorities.len()) {
            return;
        }
        let mut pinned = [authorities, self.authorities.as_slice()].concat();
        pinned.extend(self.certificates.iter().filter_map(|text| key_of(text)));
        if !certificates.is_empty() {
            let told = certificates.iter().take(AUTHORITIES);
            let is_pinned = |text: &&String| key_of(text).is_some_and(|key| pinned.contains(&key));
            self.certificates = told.filter(is_pinned).cloned().collect();
        }
        self.authorities = authorities.to_vec();
    }

    /// Whether its certificate is one by which other nodes can know it, or the server makes none of these.
    pub(super) fn is_for_peers(&self) -> Result<bool> {
        let says = self.certificate()?.as_ref().and_then(NodeCertificate::read);
        Ok(self.certificates.is_empty() || says.is_none_or(|says| says.is_for_peers))
    }

    /// What other nodes are shown, of one that is taken in.
    pub(super) fn basis(&self) -> Result<Option<Basis>> {
        let Some(certificate) = self.certificate()?.filter(|_| self.state == State::Active) else {
            return Ok(None);
        };
        let decode = |text: &String| BASE64_STANDARD.decode(text).map(CertificateDer::from);
        let certificates = self.certificates.iter().map(decode).collect::<Result<_, _>>();
        let key = BASE64_STANDARD.decode(&self.key.0);
        Ok(Some(Basis {
            node: self.node,
            certificate,
            key: key.map_err(|error| damaged().because(error))?,
            authorities: self.authorities.clone(),
            certificates: certificates.map_err(|error| damaged().because(error))?,
        }))
    }

    /// From when until when its certificate is good.
    pub(super) fn validity(&self) -> Result<Option<(Moment, Moment)>> {
        let Some(certificate) = self.certificate()? else {
            return Ok(None);
        };
        let says = NodeCertificate::read(&certificate).ok_or_else(damaged)?;
        Ok(Some((says.begins, says.expires)))
    }

    /// Signs a document by the node's certificate; nothing before there is one.
    pub(super) fn vouch(&self, purpose: Purpose, document: &impl Serialize) -> Result<Option<Signed>> {
        let Some(certificate) = self.certificate()? else {
            return Ok(None);
        };
        let failed = |error| Error::new(Kind::Identity, SETTING, "cannot sign").because(error);
        let key = self.key.pair()?;
        Signed::new(purpose, document, &certificate, |bytes| {
            key.sign(bytes).map_err(failed)
        })
        .map(Some)
    }

    pub(super) fn client(&self, resolver: &Resolver) -> Result<Client> {
        let own = match self.certificate()? {
            Some(certificate) => Some((certificate, self.key.private()?)),
            None => None,
        };
        Client::new(
            self.server.clone(),
            resolver.clone(),
            self.authorities.clone(),
            own,
        )
    }

    pub(super) fn told(&self, spoken: Option<Moment>, trouble: Option<String>) -> Result<Enrolment> {
        // Those of an earlier version were sent away without one.
        let reason = self
            .reason
            .clone()
            .or_else(|| refusal::of(self.state).map(str::to_owned));
        Ok(Enrolment {
            server: self.server.to_string(),
            node: self.node.to_string(),
            state: self.state,
            fingerprint: self.key.fingerprint()?.to_string(),
            expires: self.validity()?.map(|(_, expires)| expires),
            spoken,
            trouble: reason.or(trouble),
        })
    }
}
