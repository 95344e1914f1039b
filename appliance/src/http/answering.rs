//! What one connection's requests are answered with.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http_body_util::Limited;
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, EXPECT, UPGRADE};
use hyper::service::Service as _;
use hyper::{Method, Request, Response};
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tokio::time::timeout;

use super::connections::{Busy, Ticket};
use super::leftover::Leftover;
use super::problem::Problem;
use super::sending::{Large, Sending, Unsent};
use super::upgrade::Leave;
use super::upload::{self, Admitted, Paced};
use super::whole::Whole;
use super::{BODY_BYTES, REQUEST};

/// One connection's way from requests to answers.
pub(super) struct Answering {
    pub(super) router: TowerToHyperService<Router>,
    pub(super) uploads: fn(&Method, &str) -> bool,
    pub(super) pace: Duration,
    pub(super) ticket: Arc<Ticket>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) unsent: Arc<Unsent>,
}

impl Answering {
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let busy = Arc::new(self.ticket.request());
        let length = declared_length(&request);
        let expects = request.headers().get(EXPECT);
        let expects = expects.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        let mut request = request.map(|body| Whole::of(Leftover::of(body, expects), Arc::clone(&busy)));
        if request.headers().contains_key(UPGRADE) {
            let leave = Leave::of(Arc::clone(&self.ticket), Arc::clone(&busy), self.stop.clone());
            request.extensions_mut().insert(leave);
        }
        let response = if (self.uploads)(request.method(), request.uri().path()) {
            self.receive(request, &busy).await
        } else if length > BODY_BYTES as u64 {
            Problem::TOO_LARGE.response()
        } else {
            let request = request.map(|body| Body::new(Limited::new(body, BODY_BYTES)));
            match timeout(REQUEST, self.router.call(request)).await {
                Ok(answer) => answer?,
                Err(_) => Problem::TIMEOUT.response(),
            }
        };
        Ok(self.send(response, busy))
    }

    /// A request whose body is a file.
    async fn receive(&self, mut request: Request<Whole>, busy: &Arc<Busy>) -> Response<Body> {
        let admitted = Admitted::of(Arc::clone(busy));
        request.extensions_mut().insert(admitted.clone());
        let request = request.map(|body| Body::new(Paced::of(body, admitted.clone(), self.pace)));
        let mut call = std::pin::pin!(self.router.call(request));
        let answer = match timeout(REQUEST, &mut call).await {
            Ok(answer) => answer,
            // From here on it takes as long as the file does.
            Err(_) if admitted.has_begun() => call.await,
            Err(_) => return Problem::TIMEOUT.response(),
        };
        match answer {
            Ok(answer) if !admitted.is_too_slow() => answer,
            _ => Problem::TOO_SLOW.response(),
        }
    }

    /// An answer; while a large one is sent, the connection is busy.
    fn send(&self, response: Response<Body>, busy: Arc<Busy>) -> Response<Body> {
        if response.extensions().get::<Large>().is_none() {
            return response;
        }
        match busy.begin_transfer() {
            true => response.map(|body| Body::new(Sending::of(body, busy, Arc::clone(&self.unsent)))),
            false => upload::too_many().response(),
        }
    }
}

/// What the request says that its body is long; hyper has checked that it is one number.
fn declared_length(request: &Request<Incoming>) -> u64 {
    let length = request.headers().get(CONTENT_LENGTH);
    length
        .and_then(|length| length.to_str().ok()?.parse().ok())
        .unwrap_or(0)
}
