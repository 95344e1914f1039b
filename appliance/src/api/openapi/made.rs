//! The document as the code has it; what is served is what this made.

use serde_json::Value;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, Response};
use utoipa::{Modify, OpenApi};

use crate::role::Role;

#[derive(OpenApi)]
#[openapi(
    info(title = "VCC", description = "The connector between clouds."),
    paths(
        super::super::setup::create,
        super::super::administrator_reset::create,
        super::super::support_bundle::read,
        super::super::session::create,
        super::super::session::read,
        super::super::session::delete,
        super::super::users::list,
        super::super::users::create,
        super::super::users::read,
        super::super::users::change,
        super::super::users::delete,
        super::super::tokens::list,
        super::super::tokens::create,
        super::super::tokens::delete,
        super::super::tenants::list,
        super::super::tenants::create,
        super::super::tenants::read,
        super::super::tenants::delete,
        super::super::audit::list,
        super::super::audit::checkpoint,
        super::super::configuration::read,
        super::super::configuration::write,
    ),
    modifiers(&Bearer),
    security(("bearer" = []))
)]
struct Api;

#[derive(OpenApi)]
#[openapi(paths(
    super::super::nodes::create_code,
    super::super::nodes::list,
    super::super::nodes::read,
    super::super::nodes::approve,
    super::super::nodes::revoke,
    super::super::enrolments::create,
    super::super::enrolments::read,
    super::super::enrolments::beat,
    super::super::enrolments::renew,
    super::super::configurations::list,
    super::super::configurations::read,
    super::super::configurations::write,
    super::super::configurations::history,
    super::super::configurations::status,
    super::super::configurations::apply,
    super::super::authority::read,
    super::super::authority::rotate,
    super::super::clouds::list,
    super::super::clouds::read,
    super::super::clouds::status,
    super::super::tasks::create,
    super::super::tasks::list,
    super::super::tasks::list_of_node,
    super::super::tasks::read,
    super::super::tasks::cancel,
    super::super::tasks::progress,
    super::super::transfers::list,
    super::super::transfers::create,
    super::super::transfers::read,
    super::super::transfers::cancel,
    super::super::transfers::retry,
    super::super::transfers::grant,
    super::super::transfers::receipt,
    super::super::subscriptions::list,
    super::super::subscriptions::create,
    super::super::subscriptions::read,
    super::super::subscriptions::delete,
    super::super::subscriptions::sync,
    super::super::events::follow,
))]
struct OfServer;

#[derive(OpenApi)]
#[openapi(modifiers(&Basic), paths(
    super::super::enrolment::create,
    super::super::enrolment::read,
    super::super::enrolment::delete,
    super::super::peer_streams::bring,
    super::super::peer_streams::relay,
    super::super::catalogs::list,
    super::super::catalogs::create,
    super::super::catalogs::read,
    super::super::catalogs::change,
    super::super::catalogs::delete,
    super::super::items::list,
    super::super::items::read,
    super::super::items::change,
    super::super::items::delete,
    super::super::items::versions,
    super::super::versions::create,
    super::super::versions::read,
    super::super::versions::delete,
    super::super::files::read,
    super::super::files::write,
    super::super::trust_roots::list,
    super::super::trust_roots::create,
    super::super::trust_roots::read,
    super::super::trust_roots::delete,
    super::super::policies::read,
    super::super::policies::write,
    super::super::downgrades::list,
    super::super::downgrades::create,
    super::super::downgrades::delete,
    super::super::peer::version,
    super::super::peer::file,
    super::super::peer::root,
    super::super::peer::groups,
    super::super::quotas::read,
    super::super::quotas::write,
    super::super::arrivals::create,
    super::super::arrivals::read,
    super::super::vcsp::library,
    super::super::vcsp::items,
    super::super::vcsp::item,
    super::super::vcsp::file,
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

/// How those subscribe who know nothing else.
struct Basic;

impl Modify for Basic {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Basic).build();
        components.add_security_scheme("basic", SecurityScheme::Http(scheme));
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

/// The document of a part.
pub(super) fn document(role: Role) -> Value {
    let own = match role {
        Role::Server => OfServer::openapi(),
        Role::Node | Role::Sp => OfNode::openapi(),
    };
    let mut api = Api::openapi().merge_from(own);
    with_problems(&mut api);
    serde_json::to_value(api).unwrap()
}
