//! Errors as problem documents (RFC 9457), each with a `code` that never changes once released.

use std::borrow::Cow;

use axum::Json;
use axum::body::Body;
use axum::response::IntoResponse;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Error, Kind};
use crate::log;

/// One sort of problem.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: Cow<'static, str>,
    /// A header field that goes with it.
    field: Option<Box<(HeaderName, HeaderValue)>>,
}

/// What is sent.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Document {
    /// A URN with the code.
    r#type: String,
    /// What it is, always the same for a code.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What it is about this time.
    detail: Cow<'static, str>,
    /// A stable name for programs.
    code: &'static str,
}

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $code:literal, $title:literal, $detail:literal;)*) => {
        impl Problem {
            $($(#[$doc])* pub const $name: Self = Self {
                status: StatusCode::$status,
                code: $code,
                title: $title,
                detail: Cow::Borrowed($detail),
                field: None,
            };)*
        }
    };
}

problems! {
    /// An index is being made.
    INDEX_PENDING = SERVICE_UNAVAILABLE, "index-pending", "The chunk index is being made",
        "Ask again in a few seconds.";
    /// The connector was not set up yet.
    SETUP_REQUIRED = SERVICE_UNAVAILABLE, "setup-required", "The connector is not set up yet",
        "Only /healthz, /readyz, /metrics, /api/v1/about and /api/v1/setup answer before the connector is set up.";
    /// The connector was set up.
    SETUP_DONE = GONE, "setup-done", "The connector is set up", "Log in as an administrator.";
    /// A code or password was wrong.
    WRONG_CREDENTIALS = UNAUTHORIZED, "wrong-credentials", "The credentials are wrong", "Name, password or code is wrong.";
    /// Nobody is logged in.
    UNAUTHENTICATED = UNAUTHORIZED, "unauthenticated", "Log in first",
        "Send Authorization: Bearer with the token of a session (POST /api/v1/session) or of a program.";
    /// No other node of the server asks.
    NO_PEER = UNAUTHORIZED, "no-peer", "This is for other nodes of the same server",
        "Ask for ID.node.vcc.internal in TLS, and show a certificate of the server's authority.";
    /// A grant doesn't let a node do this.
    GRANT_REFUSED = FORBIDDEN, "grant-refused", "The grant does not allow this", "";
    /// The user may not do this.
    FORBIDDEN = FORBIDDEN, "forbidden", "This is not allowed", "The user's role, or the token's scope, does not include it.";
    /// There is no such resource, or none that the user sees.
    NOT_FOUND = NOT_FOUND, "not-found", "There is no such resource", "Nothing is there, or nothing that this user sees.";
    /// The node was reverted or cloned.
    NODE_SUSPENDED = FORBIDDEN, "node-suspended", "The node is suspended",
        "It came back with a number or a certificate of the past: it was reverted to a snapshot, or there are two of it.";
    /// The node is not one of the server's any more.
    NODE_REVOKED = FORBIDDEN, "node-revoked", "The node is not one of this server's", "Enrol it anew.";
    /// The node is none of those that the server knows.
    NODE_UNKNOWN = FORBIDDEN, "node-unknown", "This server knows no such node",
        "Its state was put back to one of before the node came. Enrol the node anew.";
    /// The node's certificate has ended, if our clock is right.
    CERTIFICATE_EXPIRED = FORBIDDEN, "certificate-expired", "The node's certificate has ended by this server's clock",
        "Compare the clocks of both sides. If the server's is right, enrol the node anew.";
    /// The node has another certificate.
    CERTIFICATE_REPLACED = FORBIDDEN, "certificate-replaced", "The node has used another certificate in the place of this one",
        "Use the newest.";
    /// Nothing that has an end can be made.
    CLOCK_IMPLAUSIBLE = SERVICE_UNAVAILABLE, "clock-implausible", "The server's clock cannot be right",
        "A certificate that is made by it is good for nobody: set the clock. /readyz says more.";
    /// A node asks too often.
    TOO_FAST = TOO_MANY_REQUESTS, "too-fast", "The node asks too often", "Wait as long as the Retry-After header field says.";
    /// The node knows more than the server, and no restore explains that.
    SERVER_BEHIND = CONFLICT, "server-behind", "The server's state is older than the node's",
        "It was put back, and not by vcc restore: make a backup of it and restore that.";
    /// Another connector, which had to be asked, doesn't answer as it should.
    BAD_SERVER = BAD_GATEWAY, "bad-server", "The server doesn't answer as it should", "";
    /// Too many wrong guesses.
    TOO_MANY_ATTEMPTS = TOO_MANY_REQUESTS, "too-many-attempts", "Too many wrong attempts",
        "Wait as long as the Retry-After header field says.";
    /// Too many passwords wait to be looked at.
    TOO_MANY_LOGINS = TOO_MANY_REQUESTS, "too-many-logins", "Too many log in at this moment",
        "Try again in a moment.";
    /// Too many nodes wait for a decision.
    TOO_MANY_WAIT = TOO_MANY_REQUESTS, "too-many-wait", "Too many wait for a decision",
        "Have an administrator decide about those that wait.";
    /// A node has too many tasks before it.
    TOO_MANY_TASKS = TOO_MANY_REQUESTS, "too-many-tasks", "The node has too many tasks before it",
        "Wait until some have ended, or cancel them.";
    /// Too many transfers have not ended.
    TOO_MANY_OPEN = TOO_MANY_REQUESTS, "too-many-open", "Too many transfers have not ended",
        "Wait until some have ended, or cancel them.";
    /// A task, or whatever else has its end, has come to it.
    ENDED = CONFLICT, "ended", "It has ended", "Nothing is left to stop.";
    /// The same key was used for something else, or for what is told once.
    KEY_REUSED = CONFLICT, "idempotency-key-reused", "The Idempotency-Key was used before",
        "It was used for another request, or for one whose answer holds a secret, which is told once.";
    /// The name is in use.
    CONFLICT = CONFLICT, "conflict", "The name is in use, or the resource is", "Choose another name, or remove what uses it.";
    /// Bytes of a file go on elsewhere than where the last ones ended.
    OFFSET = CONFLICT, "wrong-offset", "The file goes on elsewhere", "Ask how much of it was received, and go on from there.";
    /// Not all bytes of a file are there.
    INCOMPLETE = CONFLICT, "incomplete", "The file is not whole yet", "Send the rest of it.";
    /// A file is not what its digest says.
    MISMATCH = UNPROCESSABLE_ENTITY, "digest-mismatch", "The file is not what its digest says", "Send it again.";
    /// The body is no JSON of the right shape.
    INVALID = UNPROCESSABLE_ENTITY, "invalid", "The request is not understood", "";
    /// The body is something else than JSON.
    NOT_JSON = UNSUPPORTED_MEDIA_TYPE, "not-json", "The request's body is not JSON",
        "Send Content-Type: application/json.";
    /// `If-Match` is missing.
    PRECONDITION_REQUIRED = PRECONDITION_REQUIRED, "precondition-required", "If-Match is missing",
        "Send If-Match with the ETag of what was read, so that nobody else's change is lost.";
    /// It has changed since it was read.
    PRECONDITION_FAILED = PRECONDITION_FAILED, "precondition-failed", "The resource has changed since it was read",
        "Read it again, and send If-Match with the new ETag.";
    /// There is no state disk, or its database can't be used.
    STATE_UNAVAILABLE = SERVICE_UNAVAILABLE, "state-unavailable", "The connector's state cannot be used",
        "/readyz says what is wrong with it.";
    /// The state disk is full.
    STATE_FULL = INSUFFICIENT_STORAGE, "state-full", "The state disk is full", "/readyz says what to do.";
    /// Nothing of this is to come, or not now, or not there.
    NOT_EXPECTED = CONFLICT, "not-expected", "That is not what is to come now", "";
    /// There is no room for what is to come.
    NO_ROOM = INSUFFICIENT_STORAGE, "no-room", "There is no room for it", "";
    /// The resource is there and does not know the method.
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED, "method-not-allowed", "The resource does not know this method",
        "The Allow header field lists the methods that it knows.";
    /// The request's body is above the server's ceiling.
    TOO_LARGE = PAYLOAD_TOO_LARGE, "too-large", "The request's body is too large",
        "Bodies of requests are at most 65536 bytes long.";
    /// The body, which is a file, comes too slowly.
    TOO_SLOW = REQUEST_TIMEOUT, "too-slow", "The file comes too slowly",
        "Of a file, 30 KiB have to come in every 30 seconds. Go on from what was received.";
    /// Files go over all connections that are for files.
    TOO_MANY_TRANSFERS = SERVICE_UNAVAILABLE, "too-many-transfers", "Too many send or take files at this moment",
        "Try again when some of them have ended.";
    /// A range begins behind the end.
    RANGE = RANGE_NOT_SATISFIABLE, "range", "The file has no such range", "The Content-Range header field says how long it is.";
    /// The connection is to leave HTTP.
    UPGRADE_REQUIRED = UPGRADE_REQUIRED, "upgrade-required", "The connection is to carry a stream",
        "Send Connection: Upgrade and Upgrade: vcc-stream.";
    /// The request took too long.
    TIMEOUT = SERVICE_UNAVAILABLE, "timeout", "The request took too long", "The connector is overloaded; try again later.";
    /// Something of ours failed.
    INTERNAL = INTERNAL_SERVER_ERROR, "internal", "The connector failed", "Its log says what.";
}

