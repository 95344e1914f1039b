//! `/catalogs`: what the catalogs of a node offer.

use std::collections::{BTreeMap, HashMap};

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;

use super::layout::{Layout, entries, text};
use super::visitor::Visitor;
use crate::http::percent::encoded;

/// The most of each that a page shows.
const MOST: usize = 500;
/// The longest text that is looked for, in characters.
const LONGEST: usize = 256;

pub(super) async fn page(
    visitor: Visitor,
    Query(asked): Query<HashMap<String, String>>,
) -> Result<Response, Response> {
    let wanted = asked.get("q").map_or("", |text| text.trim());
    let wanted: String = wanted.chars().take(LONGEST).collect();
    let catalogs = visitor.get(&format!("/api/v1/catalogs?limit={MOST}")).await?;
    let path = format!("/api/v1/items?limit={MOST}&q={}", encoded(&wanted));
    let items = visitor.get(&path).await?;
    let tenants = tenants(&visitor).await?;
    let mut offered: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for item in entries(&items) {
        offered.entry(text(&item["catalog"])).or_default().push(item);
    }
    let is_cut = [&catalogs, &items].iter().any(|list| entries(list).len() >= MOST);
    let content = html! {
        form.narrow method="get" action="/catalogs" role="search" {
            label { "Find" small { "A text in an item's name or description" } input name="q" value=(wanted) maxlength=(LONGEST); }
            button { "Find" }
        }
        @for catalog in entries(&catalogs) {
            @let items = offered.get(text(&catalog["id"])).map(Vec::as_slice).unwrap_or_default();
            @if wanted.is_empty() || !items.is_empty() { (section(catalog, items, &tenants)) }
        }
        @if entries(&catalogs).is_empty() {
            p { "There is no catalog yet. " code { "vcc catalog create NAME" } " makes one." }
        } @else if !wanted.is_empty() && offered.is_empty() {
            p { "Nothing is found." }
        }
        @if is_cut { p { "The first " (MOST) " are shown; " code { "vcc catalog items" } " lists all." } }
    };
    Ok(Layout::new(&visitor, "Catalogs").page(&content))
}

/// Names of tenants by their ids, of those that the visitor sees.
pub(super) async fn tenants(visitor: &Visitor) -> Result<BTreeMap<String, String>, Response> {
    let tenants = visitor.find(&format!("/api/v1/tenants?limit={MOST}")).await?;
    let tenants = tenants.unwrap_or_default();
    let named = |tenant: &Value| (text(&tenant["id"]).to_owned(), text(&tenant["name"]).to_owned());
    Ok(entries(&tenants).iter().map(named).collect())
}

fn section(catalog: &Value, items: &[&Value], tenants: &BTreeMap<String, String>) -> Markup {
    let tenant = catalog["tenant"].as_str();
    html! {
        section {
            h2 {
                (text(&catalog["name"]))
                @if let Some(tenant) = tenant { " · " (tenants.get(tenant).map_or(tenant, String::as_str)) }
            }
            @if !text(&catalog["description"]).is_empty() { p { (text(&catalog["description"])) } }
            @if items.is_empty() { p { "It offers nothing yet." } } @else { (table(items)) }
        }
    }
}

fn table(items: &[&Value]) -> Markup {
    html! {
        table {
            thead { tr { th { "Item" } th { "Kind" } th { "Version" } th { "Labels" } th { "Description" } } }
            tbody {
                @for item in items {
                    tr {
                        td { a href={ "/items/" (text(&item["id"])) } { (text(&item["name"])) } }
                        td { (text(&item["kind"])) }
                        td { (item["version"].as_str().unwrap_or("–")) }
                        td { (labels(item)) }
                        td { (text(&item["description"])) }
                    }
                }
            }
        }
    }
}

/// An item's labels, `NAME=VALUE`.
pub(super) fn labels(item: &Value) -> String {
    let labels = item["labels"].as_object().into_iter().flatten();
    let labels = labels.map(|(name, value)| format!("{name}={}", text(value)));
    labels.collect::<Vec<_>>().join(", ")
}
