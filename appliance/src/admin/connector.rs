//! A connector that is asked things: its answers, its problems, its lists to their end.

mod transfer;

use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{CONTENT_DISPOSITION, ETAG, HeaderName, IF_MATCH, LINK};
use serde_json::Value;
use uuid::Uuid;

use super::events::Events;
use super::failure::{Failure, Result};
use super::session::{KnownBy, Session};
use crate::access::Secret;
use crate::client::{Answer, Client};
use crate::endpoint::Endpoint;
use crate::error::{Error, Kind};
use crate::resolver::Resolver;

/// The most entries of a list: a connector that never ends its list is stopped.
const LONGEST: usize = 200_000;
/// What an answer may take, and one that waits for a change.
const PATIENCE: Duration = Duration::from_secs(20);
const LONG_PATIENCE: Duration = Duration::from_secs(50);
/// Seconds that the connector may wait for a change.
const WAIT: u32 = 25;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A connector, and what opens it.
pub(crate) struct Connector {
    client: Client,
    place: String,
    secret: Option<Secret>,
}

/// What is asked beside method and path.
#[derive(Default)]
struct Question<'a> {
    fields: &'a [(HeaderName, &'a str)],
    body: Option<&'a Value>,
    patience: Option<Duration>,
}

impl Connector {
    /// The one that somebody is logged in to.
    pub(crate) fn of(session: &Session) -> Result<Self> {
        Ok(Self {
            client: session.client()?,
            place: session.server.to_string(),
            secret: Some(session.credential.secret()),
        })
    }

    /// One to which nobody is logged in yet.
    pub(crate) fn at(server: &Endpoint, known_by: &KnownBy) -> Result<Self> {
        let trust = known_by.trust()?;
        Ok(Self {
            client: Client::new(server.clone(), Resolver::default(), trust, None)?,
            place: server.to_string(),
            secret: None,
        })
    }

    /// Shows this from now on.
    #[must_use]
    pub(crate) fn with(self, secret: Secret) -> Self {
        Self {
            secret: Some(secret),
            ..self
        }
    }

    /// Names the connector in an error of ours, which doesn't know it.
    fn placed(&self, error: Error) -> Failure {
        match error.place() {
            "the server" => error.at(&self.place).into(),
            _ => error.into(),
        }
    }

    fn problem(&self, path: &str, answer: &Answer) -> Failure {
        Failure::of(format!("{}{}", self.place, resource(path)), answer)
    }

    /// Asks, and takes a success alone for an answer.
    async fn ask(&mut self, method: Method, path: &str, question: Question<'_>) -> Result<Answer> {
        let Question {
            fields,
            body,
            patience,
        } = question;
        let secret = self.secret.as_ref();
        let patience = patience.unwrap_or(PATIENCE);
        let answer = self
            .client
            .ask_with(method, path, secret, fields, body, patience)
            .await;
        let answer = answer.map_err(|error| self.placed(error))?;
        match answer.status.is_success() {
            true => Ok(answer),
            false => Err(self.problem(path, &answer)),
        }
    }

