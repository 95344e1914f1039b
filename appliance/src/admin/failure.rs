//! Why a verb is not done, what to do about it, and its exit code.

use std::fmt;
use std::process::ExitCode;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::output::{self, printable};
use crate::client::Answer;
use crate::error::{Error, Kind};

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a verb is not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The connector's answer.
    Problem(Box<Problem>),
    /// There is no such thing, or somebody said no.
    Refused(Trouble),
    /// What was given can't be used.
    Usage(Trouble),
    /// A task was followed to its end, and is not done.
    Unfinished {
        task: String,
        state: String,
        message: String,
    },
    /// A transfer was followed to its end, and is neither published nor refused.
    Unmoved {
        transfer: String,
        state: String,
        message: String,
    },
    /// A version was brought, and is refused.
    Unpublished(String),
    /// Somebody stopped it.
    Interrupted(Trouble),
    /// It was waited for in vain, and goes on without us.
    Pending {
        trouble: Trouble,
        /// What is missing is a decision, and not a way.
        is_reached: bool,
    },
    /// This machine refuses; and what to do about it.
    Rejected(Error, &'static str),
    /// Something failed.
    Failed(Error),
}

/// Something that is not as it should be.
#[derive(Debug)]
pub(crate) struct Trouble {
    place: String,
    reason: String,
    hint: String,
}

/// A problem document (RFC 9457) of the connector's, which may say anything.
#[derive(Debug)]
pub(crate) struct Problem {
    place: String,
    status: StatusCode,
    /// Seconds until it is worth trying again.
    wait: Option<u64>,
    document: Value,
}

impl Failure {
    /// What an answer that is no success says.
    pub(super) fn of(place: String, answer: &Answer) -> Self {
        let wait = answer.fields.get(hyper::header::RETRY_AFTER);
        Self::Problem(Box::new(Problem {
            place,
            status: answer.status,
            wait: wait.and_then(|wait| wait.to_str().ok()?.parse().ok()),
            document: answer.json().unwrap_or_default(),
        }))
    }

    pub(crate) fn usage(
        place: impl Into<String>,
        reason: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Usage(Trouble::new(place, reason, hint))
    }

    pub(crate) fn refused(
        place: impl Into<String>,
        reason: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Refused(Trouble::new(place, reason, hint))
    }

    pub(crate) fn interrupted(
        place: impl Into<String>,
        reason: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Interrupted(Trouble::new(place, reason, hint))
    }

    /// Nobody has decided yet, or nobody could be reached who decides.
    pub(crate) fn pending(
        is_reached: bool,
        place: impl Into<String>,
        reason: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Pending {
            trouble: Trouble::new(place, reason, hint),
            is_reached,
        }
    }

    /// There is nothing of this name.
    pub(super) fn unknown(noun: &str, wanted: &str, verb: &str) -> Self {
        Self::refused(
            format!("{noun} '{wanted}'"),
            "is not there, or you don't see it",
            format!("{verb} shows those that you see"),
        )
    }

    /// Whether the session has ended.
    pub(crate) fn is_logged_out(&self) -> bool {
        matches!(self, Self::Problem(problem) if problem.is("unauthenticated"))
    }

    /// Whether the connector said so with this status.
    pub(crate) fn has_status(&self, status: StatusCode) -> bool {
        matches!(self, Self::Problem(problem) if problem.status == status)
    }

    /// Whether the way to the connector failed: nobody knows whether it heard.
    pub(crate) fn is_unheard(&self) -> bool {
        matches!(self, Self::Failed(error) if error.kind() == Kind::Unreachable)
    }

