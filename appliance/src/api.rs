//! The HTTP resources of a connector.
//!
//! | resource | answer |
//! |---|---|
//! | `/healthz` | 200 while the service answers at all |
//! | `/readyz` | every check with its reason; 503 if one failed |
//! | `/metrics` | Prometheus text |
//! | `/api/v1/about` | who this connector is |
//! | `/api/v1/setup` | the first administrator; 410 afterwards |
//! | `/api/v1/administrator-reset` | a new password by a code of the console |
//! | `/api/v1/openapi.json` | all the others: each is a module here |
//! | `/vcsp` | on a node: catalogs, for those who subscribe to them |
//!
//! Until the connector is set up, all but the first five answer 503 `setup-required`.

mod about;
mod administrator_reset;
mod arrivals;
mod audit;
mod authority;
mod catalogs;
mod clouds;
mod configuration;
mod configurations;
mod downgrades;
mod enrolment;
mod enrolments;
mod events;
mod files;
mod health;
mod items;
mod metrics;
mod nodes;
mod once;
mod openapi;
mod peer;
mod peer_streams;
mod policies;
mod quotas;
mod request;
mod session;
mod setup;
mod subscriptions;
mod support_bundle;
mod tasks;
mod tenants;
mod tokens;
mod transfers;
mod trust_roots;
mod users;
mod vcsp;
mod versions;
mod whose;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::routing::{delete, get, post};
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use hyper::{Method, Response};

use crate::http::peer::Peer;
use crate::http::problem::Problem;
use crate::log;
use crate::role::Role;
use crate::service::Context;

const HEALTH: &str = "/healthz";
const READY: &str = "/readyz";
const METRICS: &str = "/metrics";
const ABOUT: &str = "/api/v1/about";
const HEARTBEATS: &str = "/api/v1/heartbeats";
/// What the paths begin with that nodes ask of each other.
const PEER: &str = "/api/v1/peer/";
/// The label of every request to nowhere.
const OTHER: &str = "other";

