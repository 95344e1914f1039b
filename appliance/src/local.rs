//! The API, asked in this process: what people do on pages, and `vcc up` in their place, goes the way of every other request.

use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName};
use hyper::service::Service as _;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::service::TowerToHyperService;
use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::http::peer::Peer;

/// Says that nobody asks: a page that keeps itself up to date is no use of a session, which ends as if it were closed.
pub(crate) const UNATTENDED: HeaderName = HeaderName::from_static("vcc-unattended");

/// An API.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    router: TowerToHyperService<Router>,
}

/// What is asked.
#[derive(Debug, Default)]
pub(crate) struct Question<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    /// Who asks; nobody if it is empty.
    pub(crate) token: &'a str,
    pub(crate) body: Option<&'a Value>,
    pub(crate) fields: Vec<(HeaderName, String)>,
    /// Nobody asks: a page keeps itself up to date.
    pub(crate) unattended: bool,
    /// Where the wish comes from.
    pub(crate) peer: Option<Peer>,
}

/// What is answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Value,
    /// The body as it came, which is not always JSON.
    pub(crate) bytes: Bytes,
}

impl Local {
    pub(crate) fn new(router: Router) -> Self {
        Self {
            router: TowerToHyperService::new(router),
        }
    }

    /// Asks; an answer that refuses is an answer, too.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for what can't be asked.
    pub(crate) async fn ask(&self, question: Question<'_>) -> Result<Answer> {
        let path = question.path.to_owned();
        Answer::whole(&path, self.open(question).await?).await
    }

    /// The same; the answer's body is left to the caller, who has it as it comes.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for what can't be asked.
    pub(crate) async fn open(&self, question: Question<'_>) -> Result<Response<Body>> {
        let failed = |reason: &str| Error::new(Kind::Malformed, question.path.to_owned(), reason);
        let mut request = Request::builder()
            .method(question.method.clone())
            .uri(question.path);
        if !question.token.is_empty() {
            request = request.header(AUTHORIZATION, format!("Bearer {}", question.token));
        }
        if question.unattended {
            request = request.header(UNATTENDED, "1");
        }
        for (name, value) in &question.fields {
            request = request.header(name, value);
        }
        if let Some(peer) = &question.peer {
            request = request.extension(peer.clone());
        }
        let request = match question.body {
            Some(body) => request
                .header(CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        let request = request.map_err(|error| failed("can't be asked for").because(error))?;
        match self.router.call(request).await {
            Ok(answer) => Ok(answer),
            Err(never) => match never {},
        }
    }
}

impl Answer {
    /// An answer with its body.
    ///
    /// # Errors
    /// [`Kind::Malformed`] where that breaks off.
    pub(crate) async fn whole(path: &str, answer: Response<Body>) -> Result<Self> {
        let (head, body) = answer.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| Error::new(Kind::Malformed, path.to_owned(), "has no answer").because(error));
        let bytes = body?.to_bytes();
        Ok(Self {
            status: head.status,
            fields: head.headers,
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
            bytes,
        })
    }
}
