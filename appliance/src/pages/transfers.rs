//! `/transfers`: what moves from node to node, and the form by which it is ordered.

use axum::response::Response;
use hyper::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::form::Form;
use super::layout::{Layout, alert, badge, entries, moment, text};
use super::visitor::{Visitor, done, reason};
use crate::access::Right;
use crate::admin::{bytes, number};
use crate::local::Question;

const MOST: usize = 100;

pub(super) async fn list(visitor: Visitor) -> Result<Response, Response> {
    let transfers = visitor.get(&format!("/api/v1/transfers?limit={MOST}")).await?;
    let subscriptions = visitor
        .get(&format!("/api/v1/subscriptions?limit={MOST}"))
        .await?;
    let content = html! {
        @if visitor.may(Right::WriteTransfers) { p { a.button href="/transfers/new" { "Order a transfer" } } }
        (table(&transfers))
        @if entries(&transfers).is_empty() { p { "Nothing was moved yet." } }
        @if entries(&transfers).len() >= MOST { p { "The newest " (MOST) " are shown; " code { "vcc transfer list" } " lists all." } }
        @if !entries(&subscriptions).is_empty() { (followed(&subscriptions)) }
    };
    Ok(Layout::new(&visitor, "Transfers").live().page(&content))
}

fn table(transfers: &Value) -> Markup {
    html! {
        table {
            thead { tr { th { "What" } th { "From" } th { "To" } th { "State" } th { "Progress" } th { "Ordered" } } }
            tbody {
                @for transfer in entries(transfers) {
                    tr {
                        td {
                            a href={ "/transfers/" (text(&transfer["id"])) } { (place(&transfer["source"])) }
                            " " (text(&transfer["label"]))
                        }
                        td { (text(&transfer["source"]["name"])) }
                        td { (text(&transfer["destination"]["name"])) }
                        td { (badge(text(&transfer["state"]))) }
                        td { (progress(transfer)) }
                        td { (moment(&transfer["created"])) " by " (text(&transfer["actor"])) }
                    }
                }
            }
        }
    }
}

fn followed(subscriptions: &Value) -> Markup {
    let shelf = |end: &Value| format!("{}: {}", text(&end["name"]), text(&end["catalog"]));
    html! {
        section {
            h2 { "Catalogs that follow others" }
            table {
                thead { tr { th { "Follows" } th { "Is in" } th { "Tenant" } th { "Looked at" } th { "" } } }
                tbody {
                    @for one in entries(subscriptions) {
                        tr {
                            td { (shelf(&one["source"])) }
                            td { (shelf(&one["destination"])) }
                            td { (one["source"]["tenant"].as_str().unwrap_or("–")) }
                            td { (moment(&one["looked"])) }
                            td { (text(&one["message"])) }
                        }
                    }
                }
            }
        }
    }
}

/// Where something is on a node.
pub(super) fn place(end: &Value) -> String {
    let place = &end["place"];
    let name = format!("{}/{}", text(&place["catalog"]), text(&place["item"]));
    match place["tenant"].as_str() {
        Some(tenant) => format!("{tenant}: {name}"),
        None => name,
    }
}

/// How far the bytes are, while that says something.
pub(super) fn progress(transfer: &Value) -> Markup {
    let number = |field: &str| transfer[field].as_u64().unwrap_or_default();
    let (done, total) = (number("done"), number("total"));
    let is_open = transfer["ended"].is_null();
    html! {
        @if total > 0 {
            @if is_open { progress value=(done) max=(total) { (done) " of " (total) } " " }
            (bytes(done)) " of " (bytes(total))
            @if let (true, Some(left)) = (is_open, transfer["remaining"].as_u64()) { ", about " (left.div_ceil(1000)) " s left" }
        } @else if is_open && transfer["state"] != "SCHEDULED" {
            progress {}
        }
    }
}

pub(super) async fn form(visitor: Visitor) -> Result<Response, Response> {
    page(&visitor, &Form::default(), None).await
}

