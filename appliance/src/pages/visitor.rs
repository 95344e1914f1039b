//! Who looks at a page: by a cookie, which only this connector is sent.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Redirect, Response};
use hyper::header::{
    COOKIE, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_RANGE, LOCATION, RANGE,
    SET_COOKIE,
};
use hyper::{Method, StatusCode};
use serde_json::Value;

use super::Pages;
use super::layout;
use crate::access::{self, Right};
use crate::http::peer::Peer;
use crate::local::{Answer, Question, UNATTENDED};
use crate::role::Role;

/// Somebody who is logged in.
pub(super) struct Visitor {
    pages: Arc<Pages>,
    token: String,
    unattended: bool,
    pub(super) name: String,
    rights: Vec<String>,
    role: String,
}

/// The cookie's name: browsers tell hosts apart and not ports, so that another connector on the same host has another.
fn cookie(pages: &Pages) -> String {
    let id = pages.context.identity().instance_id().simple().to_string();
    format!("__Host-vcc-{id}")
}

/// The field by which a browser keeps a session.
pub(super) fn keep(pages: &Pages, token: &str) -> (HeaderName, String) {
    let name = cookie(pages);
    (
        SET_COOKIE,
        format!("{name}={token}; Path=/; Secure; HttpOnly; SameSite=Strict"),
    )
}

/// The field by which it forgets it.
pub(super) fn forget(pages: &Pages) -> (HeaderName, String) {
    let name = cookie(pages);
    (
        SET_COOKIE,
        format!("{name}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0"),
    )
}

fn token(pages: &Pages, fields: &HeaderMap) -> Option<String> {
    let name = cookie(pages);
    let cookies = fields
        .get_all(COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    let pairs = cookies
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let mut ours = pairs.filter(|(known, value)| *known == name && !value.is_empty());
    ours.next().map(|(_, value)| value.to_owned())
}

/// Whether a form was sent by one of our own pages.
pub(super) fn is_ours(fields: &HeaderMap) -> bool {
    let text = |name: &str| fields.get(name).and_then(|value| value.to_str().ok());
    let host = text("host").unwrap_or_default();
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => origin
            .strip_prefix("https://")
            .is_some_and(|origin| origin == host),
        // Every browser of today sends one of them; a program has the API.
        (None, None) => false,
    }
}

/// Where whoever has not come so far is sent.
pub(super) fn elsewhere(path: &str) -> Response {
    Redirect::to(path).into_response()
}

impl FromRequestParts<Arc<Pages>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, pages: &Arc<Pages>) -> Result<Self, Response> {
        if pages.context.setup_code().is_some() {
            return Err(elsewhere("/setup"));
        }
        if parts.method != Method::GET && !is_ours(&parts.headers) {
            return Err(layout::refusal(
                pages,
                None,
                StatusCode::FORBIDDEN,
                "This form was not sent from a page of this connector.",
            ));
        }
        let path = match parts.method {
            Method::GET => parts.uri.path().to_owned(),
            _ => "/".to_owned(),
        };
        let log_in = || match path.as_str() {
            "/" => elsewhere("/login"),
            path => elsewhere(&format!("/login?next={path}")),
        };
        let token = token(pages, &parts.headers).ok_or_else(log_in)?;
        let unattended = parts.headers.contains_key(UNATTENDED);
        let question = Question {
            path: "/api/v1/session",
            token: &token,
            unattended,
            ..Question::default()
        };
        let answer = pages.ask(question).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            return Err(log_in());
        }
        let who = pages.good(None, answer)?;
        let rights = who["rights"].as_array().into_iter().flatten();
        Ok(Self {
            token,
            unattended,
            role: who["role"].as_str().unwrap_or_default().to_owned(),
            name: who["name"].as_str().unwrap_or_default().to_owned(),
            rights: rights
                .filter_map(|right| right.as_str().map(str::to_owned))
                .collect(),
            pages: Arc::clone(pages),
        })
    }
}

impl Visitor {
    pub(super) fn pages(&self) -> &Arc<Pages> {
        &self.pages
    }

    pub(super) fn role(&self) -> Role {
        self.pages.context.role()
    }