    /// What is there.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Value> {
        Ok(self.ask(Method::GET, path, Question::default()).await?.json()?)
    }

    /// What is there, and its revision.
    pub(crate) async fn get_revised(&mut self, path: &str) -> Result<(Value, u64)> {
        let answer = self.ask(Method::GET, path, Question::default()).await?;
        let tag = answer.fields.get(ETAG).and_then(|tag| tag.to_str().ok());
        let revision = tag.and_then(|tag| tag.trim_matches('"').parse().ok());
        let revision = revision.ok_or_else(|| wrong("has no revision as its ETag"))?;
        Ok((answer.json()?, revision))
    }

    /// What is there, whatever the status: readiness is told with a failure's.
    pub(crate) async fn get_any(&mut self, path: &str) -> Result<Value> {
        let answer = self.client.ask(Method::GET, path, None, None::<&Value>).await;
        Ok(answer.map_err(|error| self.placed(error))?.json()?)
    }

    /// What is there after its next change, or after a while.
    pub(crate) async fn get_changed(&mut self, path: &str) -> Result<Value> {
        let question = Question {
            patience: Some(LONG_PATIENCE),
            ..Question::default()
        };
        let path = format!("{path}?wait={WAIT}");
        Ok(self.ask(Method::GET, &path, question).await?.json()?)
    }

    /// A file of at most `longest` bytes, and the name that the connector gives it.
    pub(crate) async fn fetch(&mut self, path: &str, longest: usize) -> Result<(Option<String>, Bytes)> {
        let answer = self
            .client
            .fetch(path, self.secret.as_ref(), longest, LONG_PATIENCE)
            .await;
        let answer = answer.map_err(|error| self.placed(error))?;
        if !answer.status.is_success() {
            return Err(self.problem(path, &answer));
        }
        let disposition = answer.fields.get(CONTENT_DISPOSITION);
        let name = disposition.and_then(|value| file_name_of(value.to_str().ok()?));
        Ok((name.map(str::to_owned), answer.into_bytes()))
    }

    /// Does something.
    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        let question = Question {
            body: Some(body),
            ..Question::default()
        };
        Ok(self.ask(Method::POST, path, question).await?.json()?)
    }

    /// Makes something, and asks once more if the answer was lost: by its key it is made once.
    pub(crate) async fn make(&mut self, path: &str, body: &Value) -> Result<Value> {
        let key = Uuid::new_v4().to_string();
        let fields = [(IDEMPOTENCY_KEY, key.as_str())];
        let question = || Question {
            fields: &fields,
            body: Some(body),
            patience: None,
        };
        let made = match self.ask(Method::POST, path, question()).await {
            Err(failure) if failure.is_unheard() => self.ask(Method::POST, path, question()).await,
            other => other,
        };
        Ok(made?.json()?)
    }

    /// Changes what is there as it was read, or as of a revision.
    pub(crate) async fn patch(&mut self, path: &str, revision: Option<u64>, body: &Value) -> Result<Value> {
        let tag = self.tag(path, revision).await?;
        self.change(Method::PATCH, path, &tag, body).await
    }

    /// Replaces what is there as it was read, or as of a revision.
    pub(crate) async fn replace(&mut self, path: &str, revision: Option<u64>, body: &Value) -> Result<Value> {
        let tag = self.tag(path, revision).await?;
        self.change(Method::PUT, path, &tag, body).await
    }

    /// Replaces what is there as of a revision.
    pub(crate) async fn put(&mut self, path: &str, revision: u64, body: &Value) -> Result<Value> {
        self.change(Method::PUT, path, &quoted(revision), body).await
    }

    async fn change(&mut self, method: Method, path: &str, tag: &str, body: &Value) -> Result<Value> {
        let question = Question {
            fields: &[(IF_MATCH, tag)],
            body: Some(body),
            patience: None,
        };
        Ok(self.ask(method, path, question).await?.json()?)
    }

    /// Removes what is there as it was read, or as of a revision.
    pub(crate) async fn delete_matching(&mut self, path: &str, revision: Option<u64>) -> Result<()> {
        let tag = self.tag(path, revision).await?;
        let question = Question {
            fields: &[(IF_MATCH, &tag)],
            ..Question::default()
        };
        self.ask(Method::DELETE, path, question).await.map(drop)
    }

    /// Removes what has no revisions.
    pub(crate) async fn delete(&mut self, path: &str) -> Result<()> {
        self.ask(Method::DELETE, path, Question::default())
            .await
            .map(drop)
    }

    async fn tag(&mut self, path: &str, revision: Option<u64>) -> Result<String> {
        if let Some(revision) = revision {
            return Ok(quoted(revision));
        }
        let read = self.ask(Method::GET, path, Question::default()).await?;
        let tag = read.fields.get(ETAG).and_then(|tag| tag.to_str().ok());
        tag.map(str::to_owned).ok_or_else(|| wrong("has no ETag").into())
    }

    /// A list, of `most` entries at most, over all its pages of `page` entries.
    pub(crate) async fn list(&mut self, path: &str, page: usize, most: Option<usize>) -> Result<Vec<Value>> {
        let most = most.unwrap_or(usize::MAX);
        let mut entries = Vec::new();
        let mut take = |some: Vec<Value>| {
            entries.extend(some);
            if entries.len() > LONGEST {
                let reason = format!("has more than {LONGEST} entries");
                return Err(Error::new(Kind::Ceiling, "the list", reason).into());
            }
            Ok(entries.len() < most)
        };
        self.pages(path, most.min(page), &mut take).await?;
        entries.truncate(most);
        Ok(entries)
    }

    /// A list's pages of `page` entries, one after the other, for as long as more are wanted.
    pub(crate) async fn pages(
        &mut self,
        path: &str,
        page: usize,
        take: &mut impl FnMut(Vec<Value>) -> Result<bool>,
    ) -> Result<()> {
        let mark = if path.contains('?') { '&' } else { '?' };
        let mut next_page = format!("{path}{mark}limit={page}");
        loop {
            let answer = self.ask(Method::GET, &next_page, Question::default()).await?;
            let some: Vec<Value> = answer.json()?;
            let is_empty = some.is_empty();
            let wants_more = take(some)?;
            let next = answer
                .fields
                .get(LINK)
                .and_then(|link| next_of(link.to_str().ok()?));
            match next {
                Some(next) if !is_empty && wants_more => {
                    // Elsewhere the token has no business.
                    if resource(next) != resource(path) {
                        return Err(wrong("names a next page that is of another list").into());
                    }
                    next_page = next.to_owned();
                }
                _ => return Ok(()),
            }
        }
    }

    /// What changes from now on, or since an event of a number.
    pub(crate) async fn events(&mut self, last: Option<u64>) -> Result<Events> {
        const PATH: &str = "/api/v1/events";
        let last = last.map(|number| number.to_string());
        let fields: Vec<_> = last.iter().map(|last| (LAST_EVENT_ID, last.as_str())).collect();
        let opened = self.client.open(PATH, self.secret.as_ref(), &fields).await;
        match opened.map_err(|error| self.placed(error))? {
            Ok(answer) => Ok(Events::new(answer.into_body(), self.place.clone())),
            Err(answer) => Err(self.problem(PATH, &answer)),
        }
    }
}

