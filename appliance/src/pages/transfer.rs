//! `/transfers/{id}`: how one goes, what came of it, and why it was refused.

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::form::Form;
use super::layout::{Layout, badge, entries, moment, text};
use super::nodes::is_id;
use super::transfers::{place, progress};
use super::visitor::{Visitor, done};
use crate::access::Right;
use crate::admin::bytes;

/// The steps that lead to the end that everybody wants.
const STEPS: [&str; 5] = ["REQUESTED", "GRANTED", "RECEIVING", "VERIFIED", "IMPORTED"];

fn checked(id: &str) -> &str {
    if is_id(id) { id } else { "none" }
}

pub(super) async fn page(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Response> {
    let id = checked(&id);
    let transfer = visitor.get(&format!("/api/v1/transfers/{id}")).await?;
    let has_ended = transfer["ended"].is_string();
    let message = text(&transfer["message"]);
    let content = html! {
        (steps(&transfer))
        p.lead { (progress(&transfer)) }
        (refusal(&transfer["refusal"]))
        @if transfer["refusal"].is_null() && !message.is_empty() {
            p class=[(transfer["state"] == "FAILED").then_some("alert")] { (message) }
        }
        (by_hand(&transfer, id))
        (facts(&transfer))
        (tried(&transfer["tried"]))
        @if visitor.may(Right::WriteTransfers) { (buttons(&transfer, id)) }
        (receipt(&transfer))
        p { a href="/transfers" { "All transfers" } }
    };
    let title = format!("{} {}", place(&transfer["source"]), text(&transfer["label"]));
    let layout = Layout::new(&visitor, title.trim());
    let waits =
        transfer["moves"] == true && transfer["released"].is_null() && transfer["state"] == "PUBLISHED";
    Ok(if has_ended && !waits {
        layout
    } else {
        layout.live()
    }
    .page(&content))
}

/// The steps on a line, with the one that it is at, or ended at.
fn steps(transfer: &Value) -> Markup {
    let state = text(&transfer["state"]);
    let is_step = |name: &str| STEPS.iter().position(|step| *step == name);
    let reached = match state {
        "PUBLISHED" => STEPS.len(),
        "SCHEDULED" => 0,
        // How far it had come tells from what is known of it.
        _ => is_step(state).unwrap_or(match () {
            () if transfer["begun"].is_string() => 3,
            () if transfer["route"].is_string() => 2,
            () => 1,
        }),
    };
    let end = match state {
        "REJECTED" | "FAILED" | "CANCELLED" | "OFFERED" => state,
        _ => "PUBLISHED",
    };
    html! {
        ol.states {
            @if state == "SCHEDULED" { li aria-current="step" { (badge(state)) } }
            @for (index, step) in STEPS.iter().enumerate() {
                @if state == *step { li aria-current="step" { (badge(step)) } }
                @else if index < reached { li.past { (step) } }
                @else { li { (step) } }
            }
            @if state == end { li aria-current="step" { (badge(end)) } } @else { li { (end) } }
        }
    }
}

fn refusal(refusal: &Value) -> Markup {
    html! {
        @if !refusal.is_null() {
            div.alert role="alert" {
                strong { (text(&refusal["reason"])) }
                dl.facts {
                    dt { "Rule" } dd { code { (text(&refusal["rule"])) } }
                    @if let Some(file) = refusal["file"].as_str() { dt { "File" } dd { (file) } }
                    @if let Some(chunk) = refusal["chunk"].as_u64() { dt { "Chunk" } dd { "the one that begins at byte " (chunk) } }
                }
            }
        }
    }
}

/// What people do where they carry it.
fn by_hand(transfer: &Value, id: &str) -> Markup {
    let (here, source, destination) = (
        "here",
        text(&transfer["source"]["name"]),
        text(&transfer["destination"]["name"]),
    );
    let steps = [
        (here, format!("vcc transfer grant {id} -o grant")),
        (
            source,
            "vcc bundle create bundle --grant grant --key-file key".to_owned(),
        ),
        (
            destination,
            "vcc bundle bring bundle --key-file key --receipt receipt".to_owned(),
        ),
        (here, "vcc transfer receipt receipt".to_owned()),
    ];
    html! {
        @if transfer["route"] == "carried" && transfer["ended"].is_null() {
            section {
                h2 { "By hand" }
                table {
                    thead { tr { th { "Where" } th { "What" } } }
                    tbody { @for (place, command) in &steps { tr { td { (place) } td { code { (command) } } } } }
                }
                p { "The bundle and its key travel on two ways." }
            }
        }
    }
}

fn facts(transfer: &Value) -> Markup {
    let number = |field: &str| transfer[field].as_u64();
    let end = |side: &str| {
        let end = &transfer[side];
        format!("{} ({}), {}", text(&end["name"]), text(&end["cloud"]), place(end))
    };
    html! {
        dl.facts {
            dt { "From" } dd { (end("source")) }
            dt { "To" } dd { (end("destination")) }
            @if let Some(route) = transfer["route"].as_str() { dt { "Way" } dd { (route) } }
            @if let Some(files) = number("files") { dt { "Files" } dd { (files) } }
            @if let Some(digest) = transfer["digest"].as_str() { dt { "Digest" } dd { code { (digest) } } }
            dt { "Over the network" } dd { (bytes(number("wire").unwrap_or_default())) }
            dt { "Were there already" } dd { (bytes(number("reused").unwrap_or_default())) }
            @if let Some(rate) = number("rate") { dt { "In a second" } dd { (bytes(rate)) } }
            dt { "Ordered" } dd { (moment(&transfer["created"])) " by " (text(&transfer["actor"])) }
            @if transfer["state"] == "SCHEDULED" { dt { "Begins" } dd { (moment(&transfer["starts"])) } }
            dt { "First bytes" } dd { (moment(&transfer["begun"])) }
            dt { "Ended" } dd { (moment(&transfer["ended"])) }
            @if transfer["moves"] == true {
                dt { "At the source" }
                dd { @match transfer["released"].as_bool() {
                    Some(true) => { "removed" }
                    Some(false) => { "not removed" }
                    None => { "is removed after the receipt" }
                } }
            }
        }
    }
}

fn tried(tried: &Value) -> Markup {
    html! {
        @if !entries(tried).is_empty() {
            section {
                h2 { "Ways that led nowhere" }
                table {
                    thead { tr { th { "Way" } th { "Why" } } }
                    tbody { @for one in entries(tried) { tr { td { (text(&one["route"])) } td { (text(&one["reason"])) } } } }
                }
            }
        }
    }
}

fn buttons(transfer: &Value, id: &str) -> Markup {
    let is_kept = transfer["state"] == "PUBLISHED" && transfer["released"] == false;
    let again = matches!(
        text(&transfer["state"]),
        "REJECTED" | "FAILED" | "CANCELLED" | "OFFERED"
    );
    html! {
        @if transfer["ended"].is_null() {
            form method="post" action={ "/transfers/" (id) "/cancel" } {
                @if transfer["cancel"] == true { p { "It is being stopped." } } @else { button.danger { "Stop it" } }
            }
        } @else if again || is_kept {
            form method="post" action={ "/transfers/" (id) "/retry" } {
                button { @if is_kept { "Try again to remove it at the source" } @else { "Try again" } }
            }
        }
    }
}

fn receipt(transfer: &Value) -> Markup {
    let receipt = &transfer["receipt"];
    html! {
        @if !receipt.is_null() {
            section {
                h2 { "Receipt" }
                dl.facts {
                    dt { "Says" } dd { (badge(text(&receipt["outcome"]))) }
                    dt { "Signed by" } dd { (text(&transfer["destination"]["name"])) ", " (moment(&receipt["at"])) }
                    @if let Some(signer) = receipt["signer"].as_str() { dt { "Publisher" } dd { (signer) } }
                    @if let Some(release) = receipt["release"].as_str() { dt { "Its own version" } dd { (release) } }
                    dt { "Judged by" } dd { code { (text(&receipt["policy"])) } }
                    dt { "Grant" } dd { code { (text(&receipt["grant"])) } }
                }
            }
        }
    }
}

pub(super) async fn cancel(
    visitor: Visitor,
    Path(id): Path<String>,
    _form: Form,
) -> Result<Response, Response> {
    act(&visitor, checked(&id), "cancel").await
}

pub(super) async fn retry(
    visitor: Visitor,
    Path(id): Path<String>,
    _form: Form,
) -> Result<Response, Response> {
    act(&visitor, checked(&id), "retry").await
}

async fn act(visitor: &Visitor, id: &str, action: &str) -> Result<Response, Response> {
    let path = format!("/api/v1/transfers/{id}/{action}");
    visitor.post(&path, &json!({})).await?;
    Ok(done(&format!("/transfers/{id}")))
}
