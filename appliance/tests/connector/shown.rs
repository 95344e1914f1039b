//! Asking a node by hand, with whatever certificate.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::io;
use std::sync::Arc;

use appliance::peer::{GRANT, grant_field};
use appliance::transfer::Signed;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::reachable::Reachable;

/// A certificate with what stands behind it, and the key for it.
pub(crate) struct Shown {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// The enrolment as a node keeps it.
pub(crate) async fn kept(node: &Reachable) -> Value {
    let context = node.context();
    let mut db = context.ground().unwrap().database.begin().await.unwrap();
    let text = appliance::database::setting(&mut db, "enrolment").await.unwrap();
    serde_json::from_str(&text.unwrap()).unwrap()
}

/// Has a node keep another.
pub(crate) async fn keep(node: &Reachable, kept: &Value) {
    let context = node.context();
    let mut db = context.ground().unwrap().database.begin().await.unwrap();
    let text = kept.to_string();
    appliance::database::set(&mut db, "enrolment", &text)
        .await
        .unwrap();
    db.commit().await.unwrap();
}

impl Shown {
    /// What a node shows others.
    pub(crate) async fn of(node: &Reachable) -> Self {
        let kept = kept(node).await;
        let bytes = |value: &Value| BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap();
        Self {
            chain: vec![
                CertificateDer::from(bytes(&kept["certificate"])),
                CertificateDer::from(bytes(&kept["certificates"][0])),
            ],
            key: PrivateKeyDer::Pkcs8(bytes(&kept["key"]).into()),
        }
    }

    /// What it shows people.
    pub(crate) fn identity(node: &Reachable) -> Self {
        let folder = node.context().state_directory().unwrap().join("identity");
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        use rustls_pki_types::pem::PemObject as _;
        let certificate = CertificateDer::from_pem_slice(&read("cert.pem")).unwrap();
        Self {
            chain: vec![certificate],
            key: PrivateKeyDer::from_pem_slice(&read("key.pem")).unwrap(),
        }
    }

    pub(crate) fn chain_pem(&self) -> [String; 2] {
        [0, 1].map(|index| pem("CERTIFICATE", &self.chain[index]))
    }

    pub(crate) fn key_pem(&self) -> String {
        pem("PRIVATE KEY", self.key.secret_der())
    }
}

fn pem(label: &str, bytes: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(bytes);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    text: String,
}

impl Answer {
    pub(crate) fn code(&self) -> String {
        let body = self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Asks a node by its name for a path, with a grant.
pub(crate) async fn ask(
    to: &Reachable,
    shown: Option<&Shown>,
    path: &str,
    grant: &Signed,
) -> io::Result<Answer> {
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: node\r\n{GRANT}: {}\r\nConnection: close\r\n\r\n",
        grant_field(grant)
    );
    say(to, shown, &head).await
}

pub(crate) async fn post(to: &Reachable, shown: &Shown, path: &str, body: &Value) -> io::Result<Answer> {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    say(to, Some(shown), &head).await
}

/// Brings a grant by POST, for a stream or for nothing.
pub(crate) async fn bring(
    to: &Reachable,
    shown: &Shown,
    path: &str,
    grant: &Signed,
    stream: bool,
) -> io::Result<Answer> {
    let connection = match stream {
        true => "Connection: Upgrade\r\nUpgrade: vcc-stream",
        false => "Connection: close",
    };
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: node\r\n{GRANT}: {}\r\n{connection}\r\nContent-Length: 0\r\n\r\n",
        grant_field(grant)
    );
    say(to, Some(shown), &head).await
}

async fn say(to: &Reachable, shown: Option<&Shown>, words: &str) -> io::Result<Answer> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)));
    let config = match shown {
        Some(shown) => {
            let key = ring::sign::any_supported_type(&shown.key).unwrap();
            let own = CertifiedKey::new(shown.chain.clone(), key);
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own)))
        }
        None => builder.with_no_client_auth(),
    };
    let name = ServerName::try_from(format!("{}.node.vcc.internal", to.id)).unwrap();
    let stream = TcpStream::connect(to.address).await?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(words.as_bytes()).await?;
    let (mut text, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut piece).await?;
        text.extend_from_slice(&piece[..length]);
        // Whoever has a stream waits.
        if length == 0 || text.starts_with(b"HTTP/1.1 101") {
            break;
        }
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(Answer { status, text })
}

/// Takes every certificate.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
