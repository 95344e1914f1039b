//! `/api/v1/openapi.json`: OpenAPI 3.1, from the code.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, Response};
use utoipa::{Modify, OpenApi};

use crate::role::Role;
use crate::service::Context;

#[derive(OpenApi)]
#[openapi(
    info(title = "VCC", description = "The connector between clouds."),
    paths(
        super::setup::create,
        super::administrator_reset::create,
        super::support_bundle::read,
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
        super::audit::checkpoint,
        super::configuration::read,
        super::configuration::write,
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
    super::enrolments::renew,
    super::configurations::list,
    super::configurations::read,
    super::configurations::write,
    super::configurations::history,
    super::configurations::status,
    super::configurations::apply,
    super::authority::read,
    super::authority::rotate,
    super::clouds::list,
    super::clouds::read,
    super::clouds::status,
    super::tasks::create,
    super::tasks::list,
    super::tasks::list_of_node,
    super::tasks::read,
    super::tasks::cancel,
    super::tasks::progress,
    super::events::follow,
))]
struct OfServer;

#[derive(OpenApi)]
#[openapi(paths(
    super::enrolment::create,
    super::enrolment::read,
    super::enrolment::delete,
    super::catalogs::list,
    super::catalogs::create,
    super::catalogs::read,
    super::catalogs::change,
    super::catalogs::delete,
    super::items::list,
    super::items::read,
    super::items::change,
    super::items::delete,
    super::items::versions,
    super::versions::create,
    super::versions::read,
    super::versions::delete,
    super::files::read,
    super::files::write,
    super::trust_roots::list,
    super::trust_roots::create,
    super::trust_roots::read,
    super::trust_roots::delete,
    super::policies::read,
    super::policies::write,
    super::quotas::read,
    super::quotas::write,
))]
struct OfNode;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// What every operation may answer, and how problems are told.
fn with_problems(api: &mut utoipa::openapi::OpenApi) {
    for (path, item) in &mut api.paths.paths {
        let words: Vec<&str> = path
            .trim_start_matches("/api/v1/")
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
        let operations = [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("put", &mut item.put),
            ("patch", &mut item.patch),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in operations {
            let Some(operation) = operation else { continue };
            operation.operation_id = Some(format!("{method}_{}", words.join("_")));
            let mut more = vec![
                (500, "The connector failed"),
                (503, "The connector is overloaded, or its state cannot be used"),
                (507, "The state disk is full"),
            ];
            if operation.request_body.is_some() {
                more.extend([(413, "The body is too large"), (415, "The body is not JSON")]);
            }
            let responses = &mut operation.responses.responses;
            for (status, description) in more {
                let problem = Response::builder()
                    .description(description)
                    .content(
                        "application/json",
                        Content::new(Some(Ref::from_schema_name("Problem"))),
                    )
                    .build();
                responses.entry(status.to_string()).or_insert(RefOr::T(problem));
            }
            for (status, response) in responses {
                let RefOr::T(response) = response else { continue };
                if status.starts_with(['4', '5'])
                    && let Some(content) = response.content.shift_remove("application/json")
                {
                    response
                        .content
                        .insert("application/problem+json".to_owned(), content);
                }
            }
        }
    }
}

/// The document, for the part that this connector plays.
pub(super) async fn document(State(context): State<Arc<Context>>) -> Json<utoipa::openapi::OpenApi> {
    let own = match context.role() {
        Role::Server => OfServer::openapi(),
        Role::Node | Role::Sp => OfNode::openapi(),
    };
    let mut api = Api::openapi().merge_from(own);
    with_problems(&mut api);
    Json(api)
}
