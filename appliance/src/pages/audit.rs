//! `/audit`: who did what.

use std::collections::HashMap;

use axum::extract::Query;
use axum::response::Response;
use maud::html;

use super::layout::{Layout, badge, entries, moment, text};
use super::visitor::Visitor;

const PAGE: usize = 100;

pub(super) async fn page(
    visitor: Visitor,
    Query(asked): Query<HashMap<String, String>>,
) -> Result<Response, Response> {
    let cursor: Option<i64> = asked.get("cursor").and_then(|cursor| cursor.parse().ok());
    let path = match cursor {
        Some(cursor) => format!("/api/v1/audit?limit={PAGE}&cursor={cursor}"),
        None => format!("/api/v1/audit?limit={PAGE}"),
    };
    let log = visitor.get(&path).await?;
    let log = entries(&log);
    let last = log.last().filter(|_| log.len() == PAGE);
    let content = html! {
        table {
            thead { tr { th { "When" } th { "Who" } th { "What" } th { "On" } th { "Outcome" } } }
            tbody {
                @for entry in log {
                    tr {
                        td { (moment(&entry["at"])) }
                        td { (text(&entry["actor"])) }
                        td { (text(&entry["action"])) }
                        td { (text(&entry["object"])) }
                        td { (badge(text(&entry["outcome"]))) }
                    }
                }
            }
        }
        @if let Some(last) = last { p { a href={ "/audit?cursor=" (last["number"]) } { "More" } } }
    };
    Ok(Layout::new(&visitor, "Audit").page(&content))
}