    pub(super) fn may(&self, right: Right) -> bool {
        self.rights.iter().any(|known| known == right.as_str())
    }

    /// Whether it is an administrator of the provider.
    pub(super) fn is_provider_admin(&self) -> bool {
        self.role == access::Role::ProviderAdmin.as_str()
    }

    /// Asks the API in the visitor's name.
    pub(super) async fn ask(&self, question: Question<'_>) -> Result<Answer, Response> {
        let question = Question {
            token: &self.token,
            unattended: self.unattended,
            ..question
        };
        self.pages.ask(question).await
    }

    /// What there is at a path of the API.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Response> {
        let question = Question {
            path,
            ..Question::default()
        };
        let answer = self.ask(question).await?;
        self.pages.good(Some(self), answer)
    }

    /// The same; nothing where the visitor may not see it, or nothing is there.
    pub(super) async fn find(&self, path: &str) -> Result<Option<Value>, Response> {
        let question = Question {
            path,
            ..Question::default()
        };
        let answer = self.ask(question).await?;
        match answer.status {
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Ok(None),
            _ => self.pages.good(Some(self), answer).map(Some),
        }
    }

    /// A file of the API's, passed on as it comes and as these header fields ask for it; a page where it is refused.
    pub(super) async fn file(
        &self,
        path: &str,
        method: Method,
        fields: &HeaderMap,
    ) -> Result<Response, Response> {
        let asked = [RANGE, IF_RANGE, IF_MATCH, IF_NONE_MATCH]
            .into_iter()
            .filter_map(|name| {
                let value = fields.get(&name)?.to_str().ok()?.to_owned();
                Some((name, value))
            });
        let question = Question {
            method,
            path,
            token: &self.token,
            fields: asked.collect(),
            ..Question::default()
        };
        let none = |_| {
            layout::refusal(
                &self.pages,
                Some(self),
                StatusCode::NOT_FOUND,
                "There is no such file.",
            )
        };
        let answer = self.pages.api.open(question).await.map_err(none)?;
        let is_file = answer.status().is_success()
            || [
                StatusCode::NOT_MODIFIED,
                StatusCode::PRECONDITION_FAILED,
                StatusCode::RANGE_NOT_SATISFIABLE,
            ]
            .contains(&answer.status());
        if is_file {
            return Ok(answer);
        }
        let answer = Answer::whole(path, answer).await.map_err(none)?;
        Err(layout::refusal(
            &self.pages,
            Some(self),
            answer.status,
            &reason(&answer),
        ))
    }

    /// Has something done.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, Response> {
        let question = Question {
            method: Method::POST,
            path,
            body: Some(body),
            ..Question::default()
        };
        let answer = self.ask(question).await?;
        self.pages.good(Some(self), answer)
    }
}

impl Pages {
    pub(super) async fn ask(&self, question: Question<'_>) -> Result<Answer, Response> {
        let answer = self.api.ask(question).await;
        answer.map_err(|_| layout::refusal(self, None, StatusCode::NOT_FOUND, "There is no such page."))
    }

    /// What an answer says; a page that tells why it was refused.
    #[expect(clippy::result_large_err, reason = "it is made once a request, and sent")]
    pub(super) fn good(&self, visitor: Option<&Visitor>, answer: Answer) -> Result<Value, Response> {
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        Err(layout::refusal(self, visitor, answer.status, &reason(&answer)))
    }
}

/// What a problem document says, for people.
pub(super) fn reason(answer: &Answer) -> String {
    let text = |name: &str| answer.body[name].as_str().unwrap_or_default();
    match answer
        .fields
        .get("retry-after")
        .and_then(|value| value.to_str().ok())
    {
        Some(seconds) => format!("{}. Try again in {seconds} seconds.", text("title")),
        None => format!("{}. {}", text("title"), text("detail")),
    }
}

/// A field that sends the browser on after a form was carried out.
pub(super) fn done(path: &str) -> Response {
    let place = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(LOCATION, place)]).into_response()
}

/// Where a request comes from.
pub(super) struct Whence(pub(super) Option<Peer>);

impl FromRequestParts<Arc<Pages>> for Whence {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Pages>) -> Result<Self, Response> {
        Ok(Self(parts.extensions.get::<Peer>().cloned()))
    }
}
