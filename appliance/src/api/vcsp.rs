//! `/vcsp/{catalog}`: a catalog for vSphere's content libraries, Cloud Director and others that subscribe to one.
//!
//! VMware's content subscription protocol is a folder of files on a web server: `lib.json` names `items.json`, which tells of each
//! item, its `item.json` and its files. All references are relative to the folder in which `lib.json` is. Subscribers compare
//! versions, which only grow: the library's with each change, an item's with each change of its own, and of that the content's
//! where it offers another version.
//!
//! A reference to a file has the id of the version in it: who reads while a version is published gets all of the former one or all of
//! the new one.

mod document;
mod listing;
mod subscriber;

use axum::RequestPartsExt as _;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use hyper::header::{CONTENT_TYPE, ETAG};
use hyper::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use sqlx::{Sqlite, Transaction};

use super::catalogs;
use super::files;
use super::request::{Id, Standing};
use super::versions::intake;
use crate::access::Principal;
use crate::catalog::{self, Current, State, Version, owner_of};
use crate::http::download::{Verdict, judge};
use crate::http::problem::{Document, Problem};
use document::{Item, Library, Listing};
use subscriber::Subscriber;

/// Read a catalog as a library to subscribe to
///
/// This is the address that a subscriber is given.
#[utoipa::path(get, path = "/vcsp/{catalog}/lib.json", tag = "vcsp", security(("basic" = []), ("bearer" = [])),
    params(("catalog" = String, Path), ("If-None-Match" = Option<String>, Header)), responses(
    (status = 200, body = Library, headers(("ETag" = String))),
    (status = 304, description = "It is the one that is known"),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 412, body = Document),
))]
pub(super) async fn library(
    standing: Standing,
    Subscriber(user): Subscriber,
    Id(id): Id,
    fields: HeaderMap,
) -> Result<Response, Problem> {
    let mut db = standing.ground()?.database.begin().await?;
    let catalog = catalogs::found(&mut db, &user, &id).await?;
    told(&fields, catalog.offered, || written(&Library::of(&catalog)))
}

/// List what a library offers: each item's current version
#[utoipa::path(get, path = "/vcsp/{catalog}/items.json", tag = "vcsp", security(("basic" = []), ("bearer" = [])),
    params(("catalog" = String, Path), ("If-None-Match" = Option<String>, Header)), responses(
    (status = 200, body = Listing, headers(("ETag" = String))),
    (status = 304, description = "It is the one that is known"),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 412, body = Document),
))]
pub(super) async fn items(
    standing: Standing,
    Subscriber(user): Subscriber,
    Id(id): Id,
    method: Method,
    fields: HeaderMap,
) -> Result<Response, Problem> {
    let mut db = standing.ground()?.database.begin().await?;
    let catalog = catalogs::found(&mut db, &user, &id).await?;
    drop(db);
    // What changes while it is read makes it newer than it says, and is read again: the library's version has grown.
    told(&fields, catalog.offered, || {
        Ok(match method {
            Method::HEAD => Body::empty(),
            _ => listing::body(&standing.0, catalog),
        })
    })
}

/// Read what an item of a library offers
#[utoipa::path(get, path = "/vcsp/{catalog}/{item}/item.json", tag = "vcsp", security(("basic" = []), ("bearer" = [])),
    params(("catalog" = String, Path), ("item" = String, Path), ("If-None-Match" = Option<String>, Header)), responses(
    (status = 200, body = Item, headers(("ETag" = String))),
    (status = 304, description = "It is the one that is known"),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 412, body = Document),
))]
pub(super) async fn item(
    standing: Standing,
    Subscriber(user): Subscriber,
    ItemPath { catalog, item }: ItemPath,
    fields: HeaderMap,
) -> Result<Response, Problem> {
    let mut db = standing.ground()?.database.begin().await?;
    let catalog = catalogs::found(&mut db, &user, &catalog).await?;
    let current = Current::find(&mut db, &catalog, &item).await?;
    let current = current.ok_or(Problem::NOT_FOUND)?;
    told(&fields, current.revision(), || written(&Item::of(&current)))
}

/// Fetch a file of a published version
#[utoipa::path(get, path = "/vcsp/{catalog}/{item}/{version}/{name}", tag = "vcsp", security(("basic" = []), ("bearer" = [])),
    params(("catalog" = String, Path), ("item" = String, Path), ("version" = String, Path), ("name" = String, Path),
        ("Range" = Option<String>, Header), ("If-Range" = Option<String>, Header),
        ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)), responses(
    (status = 200, content_type = "application/octet-stream", body = Vec<u8>),
    (status = 206, content_type = "application/octet-stream", body = Vec<u8>),
    (status = 304, description = "It is the one that is known"),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 409, body = Document, description = "Its bytes are not here any more"),
    (status = 412, body = Document),
    (status = 416, body = Document),
))]
pub(super) async fn file(
    standing: Standing,
    Subscriber(user): Subscriber,
    path: FilePath,
    method: Method,
    fields: HeaderMap,
) -> Result<Response, Problem> {
    let ground = standing.ground()?;
    let intake = intake(ground)?;
    let mut db = ground.database.begin().await?;
    let (version, tenant) = path.found(&mut db, &user).await?;
    drop(db);
    let file = version.files.iter().find(|file| file.name == path.name);
    let file = file.ok_or(Problem::NOT_FOUND)?;
    files::download(intake, owner_of(tenant.as_deref())?, file, &method, &fields).await
}

/// A document of this version, unless the client has it.
fn told(
    fields: &HeaderMap,
    version: i64,
    document: impl FnOnce() -> Result<Body, Problem>,
) -> Result<Response, Problem> {
    let tag = format!("\"{version}\"");
    match judge(fields, &tag) {
        Verdict::GoOn => {
            Ok(([(ETAG, tag)], [(CONTENT_TYPE, "application/json")], document()?).into_response())
        }
        Verdict::NotModified => Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response()),
        Verdict::Failed => Err(Problem::PRECONDITION_FAILED),
    }
}

fn written(document: &impl Serialize) -> Result<Body, Problem> {
    let text = serde_json::to_vec(document).map_err(|_| Problem::INTERNAL)?;
    Ok(Body::from(text))
}

/// An item, as a path names it.
pub(super) struct ItemPath {
    catalog: String,
    item: String,
}

impl<S: Send + Sync> FromRequestParts<S> for ItemPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let path = parts.extract::<Path<(String, String)>>().await;
        let Path((catalog, item)) = path.map_err(|_| Problem::NOT_FOUND)?;
        Ok(Self { catalog, item })
    }
}

/// A file, as a path names it.
pub(super) struct FilePath {
    catalog: String,
    item: String,
    version: String,
    name: String,
}

impl FilePath {
    /// Its version and whose that is, if the user sees it, and it is published and all of the path is so.
    async fn found(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        user: &Principal,
    ) -> Result<(Version, Option<String>), Problem> {
        let found = Version::find(db, user, &self.version).await?;
        let (version, tenant) = found.ok_or(Problem::NOT_FOUND)?;
        let item = catalog::Item::find(db, user, &version.item).await?;
        let is_so = version.item == self.item && item.is_some_and(|item| item.catalog == self.catalog);
        match is_so && version.state == State::Published {
            true => Ok((version, tenant)),
            false => Err(Problem::NOT_FOUND),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for FilePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let path = parts.extract::<Path<(String, String, String, String)>>().await;
        let Path((catalog, item, version, name)) = path.map_err(|_| Problem::NOT_FOUND)?;
        Ok(Self {
            catalog,
            item,
            version,
            name,
        })
    }
}
