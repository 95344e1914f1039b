//! `/api/v1/openapi.json`: OpenAPI 3.1, from the code.
//!
//! What makes the document is large, and the document is always the same: `appliance/openapi` has it for each part, a test sees that
//! it is what the code says, and `make openapi` writes it anew.

#[cfg(test)]
mod made;

use std::io::Read as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use flate2::read::GzDecoder;
use hyper::header::CONTENT_TYPE;

use crate::error::{Error, Kind};
use crate::http::problem::Problem;
use crate::role::Role;
use crate::service::Context;

const SERVER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/server.json.gz"));
const NODE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/node.json.gz"));

/// The document, for the part that this connector plays.
pub(super) async fn document(State(context): State<Arc<Context>>) -> Result<impl IntoResponse, Problem> {
    Ok(([(CONTENT_TYPE, "application/json")], of(context.role())?))
}

fn of(role: Role) -> Result<Vec<u8>, Error> {
    let packed = match role {
        Role::Server => SERVER,
        Role::Node | Role::Sp => NODE,
    };
    let mut document = Vec::new();
    GzDecoder::new(packed)
        .read_to_end(&mut document)
        .map_err(|error| {
            Error::new(Kind::Malformed, "the API's description", "can't be unpacked").because(error)
        })?;
    Ok(document)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Set by `make openapi`.
    const WRITE: &str = "VCC_WRITE_OPENAPI";

    #[test]
    fn the_document_that_is_served_is_what_the_code_says() {
        for (role, name) in [(Role::Server, "server"), (Role::Node, "node")] {
            let made = made::document(role);
            if std::env::var_os(WRITE).is_some() {
                let path = format!("{}/openapi/{name}.json", env!("CARGO_MANIFEST_DIR"));
                std::fs::write(path, format!("{made:#}\n")).unwrap();
                continue;
            }
            let served: Value = serde_json::from_slice(&of(role).unwrap()).unwrap();
            assert!(
                served == made,
                "{name}.json is another: make openapi writes it anew"
            );
        }
    }
}
