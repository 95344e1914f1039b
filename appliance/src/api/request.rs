//! What a request says: who makes it, a body, a page, a precondition.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::JsonRejection};
use axum::http::request::Parts;
use axum::{Json, RequestPartsExt as _};
use hyper::HeaderMap;
use hyper::header::{
    AUTHORIZATION, CONNECTION, HeaderName, HeaderValue, IF_MATCH, RETRY_AFTER, WWW_AUTHENTICATE,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sqlx::{Sqlite, Transaction};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::access::{Principal, Right, Secret, Token};
use crate::authority::{KeyDigest, Keys, NodeCertificate};
use crate::clock::Moment;
use crate::error::Error;
use crate::http::peer::Peer;
use crate::http::percent::encoded;
use crate::http::problem::Problem;
use crate::local::UNATTENDED;
use crate::node::{Admission, Cost, Node};
use crate::peer::{self, Credentials};
use crate::service::{Context, Ground};
use crate::transfer::{Grant, Part, admit};

/// The ground that a request stands on: there is one, and the connector is set up.
pub(super) struct Standing(pub(super) Arc<Context>);

impl Standing {
    /// The database and what goes with it.
    pub(super) fn ground(&self) -> Result<&Ground, Problem> {
        self.0.ground().ok_or(Problem::STATE_UNAVAILABLE)
    }

    /// A transaction in the name of somebody who may still act: a request's body can take its time.
    pub(super) async fn begin(&self, user: &Principal) -> Result<Transaction<'static, Sqlite>, Problem> {
        let mut db = self.ground()?.database.begin().await?;
        match Token::is_good(&mut db, user).await? {
            true => Ok(db),
            false => Err(challenge()),
        }
    }

    /// What time it is, for what is made with an end.
    pub(super) fn plausible_time(&self) -> Result<Moment, Problem> {
        let now = self.ground()?.clock.now();
        match now.is_plausible() {
            true => Ok(now),
            false => Err(Problem::CLOCK_IMPLAUSIBLE),
        }
    }

    /// The keys of the server's authority.
    pub(super) fn keys(&self) -> Result<Arc<Keys>, Problem> {
        let issuing = self.0.issuing().ok_or(Problem::STATE_UNAVAILABLE)?;
        Ok(issuing.keys())
    }
}

impl FromRequestParts<Arc<Context>> for Standing {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, context: &Arc<Context>) -> Result<Self, Problem> {
        Ok(Self(Arc::clone(context)))
    }
}

/// Somebody who is logged in.
pub(super) struct LoggedIn(pub(super) Principal);

impl LoggedIn {
    /// The same, if it may do this.
    pub(super) fn may(self, right: Right) -> Result<Principal, Problem> {
        match self.0.may(right) {
            true => Ok(self.0),
            false => Err(Problem::FORBIDDEN.about(format!("This takes the right {}.", right.as_str()))),
        }
    }
}

impl FromRequestParts<Arc<Context>> for LoggedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, Problem> {
        let Shown(secret) = Shown::from_request_parts(parts, context).await?;
        let is_use = !parts.headers.contains_key(UNATTENDED);
        let principal = principal(context, &secret, is_use).await?;
        principal.map(Self).ok_or_else(challenge)
    }
}

/// Who shows this secret, if it is good now.
pub(super) async fn principal(
    context: &Context,
    secret: &Secret,
    is_use: bool,
) -> Result<Option<Principal>, Problem> {
    let ground = context.ground().ok_or(Problem::STATE_UNAVAILABLE)?;
    let mut db = ground.database.begin().await?;
    let principal = Token::principal(&mut db, secret, is_use, ground.clock.now()).await?;
    db.commit().await.map_err(Error::from)?;
    Ok(principal)
}

/// A secret that was shown, of whatever kind.
pub(super) struct Shown(pub(super) Secret);

impl FromRequestParts<Arc<Context>> for Shown {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Context>) -> Result<Self, Problem> {
        let shown = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        shown
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, secret)| Self(Secret::shown(secret.trim())))
            .ok_or_else(challenge)
    }
}

