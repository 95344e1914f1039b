//! Pages for people: plain HTML, made here, which works without a script; the script only keeps a page up to date.
//!
//! Whatever a page shows or does goes through the API, in the name of whoever is logged in: pages have no rights of their own,
//! and nothing can be done on them that a program could not do. A session is a cookie that only this connector is sent;
//! forms are taken from its own pages alone.
//!
//! | path | page |
//! |---|---|
//! | `/` | how everything is |
//! | `/setup` | the first administrator, and on a node its server; once |
//! | `/login`, `/logout` | |
//! | `/reset` | a new password, by a code of the console |
//! | `/nodes`, `/nodes/{id}` | on a server: approval, configuration and tasks of its nodes |
//! | `/tasks`, `/tasks/{id}` | on a server |
//! | `/transfers`, `/transfers/new`, `/transfers/{id}` | on a server: what moves from node to node |
//! | `/authority`, `/authority/force` | on a server: the key by which its nodes know it, and the next one |
//! | `/enrolment` | on a node: its server |
//! | `/catalogs`, `/items/{id}` | on a node: what its catalogs offer, and in which versions |
//! | `/versions/{id}/remove`, `/versions/{id}/files/{name}` | on a node: a version that goes, a file of one |
//! | `/trust` | on a node: whom a tenant believes, and what it asks of packages |
//! | `/configuration` | what is wanted of nodes, or the connector's own settings |
//! | `/audit` | who did what |
//! | `/support-bundle`, `/support-bundle/file` | what somebody who helps has to know |

mod audit;
mod authority;
mod catalogs;
mod configuration;
mod enrolment;
mod form;
mod item;
mod layout;
mod login;
mod node;
mod nodes;
mod overview;
mod reset;
mod setup;
mod support_bundle;
mod tasks;
mod transfer;
mod transfers;
mod trust;
mod visitor;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use crate::local::Local;
use crate::role::Role;
use crate::service::Context;

/// A page loads its own style and script and nothing else, and is shown in nobody's frame.
const FIELDS: [(HeaderName, &str); 6] = [
    (CACHE_CONTROL, "no-store"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

/// What all pages are made of.
struct Pages {
    context: Arc<Context>,
    api: Local,
}

/// The API, and the pages before it.
pub fn over(context: Arc<Context>, api: Router) -> Router {
    let pages = Pages {
        context: Arc::clone(&context),
        api: Local::new(api.clone()),
    };
    let router = Router::new()
        .route("/", get(overview::page))
        .route("/setup", get(setup::page).post(setup::send))
        .route("/login", get(login::page).post(login::send))
        .route("/logout", post(login::leave))
        .route("/reset", get(reset::page).post(reset::send))
        .route(
            "/configuration",
            get(configuration::page).post(configuration::send),
        )
        .route("/audit", get(audit::page))
        .route("/support-bundle", get(support_bundle::page))
        .route("/support-bundle/file", get(support_bundle::file))
        .route(
            "/style.css",
            get(|| file("text/css", include_str!("pages/style.css"))),
        )
        .route(
            "/script.js",
            get(|| file("text/javascript", include_str!("pages/script.js"))),
        )
        .route(
            "/icon.svg",
            get(|| file("image/svg+xml", include_str!("pages/icon.svg"))),
        )
        .merge(of_role(context.role()))
        .layer(from_fn(finish))
        .layer(from_fn_with_state(context, crate::api::keep_to_peers))
        .with_state(Arc::new(pages));
    router.fallback_service(api)
}

fn of_role(role: Role) -> Router<Arc<Pages>> {
    match role {
        Role::Server => Router::new()
            .route("/nodes", get(nodes::page))
            .route("/nodes/code", post(nodes::make_code))
            .route("/nodes/{id}", get(node::page))
            .route("/nodes/{id}/approve", post(node::approve))
            .route("/nodes/{id}/revoke", post(node::revoke))
            .route("/nodes/{id}/apply", post(node::apply))
            .route("/nodes/{id}/order", post(node::order))
            .route("/authority", get(authority::page))
            .route("/authority/rotate", post(authority::rotate))
            .route(
                "/authority/force",
                get(authority::confirmation).post(authority::force),
            )
            .route("/tasks", get(tasks::list))
            .route("/tasks/{id}", get(tasks::page))
            .route("/tasks/{id}/cancel", post(tasks::cancel))
            .route("/transfers", get(transfers::list))
            .route("/transfers/new", get(transfers::form).post(transfers::order))
            .route("/transfers/{id}", get(transfer::page))
            .route("/transfers/{id}/cancel", post(transfer::cancel))
            .route("/transfers/{id}/retry", post(transfer::retry)),
        Role::Node | Role::Sp => Router::new()
            .route("/enrolment", get(enrolment::page).post(enrolment::send))
            .route("/enrolment/leave", post(enrolment::leave))
            .route("/catalogs", get(catalogs::page))
            .route("/items/{id}", get(item::page))
            .route("/versions/{id}/remove", post(item::remove))
            .route("/versions/{id}/files/{name}", get(item::file))
            .route("/trust", get(trust::page)),
    }
}

async fn file(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, kind)], text).into_response()
}

async fn finish(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in FIELDS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
