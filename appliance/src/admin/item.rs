//! What catalogs offer, by the names that people give it: `CATALOG/ITEM` and a version.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use uuid::Uuid;

use super::connector::Connector;
use super::failure::{Failure, Result};
use super::resource::Resource;
use super::table::text;
use crate::http::percent::encoded;

/// An item as people write it: `CATALOG/ITEM`, or the item alone where that says which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ItemName {
    pub(crate) catalog: Option<String>,
    pub(crate) item: String,
}

impl FromStr for ItemName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "an item is CATALOG/ITEM, or ITEM where there is only one of that name";
        let (catalog, item) = match text.split_once('/') {
            Some((catalog, item)) => (Some(catalog), item),
            None => (None, text),
        };
        let is_name = |name: &str| !name.is_empty() && !name.contains('/');
        match catalog.is_none_or(is_name) && is_name(item) {
            true => Ok(Self {
                catalog: catalog.map(str::to_owned),
                item: item.to_owned(),
            }),
            false => Err(SHAPE),
        }
    }
}

impl fmt::Display for ItemName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.catalog {
            Some(catalog) => write!(f, "{catalog}/{}", self.item),
            None => f.write_str(&self.item),
        }
    }
}

impl ItemName {
    /// One that says which catalog it is in.
    pub(crate) fn whole(text: &str) -> Result<Self, &'static str> {
        let name: Self = text.parse()?;
        match name.catalog {
            Some(_) => Ok(name),
            None => Err("the item is CATALOG/ITEM"),
        }
    }

    /// The item, which is there.
    pub(crate) async fn find(&self, connector: &mut Connector) -> Result<Value> {
        let catalog = match &self.catalog {
            Some(catalog) => Some(Resource::CATALOG.find(connector, catalog).await?),
            None => None,
        };
        self.find_in(connector, catalog.as_ref()).await
    }

    /// The item of a catalog, or of any.
    async fn find_in(&self, connector: &mut Connector, catalog: Option<&Value>) -> Result<Value> {
        let item = Resource::ITEM;
        if Uuid::parse_str(&self.item).is_ok() {
            return connector.get(&item.path_of_given(&self.item)?).await;
        }
        let catalog = catalog.map_or_else(String::new, |catalog| {
            format!("catalog={}&", encoded(&text(catalog, "id")))
        });
        let path = format!("{}?{catalog}q={}", item.path, encoded(&self.item));
        item.find_at(&path, connector, &self.item, |_| true).await
    }

    /// The item of a catalog, if it is there.
    pub(crate) async fn look_in(&self, connector: &mut Connector, catalog: &Value) -> Result<Option<Value>> {
        match self.find_in(connector, Some(catalog)).await {
            Ok(item) => Ok(Some(item)),
            Err(Failure::Refused(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// An item's versions, the newest first.
pub(crate) async fn versions(connector: &mut Connector, item: &Value) -> Result<Vec<Value>> {
    let path = format!("{}/versions", Resource::ITEM.path_of(item)?);
    Resource::VERSION.list_at(&path, connector, None).await
}

/// An item's version of a label or an id, with its files; of several of a label the one that was not refused.
pub(crate) async fn version(connector: &mut Connector, item: &Value, wanted: &str) -> Result<Value> {
    let versions = versions(connector, item).await?;
    match choose(&versions, wanted) {
        Some(version) => connector.get(&Resource::VERSION.path_of(version)?).await,
        None => Err(Failure::refused(
            format!("version '{wanted}' of {}", text(item, "name")),
            "is not there",
            format!("vcc catalog versions {} shows those that are", text(item, "id")),
        )),
    }
}

fn choose<'a>(versions: &'a [Value], wanted: &str) -> Option<&'a Value> {
    let of = |field: &str| {
        let mut named = versions
            .iter()
            .filter(|version| version[field] == wanted)
            .peekable();
        let newest = named.peek().copied();
        named.find(|version| version["state"] != "REJECTED").or(newest)
    };
    of("id").or_else(|| of("version"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_item_is_named_with_its_catalog_or_alone() {
        let name: ItemName = "images/web".parse().unwrap();
        assert_eq!(
            (name.catalog.as_deref(), name.item.as_str()),
            (Some("images"), "web")
        );
        assert_eq!("web".parse::<ItemName>().unwrap().catalog, None);
        assert!(ItemName::whole("images/web").is_ok() && ItemName::whole("web").is_err());
        for bad in ["", "/", "a/", "/a", "a/b/c"] {
            assert!(bad.parse::<ItemName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn of_versions_of_one_label_the_one_that_was_not_refused_is_meant() {
        let versions = [
            json!({ "id": "c", "version": "1", "state": "REJECTED" }),
            json!({ "id": "b", "version": "1", "state": "PUBLISHED" }),
            json!({ "id": "a", "version": "2", "state": "REJECTED" }),
        ];
        let id = |wanted: &str| choose(&versions, wanted).map(|version| version["id"].as_str().unwrap());
        assert_eq!(
            (id("1"), id("2"), id("c"), id("3")),
            (Some("b"), Some("a"), Some("c"), None)
        );
    }
}