fn challenge() -> Problem {
    Problem::UNAUTHENTICATED.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

/// A node that shows a certificate of this server's authority.
pub(super) struct FromNode {
    shown: NodeCertificate,
    was_let_in: Arc<AtomicBool>,
}

impl FromNode {
    /// The node's id.
    pub(super) fn id(&self) -> String {
        self.shown.node.to_string()
    }

    /// What it shows.
    pub(super) fn certificate(&self) -> &NodeCertificate {
        &self.shown
    }

    /// Whether a key of the authority's signed what it shows.
    pub(super) async fn is_signed_by(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        key: KeyDigest,
    ) -> Result<bool, Problem> {
        Ok(self.shown.signer(db).await? == Some(key))
    }

    /// Sees that it is one of this server's right now.
    pub(super) async fn admit(&self, db: &mut Transaction<'_, Sqlite>, now: Moment) -> Result<(), Problem> {
        match Node::admit(db, &self.shown, now).await? {
            Admission::Granted => {
                self.was_let_in.store(true, Ordering::Relaxed);
                Ok(())
            }
            Admission::Suspended => Err(sent_away(Problem::NODE_SUSPENDED)),
            Admission::Revoked => Err(sent_away(Problem::NODE_REVOKED)),
            Admission::Unknown => Err(sent_away(Problem::NODE_UNKNOWN)),
            Admission::Expired => Err(sent_away(Problem::CERTIFICATE_EXPIRED)),
            Admission::Replaced => Err(sent_away(Problem::CERTIFICATE_REPLACED)),
            Admission::Unexplained => Err(sent_away(Problem::SERVER_BEHIND)),
        }
    }

    /// Whether it comes with a certificate of the past. What was under way over a connection of before the other certificate's
    /// use may just be late.
    pub(super) async fn comes_from_the_past(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        now: Moment,
    ) -> Result<bool, Problem> {
        let is_late = self.was_let_in.load(Ordering::Relaxed);
        Ok(!is_late && Node::admit(db, &self.shown, now).await? == Admission::Replaced)
    }

    /// Sees that it doesn't ask too often.
    pub(super) fn pays(&self, standing: &Standing, cost: Cost) -> Result<(), Problem> {
        let paid = standing
            .ground()?
            .pace
            .take(self.shown.node, cost, Instant::now());
        paid.map_err(|wait| Problem::TOO_FAST.with(RETRY_AFTER, wait.as_secs() + 1))
    }
}

/// Another node of the same server, on a node.
pub(super) struct FromPeer {
    node: Uuid,
    own: Arc<Credentials>,
}

impl FromPeer {
    /// Its id.
    pub(super) fn node(&self) -> Uuid {
        self.node
    }

    /// What this node shows it.
    pub(super) fn own(&self) -> &Credentials {
        &self.own
    }

    /// The grant that its request brings, for this node in a part.
    pub(super) fn granted(&self, fields: &HeaderMap, part: Part, now: Moment) -> Result<Grant, Problem> {
        let brought = peer::brought_grant(fields);
        let brought = brought.map_err(|error| Problem::INVALID.about(format!("{}.", error.chain())))?;
        admit(
            &brought,
            self.own.authorities(),
            self.own.node(),
            self.node,
            part,
            now,
        )
        .map_err(|refusal| Problem::GRANT_REFUSED.about(format!("{refusal}.")))
    }
}

impl FromRequestParts<Arc<Context>> for FromPeer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, Problem> {
        let ground = context.ground().ok_or(Problem::STATE_UNAVAILABLE)?;
        let peer = parts.extensions.get::<Peer>();
        // The connection may be one of before this node left its server, or before a key of that was replaced.
        let known = peer.and_then(|peer| Some((peer.certificate.as_ref()?, peer.authority?)));
        let own = ground.peering.credentials();
        let (Some((certificate, authority)), Some(own)) = (known, own) else {
            return Err(Problem::NO_PEER);
        };
        let now = ground.clock.now();
        match own.authorities().contains(&authority) && now < certificate.expires {
            true => Ok(Self {
                node: certificate.node,
                own,
            }),
            false => Err(sent_away(Problem::NO_PEER)),
        }
    }
}

/// Who is sent away has nothing more to say: the connection ends with the answer.
pub(super) fn sent_away(problem: Problem) -> Problem {
    problem.with(CONNECTION, HeaderValue::from_static("close"))
}

impl FromRequestParts<Arc<Context>> for FromNode {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Context>) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<Peer>().ok_or_else(challenge)?;
        Ok(Self {
            shown: peer.certificate.clone().ok_or_else(challenge)?,
            was_let_in: Arc::clone(&peer.was_let_in),
        })
    }
}

/// Where a request comes from, as far as that is known.
pub(super) struct From(pub(super) Option<IpAddr>);

impl FromRequestParts<Arc<Context>> for From {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Context>) -> Result<Self, Problem> {
        Ok(Self(parts.extensions.get::<Peer>().map(|peer| peer.address)))
    }
}