    /// Whether it may work a moment later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Problem(problem) => {
                let is_passing = [
                    StatusCode::REQUEST_TIMEOUT,
                    StatusCode::TOO_MANY_REQUESTS,
                    StatusCode::BAD_GATEWAY,
                    StatusCode::SERVICE_UNAVAILABLE,
                    StatusCode::GATEWAY_TIMEOUT,
                ];
                is_passing.contains(&problem.status)
            }
            // Somebody has it just now.
            Self::Failed(error) => matches!(error.kind(), Kind::Unreachable | Kind::Taken),
            _ => false,
        }
    }

    /// Seconds until it is worth trying again, as far as the connector says so.
    pub(super) fn wait(&self) -> Option<u64> {
        match self {
            Self::Problem(problem) => problem.wait,
            _ => None,
        }
    }

    fn is_refusal(&self) -> bool {
        match self {
            Self::Problem(problem) => problem.is_refusal(),
            Self::Refused(_) | Self::Unfinished { .. } | Self::Unpublished(_) | Self::Rejected(..) => true,
            Self::Pending { is_reached, .. } => *is_reached,
            Self::Usage(_) | Self::Interrupted(_) | Self::Unmoved { .. } => false,
            Self::Failed(error) => error.kind() == Kind::Stranger,
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Problem(problem) => match problem.code() {
                "" => "unknown",
                code => code,
            },
            Self::Refused(_) => "refused",
            Self::Unfinished { .. } => "task-not-done",
            Self::Unmoved { .. } => "transfer-not-done",
            Self::Unpublished(_) => "version-rejected",
            Self::Interrupted(_) => "interrupted",
            Self::Pending { is_reached: true, .. } => "pending",
            Self::Pending {
                is_reached: false, ..
            } => Kind::Unreachable.code(),
            Self::Usage(_) => "usage",
            Self::Rejected(error, _) | Self::Failed(error) => error.kind().code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Problem(problem) => problem.hint(),
            Self::Refused(trouble)
            | Self::Usage(trouble)
            | Self::Interrupted(trouble)
            | Self::Pending { trouble, .. } => Some(trouble.hint.clone()),
            Self::Unmoved { transfer, .. } => Some(format!(
                "vcc transfer why {transfer} tells more; vcc transfer retry {transfer} tries again"
            )),
            Self::Unfinished { .. } | Self::Unpublished(_) => None,
            Self::Rejected(_, hint) => Some((*hint).to_owned()),
            Self::Failed(error) => hint(error.kind()).map(str::to_owned),
        }
    }

    /// Tells of it, on standard error or as JSON on standard output, and gives its exit code.
    pub(crate) fn tell(&self, json: bool) -> ExitCode {
        let (message, code) = (printable(&self.to_string()), printable(self.code()));
        let hint = self.hint();
        // The task, the transfer or the version itself was the result, and says how it ended.
        let is_told = matches!(
            self,
            Self::Unfinished { .. } | Self::Unmoved { .. } | Self::Unpublished(_)
        );
        if json && !is_told {
            let mut told = json!({ "message": message, "code": code, "refused": self.is_refusal() });
            if let Some(hint) = hint {
                told["hint"] = hint.into();
            }
            if let Self::Problem(problem) = self {
                told["problem"] = problem.document.clone();
            }
            // Where even the error can't be told, the exit code still tells it.
            let _ = output::document(&json!({ "error": told }));
        } else if !json {
            output::note(&format!("error: {message} ({code})"));
            if let Some(hint) = hint {
                output::note(&format!("hint: {}", printable(&hint)));
            }
        }
        ExitCode::from(if self.is_refusal() { 1 } else { 2 })
    }
}

fn hint(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Unreachable => Some("does the connector run, and is this where it listens?"),
        Kind::Clock => Some("compare the clocks of this machine and of the connector"),
        Kind::Stranger => Some(
            "compare the fingerprint on the connector's console; vcc login takes another one, if it is right",
        ),
        Kind::Malformed => Some("is this a connector of a version that goes with this program?"),
        _ => None,
    }
}

impl Trouble {
    fn new(place: impl Into<String>, reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            reason: reason.into(),
            hint: hint.into(),
        }
    }
}

impl Problem {
    fn text(&self, name: &str) -> &str {
        self.document[name].as_str().unwrap_or_default()
    }

    fn code(&self) -> &str {
        self.text("code")
    }

    fn is(&self, code: &str) -> bool {
        self.code() == code
    }

    /// It understood, and said no: neither that nobody is logged in, nor that it can't.
    fn is_refusal(&self) -> bool {
        let is_state = self.is("setup-required") || self.is("bad-server");
        (self.status.is_client_error() && !self.is("unauthenticated")) || is_state
    }

    fn hint(&self) -> Option<String> {
        if let Some(wait) = self.wait {
            return Some(format!("try again in {wait} seconds"));
        }
        let hint = match self.code() {
            "unauthenticated" => "vcc login HOST begins a session",
            "setup-required" => "vcc setup HOST makes the first administrator",
            "setup-done" => "vcc login HOST begins a session",
            "forbidden" => "vcc status shows who you are and what you may do",
            "precondition-failed" => "somebody changed it meanwhile: look at it again",
            "not-found" => "this connector has no such thing; vcc status shows its role",
            "state-unavailable" | "state-full" => "vcc status shows what is wrong, and what to do",
            "bad-server" => {
                "it was asked once, and nothing goes on: see that it can be reached from there, then try again; a code that was not \
                 used stays good for its time"
            }
            "internal" => "the connector's log says what failed",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problem(problem) => problem.fmt(f),
            Self::Refused(trouble)
            | Self::Usage(trouble)
            | Self::Interrupted(trouble)
            | Self::Pending { trouble, .. } => write!(f, "{}: {}", trouble.place, trouble.reason),
            Self::Unpublished(version) => write!(f, "{version}: is refused, for what is told above"),
            Self::Unfinished { task, state, message } => write!(f, "task {task}: is {state}: {message}"),
            Self::Unmoved {
                transfer,
                state,
                message,
            } => write!(f, "transfer {transfer}: is {state}: {message}"),
            Self::Rejected(error, _) | Self::Failed(error) => error.chain().fmt(f),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        match (self.text("title"), self.text("detail")) {
            ("", _) => write!(f, "the answer is {}, without a reason", self.status),
            // What is meant for programs that speak HTTP helps nobody here.
            (title, _) if self.is("unauthenticated") => {
                write!(f, "{title}: there is no such session, or it has ended")
            }
            (title, _) if self.is("precondition-failed") => f.write_str(title),
            // Its title is about names, and its detail about whatever it is.
            (_, detail) if self.is("conflict") && !detail.is_empty() => {
                f.write_str(detail.trim_end_matches('.'))
            }
            (title, "") => f.write_str(title),
            (title, detail) => write!(f, "{title}: {}", detail.trim_end_matches('.')),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