/// A path without what is asked about it.
fn resource(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

fn quoted(revision: u64) -> String {
    format!("\"{revision}\"")
}

fn wrong(reason: &str) -> Error {
    Error::new(Kind::Malformed, "the connector's answer", reason)
}

/// The target of a `Link` (RFC 8288) to the next page.
fn next_of(link: &str) -> Option<&str> {
    let (target, parameters) = link.strip_prefix('<')?.split_once('>')?;
    let is_next = parameters.split(';').any(|parameter| {
        let parameter = parameter.trim();
        parameter == "rel=\"next\"" || parameter == "rel=next"
    });
    is_next.then_some(target)
}

/// The name in a `Content-Disposition` (RFC 6266), if it is one that leads nowhere and hides nothing.
fn file_name_of(disposition: &str) -> Option<&str> {
    let parameters = disposition.split(';').skip(1);
    let mut values = parameters.filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("filename")
            .then_some(value.trim())
    });
    let value = values.next()?;
    let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let name = bare.unwrap_or(value);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    (begins && name.len() <= 100 && name.chars().all(is_plain)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_link_to_the_next_page_is_one() {
        assert_eq!(next_of("</a?cursor=b>; rel=\"next\""), Some("/a?cursor=b"));
        for other in [
            "",
            "</a>",
            "</a>; rel=\"prev\"",
            "/a; rel=\"next\"",
            "</a; rel=\"next\"",
        ] {
            assert_eq!(next_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_connector_names_a_file_in_no_other_folder() {
        for good in [
            "attachment; filename=\"a-1.tar.gz\"",
            "attachment; FileName=a-1.tar.gz",
        ] {
            assert_eq!(file_name_of(good), Some("a-1.tar.gz"), "{good}");
        }
        for bad in [
            "attachment",
            "attachment; filename=\"\"",
            "attachment; filename=\"../a\"",
            "attachment; filename=\"/etc/a\"",
            "attachment; filename=\".profile\"",
            "attachment; filename=\"-o\"",
            "attachment; filename=\"a b\"",
        ] {
            assert_eq!(file_name_of(bad), None, "{bad}");
        }
    }
}