/// What a path names; whatever can't be a name is nobody's.
pub(super) struct Id(pub(super) String);

impl FromRequestParts<Arc<Context>> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Context>) -> Result<Self, Problem> {
        let path = parts.extract::<Path<String>>().await;
        path.map(|Path(id)| Self(id)).map_err(|_| Problem::NOT_FOUND)
    }
}

/// A body of JSON, read strictly.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(JsonRejection::MissingJsonContentType(_)) => Err(Problem::NOT_JSON),
            Err(JsonRejection::BytesRejection(_)) => Err(Problem::TOO_LARGE),
            Err(other) => Err(Problem::INVALID.about(other.body_text())),
        }
    }
}

/// The most entries of a page.
const LARGEST_PAGE: u32 = 500;

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Entries at most, 1 to 500.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Where the last page ended, from its Link header field.
    cursor: Option<String>,
}

impl Page {
    pub(super) fn limit(&self) -> u32 {
        self.limit.unwrap_or(100).clamp(1, LARGEST_PAGE)
    }

    /// The cursor of a list whose entries are numbered.
    pub(super) fn number(&self) -> Result<Option<i64>, Problem> {
        let number = self.cursor.as_ref().map(|text| text.parse());
        let number = number.transpose();
        number.map_err(|_| Problem::INVALID.about("cursor is none of this list's"))
    }

    /// The cursor of a list whose entries are in the order of their times.
    pub(super) fn before(&self) -> Result<Option<(i64, String)>, Problem> {
        if self.cursor().is_empty() {
            return Ok(None);
        }
        let read = self.cursor().split_once('_');
        let read = read.and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
        read.map(Some)
            .ok_or(Problem::INVALID.about("cursor is none of this list's"))
    }

    pub(super) fn cursor(&self) -> &str {
        self.cursor.as_deref().unwrap_or_default()
    }

    /// The header field that names the next page, after a page that is full.
    pub(super) fn link(
        &self,
        path: &str,
        entries: usize,
        last: Option<&str>,
    ) -> Option<(HeaderName, String)> {
        let last = last.filter(|_| entries >= self.limit() as usize)?;
        let mark = if path.contains('?') { '&' } else { '?' };
        let link = format!(
            "<{path}{mark}limit={}&cursor={}>; rel=\"next\"",
            self.limit(),
            encoded(last)
        );
        Some((hyper::header::LINK, link))
    }

    /// The part of a list that was asked for among other things.
    pub(super) fn of(limit: Option<u32>, cursor: Option<String>) -> Result<Self, Problem> {
        match limit {
            Some(0) => Err(Problem::INVALID.about("limit is at least 1")),
            Some(limit) if limit > LARGEST_PAGE => Err(Problem::INVALID.about("limit is at most 500")),
            _ => Ok(Self { limit, cursor }),
        }
    }
}

impl FromRequestParts<Arc<Context>> for Page {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Context>) -> Result<Self, Problem> {
        let page = parts.extract::<Query<Page>>().await;
        let Query(page) = page.map_err(|error| Problem::INVALID.about(error.body_text()))?;
        Self::of(page.limit, page.cursor)
    }
}

/// How long an answer may wait for a change.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wait {
    /// Seconds at most, 0 to 30.
    #[param(maximum = 30)]
    wait: Option<u32>,
}

impl Wait {
    pub(super) fn seconds(&self) -> u32 {
        self.wait.unwrap_or(0)
    }
}

impl FromRequestParts<Arc<Context>> for Wait {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Context>) -> Result<Self, Problem> {
        let wait = parts.extract::<Query<Wait>>().await;
        let Query(wait) = wait.map_err(|error| Problem::INVALID.about(error.body_text()))?;
        match wait.seconds() <= 30 {
            true => Ok(wait),
            false => Err(Problem::INVALID.about("wait is at most 30")),
        }
    }
}

/// The revision that a change is made to, from `If-Match`.
pub(super) struct Matches(pub(super) i64);

impl FromRequestParts<Arc<Context>> for Matches {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Context>) -> Result<Self, Problem> {
        let value = parts
            .headers
            .get(IF_MATCH)
            .ok_or(Problem::PRECONDITION_REQUIRED)?;
        let revision = value
            .to_str()
            .ok()
            .and_then(|text| text.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok());
        // One that was never given matches nothing.
        revision.map(Self).ok_or(Problem::PRECONDITION_FAILED)
    }
}

/// The ETag of a revision.
pub(super) fn etag(revision: i64) -> (HeaderName, String) {
    (hyper::header::ETAG, format!("\"{revision}\""))
}
