//! How fast bytes come, and when: by what was asked for and what came, and not by how long that took.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says where"
)]

#[path = "connector/connector.rs"]
mod connector;
#[path = "connector/enrolled.rs"]
mod enrolled;
#[path = "attacks/field.rs"]
mod field;
#[path = "attacks/hostile.rs"]
mod hostile;
#[path = "connector/package.rs"]
mod package;
#[path = "connector/pretended.rs"]
mod pretended;
#[path = "connector/reachable.rs"]
mod reachable;

use std::time::Instant;

use appliance::clock::{Clock, Moment};
use field::{Field, honestly};
use hostile::Stock;
use package::noise;
use serde_json::{Value, json};

const MINUTE: i64 = 60_000;
/// The most bytes that are asked for at once.
const LONGEST: usize = 4 << 20;

/// The beginning of this minute, before and after which there are no doubts about certificates.
fn opening() -> Moment {
    let now = Clock::System.now().0;
    Moment(now - now.rem_euclid(MINUTE))
}

/// So soon before a moment that nobody who looks again sleeps for long.
fn just_before(opening: Moment) -> Moment {
    Moment(opening.0 - 1000)
}

/// A quarter of an hour from a moment on.
fn window(opening: Moment) -> String {
    let end = |minutes: i64| {
        let minute = (opening.0 / MINUTE + minutes).rem_euclid(24 * 60);
        format!("{:02}:{:02}", minute / 60, minute % 60)
    };
    format!("{}-{}", end(0), end(15))
}

fn of_bytes(bytes: usize) -> Stock {
    Stock::of_files("1.0", &[("app.img", &noise(1, bytes))])
}

#[tokio::test]
async fn nothing_is_asked_of_a_source_before_the_window_opens() {
    let opening = opening();
    let field = Field::at(just_before(opening)).await;
    field.hostile.offers(of_bytes(LONGEST), honestly);
    let mut wish = field.wish("app");
    wish["window"] = json!(window(opening));
    let id = field.begins(&wish).await;
    let is_told = |transfer: &Value| {
        let message = transfer["message"].as_str().unwrap_or_default();
        message.starts_with("waits ")
    };
    let waiting = field.waits(&id, is_told).await;
    assert_eq!(waiting["state"], "GRANTED", "{waiting}");
    assert_eq!((&waiting["wire"], &waiting["done"]), (&json!(0), &json!(0)));
    assert!(field.hostile.asked().is_empty());
    field.has_nothing_of("app").await;

    field.south.node.own.set_clock(opening);
    let moved = field.ended(&id).await;
    assert_eq!(moved["state"], "PUBLISHED", "{moved}");
    assert_eq!(field.published("app").await, ["1.0"]);
}

#[tokio::test]
async fn a_window_that_closes_lets_what_was_asked_for_come_and_no_more_is_asked_for_until_it_opens() {
    let opening = opening();
    let field = Field::at(opening).await;
    let context = field.south.context();
    field.hostile.offers(of_bytes(3 * LONGEST), move |_, ask| {
        if ask.file().is_some() && ask.range.is_some_and(|(first, _)| first == 0) {
            context.ground().unwrap().clock.set(just_before(opening));
        }
        None
    });
    let mut wish = field.wish("app");
    wish["window"] = json!(window(opening));
    wish["parallel"] = json!(1);
    let id = field.begins(&wish).await;
    let has_come = |transfer: &Value| transfer["done"].as_u64().unwrap() > LONGEST as u64 / 2;
    let closed = field.waits(&id, has_come).await;
    assert_eq!(closed["state"], "RECEIVING", "{closed}");
    assert_eq!(field.fetched().len(), 1, "more was asked for");
    assert!(closed["wire"].as_u64().unwrap() < LONGEST as u64 + (1 << 20));

    field.south.node.own.set_clock(opening);
    let moved = field.ended(&id).await;
    assert_eq!(moved["state"], "PUBLISHED", "{moved}");
    assert!(field.fetched().len() >= 3);
}

#[tokio::test]
async fn no_more_comes_than_the_rate_has_let_in_since_it_was_ordered() {
    const RATE: usize = 2 << 20;
    // What may come at once, and what is on its way when that is noticed.
    const AT_ONCE: usize = 1 << 20;
    let field = Field::new().await;
    field.hostile.offers(of_bytes(4 * RATE), honestly);
    let mut wish = field.wish("app");
    wish["rate"] = json!(RATE);
    wish["parallel"] = json!(1);
    let start = Instant::now();
    let id = field.begins(&wish).await;
    let is_over = |transfer: &Value| {
        let let_in = RATE as f64 * start.elapsed().as_secs_f64() + AT_ONCE as f64;
        let wire = transfer["wire"].as_u64().unwrap();
        assert!(
            wire as f64 <= let_in,
            "{wire} bytes came where there were {let_in} at most"
        );
        transfer["ended"].is_string()
    };
    let moved = field.waits(&id, is_over).await;
    assert_eq!(moved["state"], "PUBLISHED", "{moved}");
    assert!(moved["wire"].as_u64().unwrap() >= 4 * RATE as u64);
}
