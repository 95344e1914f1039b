//! `/api/v1/openapi.json`: OpenAPI 3.1, from the code.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::role::Role;
use crate::service::Context;

#[derive(OpenApi)]
#[openapi(
    info(title = "VCC", description = "The connector between clouds."),
    paths(
        super::setup::create,
        super::session::create,
        super::session::read,
        super::session::delete,
        super::users::list,
        super::users::create,
        super::users::read,
        super::users::change,
        super::users::delete,
        super::tokens::list,
        super::tokens::create,
        super::tokens::delete,
        super::tenants::list,
        super::tenants::create,
        super::tenants::read,
        super::tenants::delete,
        super::audit::list,
    ),
    modifiers(&Bearer),
    security(("bearer" = []))
)]
struct Api;

#[derive(OpenApi)]
#[openapi(paths(
    super::nodes::create_code,
    super::nodes::list,
    super::nodes::read,
    super::nodes::approve,
    super::nodes::revoke,
    super::enrolments::create,
    super::enrolments::read,
    super::enrolments::beat,
))]
struct OfServer;

#[derive(OpenApi)]
#[openapi(paths(super::enrolment::create, super::enrolment::read))]
struct OfNode;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The document, for the part that this connector plays.
pub(super) async fn document(State(context): State<Arc<Context>>) -> Json<utoipa::openapi::OpenApi> {
    let own = match context.role() {
        Role::Server => OfServer::openapi(),
        Role::Node | Role::Sp => OfNode::openapi(),
    };
    Json(Api::openapi().merge_from(own))
}
