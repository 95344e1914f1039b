//! `/trust`: whom a tenant believes, and what it asks of packages.

use std::collections::{BTreeMap, HashMap};

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;

use super::catalogs::tenants;
use super::layout::{Layout, entries, moment, text};
use super::nodes::is_id;
use super::visitor::Visitor;
use crate::clock::Moment;

const PROVIDER: &str = "provider";

pub(super) async fn page(
    visitor: Visitor,
    Query(asked): Query<HashMap<String, String>>,
) -> Result<Response, Response> {
    let who = visitor.get("/api/v1/session").await?;
    let own = who["tenant"].as_str().unwrap_or(PROVIDER);
    let whose = asked.get("of").filter(|of| is_id(of)).map_or(own, String::as_str);
    let policy = visitor.get(&format!("/api/v1/policies/{whose}")).await?;
    let roots = visitor.get("/api/v1/trust-roots?limit=500").await?;
    let is_whose = |root: &&Value| root["tenant"].as_str().unwrap_or(PROVIDER) == whose;
    let roots: Vec<_> = entries(&roots).iter().filter(is_whose).collect();
    let content = html! {
        @if own == PROVIDER { (scopes(whose, &tenants(&visitor).await?)) }
        section {
            h2 { "Certificates that are believed" }
            @if roots.is_empty() {
                p { "None: unless the policy asks for no trusted signer, every package is refused. " code { "vcc trust add" } " names one." }
            } @else { (certificates(&roots)) }
        }
        section {
            h2 { "What is asked of packages" }
            (asks(&policy))
            p { code { "vcc policy set" } " asks something else." }
        }
    };
    Ok(Layout::new(&visitor, "Trust").page(&content))
}

fn scopes(whose: &str, tenants: &BTreeMap<String, String>) -> Markup {
    let all = std::iter::once((PROVIDER, PROVIDER))
        .chain(tenants.iter().map(|(id, name)| (id.as_str(), name.as_str())));
    html! {
        nav.scopes aria-label="Whose" {
            @for (id, name) in all {
                a href={ "/trust?of=" (id) } aria-current=[(id == whose).then_some("true")] { (name) }
            }
        }
    }
}

fn certificates(roots: &[&Value]) -> Markup {
    html! {
        table {
            thead { tr { th { "Name" } th { "Subject" } th { "Valid until" } th { "SHA-256" } } }
            tbody {
                @for root in roots {
                    tr {
                        td { (text(&root["name"])) }
                        td { (text(&root["subject"])) }
                        td { (moment(&date(&root["not_after"]))) }
                        td { code.fingerprint { (text(&root["fingerprint"])) } }
                    }
                }
            }
        }
    }
}

/// Seconds since 1970 as a moment.
fn date(seconds: &Value) -> Value {
    let moment = seconds.as_i64().and_then(|seconds| seconds.checked_mul(1000));
    moment.map_or(Value::Null, |moment| {
        serde_json::to_value(Moment(moment)).unwrap_or_default()
    })
}

fn asks(policy: &Value) -> Markup {
    let signer = match text(&policy["signer"]) {
        "none" => "none is needed; one that is there is checked",
        "any" => "anybody",
        _ => "somebody whose certificate leads to one of those above",
    };
    let words = |field: &str| {
        let words: Vec<_> = entries(&policy[field]).iter().map(text).collect();
        if words.is_empty() {
            "–".to_owned()
        } else {
            words.join(", ")
        }
    };
    let lists = entries(&policy["revocation_lists"]).len();
    html! {
        dl.facts {
            dt { "Signer" } dd { (signer) }
            dt { "Pinned keys" } dd { (words("pins")) }
            dt { "Bits of RSA keys" } dd { (policy["min_key_bits"].as_u64().unwrap_or(2048)) " at least" }
            dt { "Revocation lists" } dd {
                (lists)
                @if policy["require_revocation_list"] == true { ", and each certificate needs one" }
                @if let Some(age) = policy["revocation_list_max_age"].as_u64() { ", " (age) " s old at most" }
            }
            dt { "Rules that are waived" } dd { (words("tolerances")) }
        }
    }
}
