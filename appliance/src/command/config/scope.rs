//! Whose settings.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

use crate::admin::{Connector, Failure, Resource, Result};
use crate::configuration;
use crate::error::{Error, Kind};

/// The connector's own settings, or those that a server wants of nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    Own,
    Nodes(configuration::Scope),
}

impl FromStr for Scope {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "own" {
            return Ok(Self::Own);
        }
        let scope = configuration::Scope::parse(text);
        // What may be in a name (`access::Name`) and in an id goes into a path as it is.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
        let fine = |name: &str| !name.is_empty() && name.chars().all(is_plain);
        match scope {
            Some(configuration::Scope::Cloud(name) | configuration::Scope::Node(name)) if !fine(&name) => {
                Err("a name is made of letters, digits and .-_@")
            }
            Some(scope) => Ok(Self::Nodes(scope)),
            None => Err("a scope is own, all, cloud:NAME or node:NAME"),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("own"),
            Self::Nodes(scope) => scope.fmt(f),
        }
    }
}

impl Scope {
    /// Where the settings are.
    pub(super) async fn path(&self, connector: &mut Connector) -> Result<String> {
        match self {
            Self::Own => Ok("/api/v1/configuration".to_owned()),
            Self::Nodes(_) => self.wanted_path(connector).await,
        }
    }

    /// Where what is wanted of nodes is, with its versions.
    pub(super) async fn wanted_path(&self, connector: &mut Connector) -> Result<String> {
        let scope = match self {
            Self::Own => {
                return Err(Failure::usage(
                    "own",
                    "keeps no versions",
                    "all, cloud:NAME and node:NAME do",
                ));
            }
            Self::Nodes(configuration::Scope::Node(name)) => {
                let node = Resource::NODE.find(connector, name).await?;
                Resource::NODE.path_of(&node)?;
                configuration::Scope::Node(node["id"].as_str().unwrap_or_default().to_owned())
            }
            Self::Nodes(scope) => scope.clone(),
        };
        Ok(format!("/api/v1/configurations/{scope}"))
    }

    /// The number of what was read.
    pub(super) fn version(&self, found: &Value) -> Result<u64> {
        let name = match self {
            Self::Own => "revision",
            Self::Nodes(_) => "version",
        };
        let wrong = || Error::new(Kind::Malformed, "the connector's answer", "has no version").into();
        found[name].as_u64().ok_or_else(wrong)
    }

    /// What is sent for these settings.
    pub(super) fn body(&self, settings: Value, rule: Option<String>) -> Result<Value> {
        match (self, rule) {
            (Self::Own, None) => Ok(settings),
            (Self::Own, Some(_)) => Err(Failure::usage(
                "--rule",
                "goes with what is wanted of nodes",
                "all, cloud:NAME and node:NAME are such scopes",
            )),
            (Self::Nodes(_), None) => Ok(json!({ "settings": settings })),
            (Self::Nodes(_), Some(rule)) => Ok(json!({ "settings": settings, "rule": rule })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_reads_as_it_is_written_and_nothing_leads_out_of_its_path() {
        for text in ["own", "all", "cloud:east", "node:node-a.example"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "mine",
            "cloud:",
            "node:a/b",
            "cloud:a b",
            "node:a?b",
            "node:a%2f",
        ] {
            assert!(wrong.parse::<Scope>().is_err(), "{wrong}");
        }
    }
}
