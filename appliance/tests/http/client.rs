//! A client that speaks HTTP by hand, so that it can speak it wrongly.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned,
    SupportedProtocolVersion,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::server::Server;

/// A TLS connection.
pub(crate) struct Client(StreamOwned<ClientConnection, TcpStream>);

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: String,
}

/// One request on a connection of its own.
pub(crate) fn request(server: &Server, method: &str, path: &str) -> Answer {
    connect(server).request(method, path)
}

pub(crate) fn connect(server: &Server) -> Client {
    handshake(server, &[&rustls::version::TLS13]).unwrap()
}

pub(crate) fn handshake(
    server: &Server,
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<Client> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    let name = ServerName::try_from("vcc.invalid").unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = TcpStream::connect(server.address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    while tls.is_handshaking() {
        tls.complete_io(&mut stream)?;
    }
    Ok(Client(StreamOwned::new(tls, stream)))
}

impl Client {
    pub(crate) fn request(&mut self, method: &str, path: &str) -> Answer {
        let text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.write(text.as_bytes()).unwrap();
        self.read(method == "HEAD")
    }

    /// Sends bytes and reads an answer; how far they were taken is no matter.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Answer {
        let _ = self.write(bytes);
        self.read(false)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    pub(crate) fn read_exact(&mut self, bytes: &mut [u8]) -> std::io::Result<()> {
        self.0.read_exact(bytes)
    }

    /// The status of an answer, if there is one.
    pub(crate) fn status(&mut self) -> Option<u16> {
        let head = self.head()?;
        head.split(' ').nth(1)?.parse().ok()
    }

    pub(crate) fn fingerprint(&self) -> String {
        let certificates = self.0.conn.peer_certificates().unwrap();
        appliance::identity::Fingerprint::of(&certificates[0]).to_string()
    }

    pub(crate) fn into_stream(self) -> TcpStream {
        self.0.sock
    }

    fn head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        String::from_utf8(head).ok()
    }

    fn read(&mut self, without_body: bool) -> Answer {
        let head = self.head().expect("an answer");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let status = status.and_then(|status| status.parse().ok()).expect("a status");
        let fields = lines.filter_map(|line| line.split_once(": "));
        let fields: Vec<_> = fields
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut answer = Answer {
            status,
            fields,
            body: String::new(),
        };
        if !without_body {
            let length = answer.field("content-length").parse().unwrap_or(0);
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).unwrap();
            answer.body = String::from_utf8(body).unwrap();
        }
        answer
    }
}

impl Answer {
    /// A header field; empty if there is none.
    pub(crate) fn field(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let mut lines = self.body.lines().filter_map(|line| line.split_once(' '));
        let value = lines.find(|(own, _)| *own == name).map(|(_, value)| value);
        value.and_then(|value| value.parse().ok()).expect(name)
    }
}

/// Takes every certificate: identities are compared by fingerprint here.
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
