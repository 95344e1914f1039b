//! Items of catalogs, and their versions.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::admin::{
    Connector, Failure, ItemName, Resource, Result, Table, details, findings, may_go_on, text,
};
use crate::command::Call;
use crate::http::percent::encoded;

/// Find items, in one catalog or in all
#[derive(Debug, Args)]
pub(in crate::command) struct Items {
    /// In this catalog: its name or id
    #[arg(long)]
    catalog: Option<String>,
    /// With this text in the name or the description
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// With this label
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    label: Option<(String, String)>,
}

/// Label an item, by which it is found; labels that are not named stay as they are
#[derive(Debug, Args)]
pub(in crate::command) struct Label {
    /// CATALOG/ITEM, or an item's name or id
    item: ItemName,
    /// A label and its value
    #[arg(value_name = "NAME=VALUE", value_parser = assignment, required_unless_present = "unset")]
    labels: Vec<(String, String)>,
    /// Take this label away; again for more
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,
}

fn assignment(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a label is written NAME=VALUE"),
    }
}

impl Items {
    pub(super) async fn run(self, call: &Call, connector: &mut Connector) -> Result<()> {
        let mut asked = Vec::new();
        if let Some(catalog) = &self.catalog {
            let catalog = Resource::CATALOG.find(connector, catalog).await?;
            asked.push(format!("catalog={}", encoded(&text(&catalog, "id"))));
        }
        if let Some(search) = &self.search {
            asked.push(format!("q={}", encoded(search)));
        }
        if let Some((name, value)) = &self.label {
            asked.push(format!("label={}", encoded(&format!("{name}={value}"))));
        }
        let path = match asked.is_empty() {
            true => Resource::ITEM.path.to_owned(),
            false => format!("{}?{}", Resource::ITEM.path, asked.join("&")),
        };
        let items = Resource::ITEM.list_at(&path, connector, None).await?;
        if call.output.json {
            return call.output.result(&Value::from(items), String::new);
        }
        let catalogs = Resource::CATALOG.list(connector, None).await?;
        let names: BTreeMap<_, _> = catalogs
            .iter()
            .filter_map(|catalog| Some((catalog["id"].as_str()?, &catalog["name"])))
            .collect();
        let named = items.iter().map(|item| {
            let catalog = item["catalog"].as_str().and_then(|id| names.get(id));
            json!({ "item": item, "catalog": catalog })
        });
        let columns = [
            ("CATALOG", "catalog"),
            ("ITEM", "item.name"),
            ("KIND", "item.kind"),
            ("VERSION", "item.version"),
            ("LABELS", "item.labels"),
            ("DESCRIPTION", "item.description"),
            ("ID", "item.id"),
        ];
        let table = Table::of(&named.collect::<Vec<_>>(), &columns);
        call.output.result(&Value::Null, || table.to_string())
    }
}

impl Label {
    pub(super) async fn run(self, call: &Call, connector: &mut Connector) -> Result<()> {
        let item = self.item.find(connector).await?;
        let labels = self.labelled(&item["labels"])?;
        let path = Resource::ITEM.path_of(&item)?;
        // As it was looked at: somebody else's labels are not lost.
        let revision = item["revision"].as_u64();
        let changed = connector
            .patch(&path, revision, &json!({ "labels": labels }))
            .await?;
        call.output.result(&changed, || details(&changed))
    }

    /// The labels after it.
    fn labelled(&self, before: &Value) -> Result<Map<String, Value>> {
        let mut labels = before.as_object().cloned().unwrap_or_default();
        for name in &self.unset {
            if labels.remove(name).is_none() {
                return Err(Failure::usage(
                    format!("--unset {name}"),
                    "is no label of the item",
                    "vcc catalog items shows the labels",
                ));
            }
        }
        for (name, value) in &self.labels {
            labels.insert(name.clone(), value.as_str().into());
        }
        Ok(labels)
    }
}

pub(super) async fn versions(call: &Call, connector: &mut Connector, item: &ItemName) -> Result<()> {
    let item = item.find(connector).await?;
    let versions = crate::admin::versions(connector, &item).await?;
    let columns = [
        ("VERSION", "version"),
        ("STATE", "state"),
        ("BYTES", "bytes"),
        ("AUTHOR", "author"),
        ("CREATED", "created"),
        ("SIGNER", "signer"),
        ("ID", "id"),
    ];
    let table = Table::of(&versions, &columns);
    call.output.result(&Value::from(versions), || table.to_string())
}

pub(super) async fn version(
    call: &Call,
    connector: &mut Connector,
    item: &ItemName,
    wanted: &str,
) -> Result<()> {
    let item = item.find(connector).await?;
    let version = crate::admin::version(connector, &item, wanted).await?;
    call.output.result(&version, || told(&version))
}

/// A version for people: what it is, its files, and what was found.
fn told(version: &Value) -> String {
    let mut fields = version.clone();
    if let Some(fields) = fields.as_object_mut() {
        fields.shift_remove("files");
        fields.shift_remove("verdict");
    }
    let files = version["files"].as_array().map(Vec::as_slice).unwrap_or_default();
    let columns = [("FILE", "name"), ("BYTES", "bytes"), ("SHA-256", "digest")];
    let (fields, files) = (details(&fields), Table::of(files, &columns));
    match findings(version).as_str() {
        "" => format!("{fields}\n{files}"),
        findings => format!("{fields}\n{files}\n{findings}"),
    }
}

pub(super) async fn remove_version(
    call: &Call,
    connector: &mut Connector,
    (item, wanted): (&ItemName, &str),
    yes: bool,
) -> Result<()> {
    let item = item.find(connector).await?;
    let found = crate::admin::version(connector, &item, wanted).await?;
    let what = format!(
        "version {} of {}, {} ({})",
        text(&found, "version"),
        text(&item, "name"),
        text(&found, "state"),
        text(&found, "id")
    );
    may_go_on(yes, &format!("Remove: {what}?"))?;
    let path = Resource::VERSION.path_of(&found)?;
    connector
        .delete_matching(&path, found["revision"].as_u64())
        .await?;
    call.output.result(&found, || format!("removed: {what}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_are_not_named_stay() {
        let label = |unset: &str| Label {
            item: "web".parse().unwrap(),
            labels: vec![("os".to_owned(), "debian".to_owned())],
            unset: vec![unset.to_owned()],
        };
        let before = json!({ "os": "none", "tier": "front", "old": "" });
        let after = label("old").labelled(&before).unwrap();
        assert_eq!(Value::from(after), json!({ "os": "debian", "tier": "front" }));
        assert!(label("none").labelled(&before).is_err());
        assert!(assignment("=a").is_err() && assignment("a").is_err() && assignment("a=").is_ok());
    }

    #[test]
    fn a_version_is_told_with_its_files_and_what_was_found() {
        let version = json!({ "version": "1", "state": "REJECTED", "files": [{ "name": "a.ova", "bytes": 7 }],
            "verdict": { "checks": [{ "code": "trust.nobody", "outcome": "failed", "reason": "nobody" }] } });
        let told = told(&version);
        for part in [
            "state    REJECTED\n",
            "a.ova  7      -\n",
            "trust.nobody  failed   -     nobody\n",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }
}
