//! Sending a request and following where it leads.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use ureq::config::RedirectAuthHeaders;
use ureq::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, IF_RANGE, LOCATION, RANGE};
use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::{Address, failed};

/// The most redirects from one address to the next.
const MAX_REDIRECTS: u32 = 5;

/// The ceiling of a response's headers in bytes.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// How long the part of a file that was asked for may take, however steadily it comes.
const PART_TIMEOUT: Duration = Duration::from_secs(300);

/// How a client waits and whom it trusts.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long resolving a name may take, and a connection with its handshake.
    pub connect: Duration,
    /// How long a server may send nothing.
    pub stall: Duration,
    /// Authorities to trust beside the system's.
    pub authorities: Vec<CertificateDer<'static>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            authorities: Vec::new(),
        }
    }
}

/// Sends requests to servers; its clones share their connections.
#[derive(Debug, Clone)]
pub struct Client(Agent);

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ask<'a> {
    /// Size and version.
    Head,
    /// The whole file.
    Whole,
    /// So many bytes from an offset, of the version named if one is.
    Part {
        start: u64,
        length: u64,
        version: Option<&'a str>,
    },
}

impl Client {
    /// A client. It reads the system's trusted authorities; where there are none, only `settings` names some.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let system = rustls_native_certs::load_native_certs().certs;
        let roots = system.iter().chain(&settings.authorities);
        let roots: Vec<_> = roots.map(|root| Certificate::from_der(root).to_owned()).collect();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&roots))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            // Followed here instead: the rules about schemes and credentials are stricter.
            .max_redirects(0)
            .redirect_auth_headers(RedirectAuthHeaders::Never)
            .max_response_header_size(MAX_HEADER_BYTES)
            .timeout_resolve(Some(settings.connect))
            .timeout_connect(Some(settings.connect))
            .timeout_send_request(Some(settings.stall))
            .timeout_recv_response(Some(settings.stall))
            .timeout_per_read(Some(settings.stall))
            .timeout_per_write(Some(settings.stall))
            .user_agent(concat!("ova/", env!("CARGO_PKG_VERSION")))
            .build();
        Self(Agent::new_with_config(config))
    }

    /// Asks, follows redirects, and gives the response of the last with its address.
    pub(super) fn ask(&self, address: &Address, ask: Ask<'_>) -> io::Result<(Address, Response<Body>)> {
        let mut at = address.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send(&at, ask).map_err(|error| explain(&at, error))?;
            if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED {
                refuse_encoding(&at, response.headers())?;
                return Ok((at, response));
            }
            at = follow(&at, response.headers())?;
        }
        Err(failed(
            address,
            format!("more than {MAX_REDIRECTS} redirects, one to the next"),
        ))
    }

    fn send(&self, address: &Address, ask: Ask<'_>) -> Result<Response<Body>, ureq::Error> {
        let uri = address.request_uri();
        let request = match ask {
            Ask::Head => self.0.head(uri),
            Ask::Whole | Ask::Part { .. } => self.0.get(uri),
        };
        let mut request = request.header(ACCEPT_ENCODING, "identity");
        if let Ask::Part {
            start,
            length,
            version,
        } = ask
        {
            let end = start.saturating_add(length).saturating_sub(1);
            request = request.header(RANGE, format!("bytes={start}-{end}"));
            if let Some(version) = version {
                request = request.header(IF_RANGE, version);
            }
            request = request.config().timeout_recv_body(Some(PART_TIMEOUT)).build();
        }
        request.call()
    }
}

/// Where a redirect leads, if that is allowed.
fn follow(address: &Address, headers: &HeaderMap) -> io::Result<Address> {
    let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    let location = location.ok_or_else(|| failed(address, "a redirect that does not say where to"))?;
    let target = address
        .redirected(location)
        .map_err(|_| failed(address, "a redirect to what is no http or https URL"))?;
    if address.is_secure() && !target.is_secure() {
        return Err(failed(
            address,
            format!("a redirect from https to {target}, refused"),
        ));
    }
    Ok(target)
}

/// Offsets would count other bytes than the file's.
fn refuse_encoding(address: &Address, headers: &HeaderMap) -> io::Result<()> {
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding.as_bytes() != b"identity" => Err(failed(
            address,
            "the server encodes the file though it was asked not to",
        )),
        _ => Ok(()),
    }
}

/// The client's error in words that hold neither credentials nor query.
fn explain(address: &Address, error: ureq::Error) -> io::Error {
    let reason = match error {
        ureq::Error::BadUri(_) => "the client does not take the URL".to_owned(),
        ureq::Error::Timeout(which) => format!("the server took too long ({which})"),
        other => other.to_string(),
    };
    failed(address, reason)
}

/// The status as an error, if it is not the one hoped for.
pub(super) fn unexpected(address: &Address, status: StatusCode) -> io::Error {
    failed(address, format!("the server answers {status}"))
}
