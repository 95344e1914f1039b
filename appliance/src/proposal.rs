//! Whom a node is meant to be enrolled with, as whoever deployed it said: what the wizard has in its fields at first. There is
//! no secret in it; the enrolment code is given to the wizard.

use serde::{Deserialize, Serialize};

use crate::access::Name;
use crate::endpoint::Endpoint;
use crate::property::Reader;

/// Properties of the appliance, each of which may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// `server`: its name or address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Endpoint>,
    /// `cloud`: the cloud that the node works in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<Name>,
    /// `node`: the node's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Name>,
}

impl Proposal {
    /// Takes the values.
    pub fn read(reader: &mut Reader) -> Self {
        let mut name = |key: &str| {
            let name = Name::try_from(reader.text(key)?);
            name.map_err(|reason| reader.problem(key, &reason)).ok()
        };
        let (cloud, node) = (name("cloud"), name("node"));
        let server = reader.parsed("server");
        Self { server, cloud, node }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_counts_by_itself_and_a_wrong_one_is_named() {
        let property = |key: &str| match key {
            "server" => Some("server.example".into()),
            "cloud" => Some("not a name".into()),
            "node" => Some("edge-1".into()),
            _ => None,
        };
        let mut reader = Reader::new(&property);
        let proposal = Proposal::read(&mut reader);
        assert_eq!(proposal.server.unwrap().to_string(), "server.example:443");
        assert_eq!(
            (proposal.cloud, proposal.node.unwrap().as_str()),
            (None, "edge-1")
        );
        let problems = reader.finish();
        assert!(
            problems.len() == 1 && problems[0].starts_with("cloud: "),
            "{problems:?}"
        );
    }
}
