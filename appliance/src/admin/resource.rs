//! Things that have an id and a name, and are found by either.

use serde_json::Value;

use super::connector::Connector;
use super::failure::{Failure, Result};
use super::table::text;
use crate::error::{Error, Kind};

const PAGE: usize = 200;

/// A sort of thing, and where it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resource {
    noun: &'static str,
    /// What lists them.
    verb: &'static str,
    /// The path of the list.
    pub(crate) path: &'static str,
    /// Entries of a page, which has to fit into an answer.
    page: usize,
}

impl Resource {
    pub(crate) const USER: Self = Self {
        noun: "user",
        verb: "vcc user list",
        path: "/api/v1/users",
        page: PAGE,
    };
    pub(crate) const TOKEN: Self = Self {
        noun: "token",
        verb: "vcc token list",
        path: "/api/v1/tokens",
        page: PAGE,
    };
    pub(crate) const TENANT: Self = Self {
        noun: "tenant",
        verb: "vcc tenant list",
        path: "/api/v1/tenants",
        page: PAGE,
    };
    pub(crate) const NODE: Self = Self {
        noun: "node",
        verb: "vcc node list",
        path: "/api/v1/nodes",
        page: PAGE,
    };
    pub(crate) const CLOUD: Self = Self {
        noun: "cloud",
        verb: "vcc cloud list",
        path: "/api/v1/clouds",
        page: PAGE,
    };
    /// A task has its result with it, of up to 32 KiB.
    pub(crate) const TASK: Self = Self {
        noun: "task",
        verb: "vcc task list",
        path: "/api/v1/tasks",
        page: 20,
    };

    /// A transfer may have its receipt with it.
    pub(crate) const TRANSFER: Self = Self {
        noun: "transfer",
        verb: "vcc transfer list",
        path: "/api/v1/transfers",
        page: 40,
    };
    pub(crate) const SUBSCRIPTION: Self = Self {
        noun: "subscription",
        verb: "vcc subscription list",
        path: "/api/v1/subscriptions",
        page: PAGE,
    };

    pub(crate) const CATALOG: Self = Self {
        noun: "catalog",
        verb: "vcc catalog list",
        path: "/api/v1/catalogs",
        page: PAGE,
    };
    pub(crate) const ITEM: Self = Self {
        noun: "item",
        verb: "vcc catalog items",
        path: "/api/v1/items",
        page: 40,
    };
    /// A version has what was found about it with it.
    pub(crate) const VERSION: Self = Self {
        noun: "version",
        verb: "vcc catalog versions ITEM",
        path: "/api/v1/versions",
        page: 8,
    };
    /// A certificate has its text with it.
    pub(crate) const ROOT: Self = Self {
        noun: "certificate",
        verb: "vcc trust list",
        path: "/api/v1/trust-roots",
        page: 40,
    };

    /// All of them, or so many.
    pub(crate) async fn list(self, connector: &mut Connector, most: Option<usize>) -> Result<Vec<Value>> {
        connector.list(self.path, self.page, most).await
    }

    /// Those that are listed elsewhere, by what they belong to.
    pub(crate) async fn list_at(
        self,
        path: &str,
        connector: &mut Connector,
        most: Option<usize>,
    ) -> Result<Vec<Value>> {
        connector.list(path, self.page, most).await
    }

    /// The one of an id or a login, or the only one of a name.
    pub(crate) async fn find(self, connector: &mut Connector, wanted: &str) -> Result<Value> {
        self.find_where(connector, wanted, |_| true).await
    }

    /// The same; of several of a name, the only one that is `likely`.
    pub(crate) async fn find_where(
        self,
        connector: &mut Connector,
        wanted: &str,
        likely: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        self.find_at(self.path, connector, wanted, likely).await
    }

    /// The same, of a list of some of them.
    pub(crate) async fn find_at(
        self,
        path: &str,
        connector: &mut Connector,
        wanted: &str,
        likely: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let entries = self.list_at(path, connector, None).await?;
        let is = |field: &str, entry: &&Value| entry[field].as_str() == Some(wanted);
        // Users of two tenants may have one name, and never one login.
        let is_it = |entry: &&Value| is("id", entry) || is("login", entry);
        if let Some(entry) = entries.iter().find(is_it) {
            return Ok(entry.clone());
        }
        let named: Vec<_> = entries.iter().filter(|entry| is("name", entry)).collect();
        let some: Vec<_> = named.iter().copied().filter(|entry| likely(entry)).collect();
        match (named.as_slice(), some.as_slice()) {
            ([], _) => Err(Failure::unknown(self.noun, wanted, self.verb)),
            ([one], _) | (_, [one]) => Ok((*one).clone()),
            (many, _) => {
                let ids: Vec<_> = many.iter().filter_map(|entry| entry["id"].as_str()).collect();
                Err(Failure::usage(
                    format!("{} '{wanted}'", self.noun),
                    "is the name of several",
                    format!("say which by its id: {}", ids.join(", ")),
                ))
            }
        }
    }

    /// The path of one of them.
    pub(crate) fn path_of(self, entry: &Value) -> Result<String> {
        let id = entry["id"].as_str().unwrap_or_default();
        // Whatever a connector says, it names a thing of this sort.
        self.path_of_id(id).ok_or_else(|| {
            let reason = format!("has a {} whose id is none", self.noun);
            Error::new(Kind::Malformed, "the connector's answer", reason).into()
        })
    }

    /// The path of the one of an id, if it can be one.
    fn path_of_id(self, id: &str) -> Option<String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        (!id.is_empty() && id.len() <= 64 && id.chars().all(is_plain)).then(|| format!("{}/{id}", self.path))
    }

    /// The path of the one of an id that somebody gave.
    pub(crate) fn path_of_given(self, id: &str) -> Result<String> {
        self.path_of_id(id).ok_or_else(|| {
            let place = format!("{} '{id}'", self.noun);
            let hint = format!("{} shows the ids", self.verb);
            Failure::usage(place, "is no id", hint)
        })
    }

    /// One of them, for people.
    pub(crate) fn told(self, entry: &Value) -> String {
        format!("{} {} ({})", self.noun, text(entry, "name"), text(entry, "id"))
    }

    /// Asks whether to do something to one of them.
    pub(crate) fn question(self, what: &str, entry: &Value) -> String {
        format!("{what}: {}?", self.told(entry))
    }

    /// Tells that something was done to one of them.
    pub(crate) fn done(self, what: &str, entry: &Value) -> String {
        format!("{what}: {}\n", self.told(entry))
    }
}