/// No answer of an API is a page, and none may be kept, framed or guessed at.
const FIELDS: [(HeaderName, &str); 5] = [
    (CACHE_CONTROL, "no-store"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
];

/// All resources.
pub fn router(context: Arc<Context>) -> Router {
    let open = Router::new()
        .route(HEALTH, get(health::live))
        .route(READY, get(health::ready))
        .route(METRICS, get(metrics::scrape))
        .route(ABOUT, get(about::about))
        .route("/api/v1/setup", post(setup::create));
    let gated = Router::new()
        .route("/api/v1/openapi.json", get(openapi::document))
        .route(
            "/api/v1/session",
            post(session::create).get(session::read).delete(session::delete),
        )
        .route("/api/v1/users", get(users::list).post(users::create))
        .route(
            "/api/v1/users/{id}",
            get(users::read).patch(users::change).delete(users::delete),
        )
        .route("/api/v1/tokens", get(tokens::list).post(tokens::create))
        .route("/api/v1/tokens/{id}", delete(tokens::delete))
        .route("/api/v1/tenants", get(tenants::list).post(tenants::create))
        .route("/api/v1/tenants/{id}", get(tenants::read).delete(tenants::delete))
        .route("/api/v1/audit", get(audit::list))
        .route("/api/v1/audit/checkpoint", get(audit::checkpoint))
        .route("/api/v1/administrator-reset", post(administrator_reset::create))
        .route("/api/v1/support-bundle", get(support_bundle::read))
        .route(
            "/api/v1/configuration",
            get(configuration::read).put(configuration::write),
        )
        .merge(of_role(context.role()))
        .fallback(|| async { Problem::NOT_FOUND.response() })
        .method_not_allowed_fallback(|| async { Problem::METHOD_NOT_ALLOWED.response() })
        .layer(from_fn_with_state(Arc::clone(&context), gate));
    open.method_not_allowed_fallback(|| async { Problem::METHOD_NOT_ALLOWED.response() })
        .merge(gated)
        .layer(from_fn(to_its_end))
        .layer(from_fn_with_state(Arc::clone(&context), keep_to_peers))
        .layer(from_fn_with_state(Arc::clone(&context), finish))
        .with_state(context)
}

/// Whether a request sends a file: its body goes to its resource as it comes, however long it is.
pub fn takes_file(method: &Method, path: &str) -> bool {
    let rest = path.strip_prefix("/api/v1/versions/");
    let words = rest.map(|rest| rest.split('/').collect::<Vec<_>>());
    *method == Method::PUT && matches!(words.as_deref(), Some([_, "files", _]))
}

/// What only a server has, or only a node.
fn of_role(role: Role) -> Router<Arc<Context>> {
    match role {
        Role::Server => Router::new()
            .route("/api/v1/enrolment-codes", post(nodes::create_code))
            .route("/api/v1/enrolments", post(enrolments::create))
            .route("/api/v1/enrolments/{id}", get(enrolments::read))
            .route(HEARTBEATS, post(enrolments::beat))
            .route("/api/v1/certificates", post(enrolments::renew))
            .route("/api/v1/nodes", get(nodes::list))
            .route("/api/v1/nodes/{id}", get(nodes::read))
            .route("/api/v1/nodes/{id}/approve", post(nodes::approve))
            .route("/api/v1/nodes/{id}/revoke", post(nodes::revoke))
            .route("/api/v1/nodes/{id}/configuration", get(configurations::status))
            .route(
                "/api/v1/nodes/{id}/configuration/apply",
                post(configurations::apply),
            )
            .route(
                "/api/v1/nodes/{id}/tasks",
                get(tasks::list_of_node).post(tasks::create),
            )
            .route("/api/v1/configurations", get(configurations::list))
            .route(
                "/api/v1/configurations/{scope}",
                get(configurations::read).put(configurations::write),
            )
            .route(
                "/api/v1/configurations/{scope}/versions",
                get(configurations::history),
            )
            .route("/api/v1/authority", get(authority::read))
            .route("/api/v1/authority/rotate", post(authority::rotate))
            .route("/api/v1/clouds", get(clouds::list))
            .route("/api/v1/clouds/{id}", get(clouds::read))
            .route("/api/v1/clouds/{id}/status", get(clouds::status))
            .route("/api/v1/tasks", get(tasks::list))
            .route("/api/v1/tasks/{id}", get(tasks::read))
            .route("/api/v1/tasks/{id}/cancel", post(tasks::cancel))
            .route("/api/v1/tasks/{id}/progress", post(tasks::progress))
            .route("/api/v1/transfers", get(transfers::list).post(transfers::create))
            .route("/api/v1/transfers/{id}", get(transfers::read))
            .route("/api/v1/transfers/{id}/cancel", post(transfers::cancel))
            .route("/api/v1/transfers/{id}/retry", post(transfers::retry))
            .route("/api/v1/transfers/{id}/grant", get(transfers::grant))
            .route("/api/v1/transfers/{id}/receipt", post(transfers::receipt))
            .route(
                "/api/v1/subscriptions",
                get(subscriptions::list).post(subscriptions::create),
            )
            .route(
                "/api/v1/subscriptions/{id}",
                get(subscriptions::read).delete(subscriptions::delete),
            )
            .route("/api/v1/subscriptions/{id}/sync", post(subscriptions::sync))
            .route("/api/v1/events", get(events::follow)),
        Role::Node | Role::Sp => Router::new()
            .route(
                "/api/v1/enrolment",
                get(enrolment::read)
                    .post(enrolment::create)
                    .delete(enrolment::delete),
            )
            .route("/api/v1/catalogs", get(catalogs::list).post(catalogs::create))
            .route(
                "/api/v1/catalogs/{id}",
                get(catalogs::read)
                    .patch(catalogs::change)
                    .delete(catalogs::delete),
            )
            .route("/api/v1/catalogs/{id}/versions", post(versions::create))
            .route("/api/v1/items", get(items::list))
            .route(
                "/api/v1/items/{id}",
                get(items::read).patch(items::change).delete(items::delete),
            )
            .route("/api/v1/items/{id}/versions", get(items::versions))
            .route(
                "/api/v1/versions/{id}",
                get(versions::read).delete(versions::delete),
            )
            .route(
                "/api/v1/versions/{id}/files/{name}",
                get(files::read).put(files::write),
            )
            .route(
                "/api/v1/trust-roots",
                get(trust_roots::list).post(trust_roots::create),
            )
            .route(
                "/api/v1/trust-roots/{id}",
                get(trust_roots::read).delete(trust_roots::delete),
            )
            .route(
                "/api/v1/policies/{tenant}",
                get(policies::read).put(policies::write),
            )
            .route(
                "/api/v1/policies/{tenant}/downgrades",
                get(downgrades::list).post(downgrades::create),
            )
            .route(
                "/api/v1/policies/{tenant}/downgrades/{catalog}/{item}/{version}",
                delete(downgrades::delete),
            )
            .route("/api/v1/quotas/{tenant}", get(quotas::read).put(quotas::write))
            .route("/api/v1/arrivals", post(arrivals::create))
            .route("/api/v1/arrivals/{transfer}", get(arrivals::read))
            .route("/api/v1/peer/streams", post(peer_streams::bring))
            .route("/api/v1/peer/relays/{transfer}", post(peer_streams::relay))
            .route("/api/v1/peer/version", get(peer::version))
            .route("/api/v1/peer/files/{name}", get(peer::file))
            .route("/api/v1/peer/files/{name}/index", get(peer::root))
            .route("/api/v1/peer/files/{name}/index/{group}", get(peer::groups))
            .route("/vcsp/{catalog}/lib.json", get(vcsp::library))
            .route("/vcsp/{catalog}/items.json", get(vcsp::items))
            .route("/vcsp/{catalog}/{item}/item.json", get(vcsp::item))
            .route("/vcsp/{catalog}/{item}/{version}/{name}", get(vcsp::file)),
    }
}

/// Lets nobody in before there is an administrator.
async fn gate(State(context): State<Arc<Context>>, request: Request, next: Next) -> Response<Body> {
    match context.ground() {
        Some(ground) if ground.setup.is_done() => next.run(request).await,
        // Without its state nobody knows whether it was set up.
        None if !context.is_new() => Problem::STATE_UNAVAILABLE.response(),
        _ => Problem::SETUP_REQUIRED.response(),
    }
}

/// To another node of the server, a node is what nodes ask of each other, and nothing else.
pub(crate) async fn keep_to_peers(
    State(context): State<Arc<Context>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let peer = request.extensions().get::<Peer>();
    let is_peer = context.role() != Role::Server && peer.is_some_and(|peer| peer.certificate.is_some());
    match is_peer && !request.uri().path().starts_with(PEER) {
        true => Problem::NOT_FOUND.response(),
        false => next.run(request).await,
    }
}

/// Sees a change through, also where whoever asked for it goes: what is in the tables is in effect.
async fn to_its_end(request: Request, next: Next) -> Response<Body> {
    let matched = request.extensions().get::<MatchedPath>();
    // A node's request is held, and would take the news from its next one.
    let is_held = matched.is_some_and(|matched| matched.as_str() == HEARTBEATS);
    if is_held || request.method().is_safe() {
        return next.run(request).await;
    }
    let answer = tokio::spawn(next.run(request)).await;
    answer.unwrap_or_else(|error| {
        log::error(format_args!("a request failed: {error}"));
        Problem::INTERNAL.response()
    })
}

/// Counts every answer and adds the header fields that all have.
async fn finish(State(context): State<Arc<Context>>, request: Request, next: Next) -> Response<Body> {
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or(OTHER, MatchedPath::as_str).to_owned();
    let mut response = next.run(request).await;
    context.requests().count(route, response.status().as_u16());
    for (name, value) in FIELDS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