impl Problem {
    /// The same, about something.
    #[must_use]
    pub fn about(self, detail: impl Into<String>) -> Self {
        Self {
            detail: Cow::Owned(detail.into()),
            ..self
        }
    }

    /// The same, with a header field.
    #[must_use]
    pub fn with(self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        Self {
            field: Some(Box::new((name, value.into()))),
            ..self
        }
    }

    /// The problem as a response.
    pub fn response(self) -> Response<Body> {
        let document = Document {
            r#type: format!("urn:vcc:problem:{}", self.code),
            title: self.title,
            status: self.status.as_u16(),
            detail: self.detail,
            code: self.code,
        };
        let mut response = (self.status, Json(document)).into_response();
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some((name, value)) = self.field.map(|field| *field) {
            fields.insert(name, value);
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        self.response()
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error.kind() {
            Kind::Taken => Self::CONFLICT,
            Kind::Unknown => {
                Self::CONFLICT.about("What it belongs to is not there, or something else belongs to it.")
            }
            Kind::Changed => Self::PRECONDITION_FAILED,
            Kind::Offset => Self::OFFSET.about(format!("It {}.", error.reason())),
            Kind::Incomplete => Self::INCOMPLETE.about(format!("It {}.", error.reason())),
            Kind::Mismatch => Self::MISMATCH.about(format!("It {}.", error.reason())),
            Kind::StateFull => Self::STATE_FULL,
            Kind::StateReadOnly | Kind::StateCorrupt | Kind::StateMissing => {
                log::error(error.chain());
                Self::STATE_UNAVAILABLE
            }
            _ => {
                log::error(error.chain());
                Self::INTERNAL
            }
        }
    }
}
