//! `/api/v1/openapi.json`: OpenAPI 3.1, from the code.

use axum::Json;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

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

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The document.
pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Api::openapi())
}