async fn page(visitor: &Visitor, form: &Form, wrong: Option<&str>) -> Result<Response, Response> {
    let nodes = visitor.find("/api/v1/nodes?limit=500").await?.unwrap_or_default();
    let active: Vec<_> = entries(&nodes)
        .iter()
        .filter(|node| node["state"] == "ACTIVE")
        .map(|node| text(&node["name"]))
        .collect();
    let field = |name: &str, label: &str, hint: &str, required: bool| {
        let list = matches!(name, "source" | "destination").then_some("nodes");
        html! {
            label {
                (label)
                @if !hint.is_empty() { small { (hint) } }
                input name=(name) value=(form.text(name)) list=[list] required[required] autocomplete="off";
            }
        }
    };
    let check = |name: &str, label: &str| {
        html! { label.check { input type="checkbox" name=(name) value="yes" checked[form.text(name) == "yes"]; (label) } }
    };
    let is_provider = visitor
        .find("/api/v1/session")
        .await?
        .is_some_and(|who| who["tenant"].is_null());
    let content = html! {
        @if let Some(wrong) = wrong { (alert(wrong)) }
        form.steps method="post" action="/transfers/new" {
            datalist id="nodes" { @for name in &active { option value=(name); } }
            fieldset {
                legend { "What" }
                (field("source", "Node", "Its name or id", true))
                (field("catalog", "Catalog", "", true))
                (field("item", "Item", "", true))
                (field("version", "Version", "The newest, if left open", false))
                @if is_provider { (field("tenant", "Tenant", "Its name; the provider's own, if left open", false)) }
            }
            fieldset {
                legend { "Where to" }
                (field("destination", "Node", "Its name or id", true))
                (field("to_catalog", "Catalog", "As at the source, if left open", false))
                (field("to_item", "Item", "As at the source, if left open", false))
            }
            fieldset {
                legend { "How" }
                (way(form.text("route")))
                (field("rate", "Bytes a second at most", "Such as 10MiB; without a limit, if left open", false))
                (field("window", "Hours in which bytes move, in UTC", "Such as 22:00-06:00; always, if left open", false))
                (check("moves", "Remove it at the source after the receipt"))
                (check("dry_run", "Only ask what would be moved"))
            }
            button.main { "Order it" }
        }
    };
    let layout = Layout::new(visitor, "Order a transfer");
    let layout = match wrong {
        Some(_) => layout.status(StatusCode::UNPROCESSABLE_ENTITY),
        None => layout,
    };
    Ok(layout.page(&content))
}

/// By which ways the bytes may go.
fn way(chosen: &str) -> Markup {
    let ways = [
        ("auto", "As it can be: these in turn"),
        ("direct", "The destination connects to the source"),
        ("reversed", "The source connects to the destination"),
        ("relay", "Over another node"),
        ("carried", "By hand, in a sealed file"),
    ];
    html! {
        label {
            "Way"
            select name="route" { @for (way, words) in ways { option value=(way) selected[chosen == way] { (words) } } }
        }
    }
}

/// What a form asks for.
fn wish(form: &Form) -> Result<Value, String> {
    let place = |catalog: &str, item: &str| {
        let mut place = json!({ "catalog": catalog, "item": item });
        if let Some(tenant) = form.filled("tenant") {
            place["tenant"] = tenant.into();
        }
        place
    };
    let (catalog, item) = (form.text("catalog"), form.text("item"));
    let mut wish = json!({
        "source": form.text("source"),
        "from": place(catalog, item),
        "destination": form.text("destination"),
        "moves": form.text("moves") == "yes",
        "dry_run": form.text("dry_run") == "yes",
    });
    let (to_catalog, to_item) = (form.filled("to_catalog"), form.filled("to_item"));
    if to_catalog.is_some() || to_item.is_some() {
        wish["to"] = place(to_catalog.unwrap_or(catalog), to_item.unwrap_or(item));
    }
    for name in ["version", "window", "route"] {
        if let Some(value) = form.filled(name) {
            wish[name] = value.into();
        }
    }
    if let Some(rate) = form.filled("rate") {
        wish["rate"] = number(rate)
            .map_err(|reason| format!("The rate: {reason}."))?
            .into();
    }
    Ok(wish)
}

pub(super) async fn order(visitor: Visitor, form: Form) -> Result<Response, Response> {
    let wish = match wish(&form) {
        Ok(wish) => wish,
        Err(wrong) => return page(&visitor, &form, Some(&wrong)).await,
    };
    let question = Question {
        method: Method::POST,
        path: "/api/v1/transfers",
        body: Some(&wish),
        ..Question::default()
    };
    let answer = visitor.ask(question).await?;
    if answer.status == StatusCode::UNPROCESSABLE_ENTITY {
        return page(&visitor, &form, Some(&reason(&answer))).await;
    }
    let transfer = visitor.pages().good(Some(&visitor), answer)?;
    Ok(done(&format!("/transfers/{}", text(&transfer["id"]))))
}
