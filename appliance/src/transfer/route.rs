//! The ways between two nodes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::endpoint::Endpoint;

/// How a destination gets to its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[schema(as = TransferRoute)]
pub enum Route {
    /// It connects to it.
    Direct {
        /// Where the source takes connections.
        #[schema(value_type = String)]
        endpoint: Endpoint,
    },
    /// The source connects to the destination, which waits for that.
    Reversed {},
    /// Both connect to a third node, which passes bytes on.
    Relay {
        /// That node.
        node: Uuid,
        /// Where it takes connections.
        #[schema(value_type = String)]
        endpoint: Endpoint,
    },
    /// People carry a sealed bundle; neither connects.
    Carried {},
}

/// Where a source reaches out to, for a destination that doesn't get to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[schema(as = TransferOutreach)]
pub enum Outreach {
    /// To the destination.
    Reversed {
        /// Where the destination takes connections.
        #[schema(value_type = String)]
        endpoint: Endpoint,
    },
    /// To the relay.
    Relay {
        /// The relay.
        node: Uuid,
        /// Where it takes connections.
        #[schema(value_type = String)]
        endpoint: Endpoint,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_told_by_their_kind() {
        let node = Uuid::new_v4();
        let endpoint: Endpoint = "node.example:8443".parse().unwrap();
        for (route, text) in [
            (
                Route::Direct {
                    endpoint: endpoint.clone(),
                },
                r#"{"kind":"direct","endpoint":"node.example:8443"}"#.to_owned(),
            ),
            (Route::Reversed {}, r#"{"kind":"reversed"}"#.to_owned()),
            (Route::Carried {}, r#"{"kind":"carried"}"#.to_owned()),
            (
                Route::Relay { node, endpoint },
                format!(r#"{{"kind":"relay","node":"{node}","endpoint":"node.example:8443"}}"#),
            ),
        ] {
            assert_eq!(serde_json::to_string(&route).unwrap(), text);
            assert_eq!(serde_json::from_str::<Route>(&text).unwrap(), route);
        }
        for wrong in [
            r#"{"kind":"direct"}"#,
            r#"{"kind":"reversed","node":"x"}"#,
            r#"{"kind":"tunnel"}"#,
        ] {
            assert!(serde_json::from_str::<Route>(wrong).is_err(), "{wrong}");
        }
    }
}
