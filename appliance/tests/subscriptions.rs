//! A catalog follows another node's: what is new comes, what was refused doesn't come again by itself, and what is to go goes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says where"
)]

#[path = "connector/connector.rs"]
mod connector;
#[path = "connector/pretended.rs"]
mod pretended;

use std::time::Duration;

use appliance::clock::{Clock, Moment};
use appliance::role::Role;
use appliance::transfer::{Outcome, look};
use connector::Connector;
use pretended::{Pretended, grant_of, progress, receipt_for, told};
use serde_json::{Value, json};

const NOW: Moment = Moment(1_790_000_000_000);

struct World {
    own: Connector,
    root: String,
    east: Pretended,
    west: Pretended,
    _state: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let own = Connector::at(Role::Server, state.path(), Clock::standing(NOW)).await;
        let root = own.finish().await;
        let east = Pretended::enrol(&own, &root, "east").await;
        let west = Pretended::enrol(&own, &root, "west").await;
        east.is_reached_at(&own, "east.example.com:443").await;
        Self {
            own,
            root,
            east,
            west,
            _state: state,
        }
    }

    async fn subscribed(&self, wish: &Value) -> String {
        let answer = self.own.post(&self.root, "/api/v1/subscriptions", wish).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    async fn read(&self, id: &str) -> Value {
        let path = format!("/api/v1/subscriptions/{id}");
        self.own.get(&self.root, &path).await.body
    }

    async fn sync(&self, id: &str) {
        let path = format!("/api/v1/subscriptions/{id}/sync");
        assert_eq!(self.own.post(&self.root, &path, &json!({})).await.status, 202);
    }

    /// So much later.
    async fn after(&self, seconds: u64) {
        self.own.advance(Duration::from_secs(seconds));
        look(&self.own.context, false).await.unwrap();
    }

    /// The source tells what the catalog offers.
    async fn offers(&self, items: &[(&str, &str, char)]) {
        let order = self.east.order(&self.own, "browse").await;
        let items: Vec<_> = items.iter().map(offered).collect();
        let done = progress("DONE", 0, json!({ "items": items }));
        assert_eq!(self.east.tell(&self.own, &order, &done).await.status, 200);
    }

    /// Whatever was ordered comes to this end; gives the items.
    async fn move_all(&self, outcome: Outcome) -> Vec<String> {
        self.offer_all().await;
        let mut moved = Vec::new();
        for order in self.west.orders(&self.own).await {
            if order["kind"] != "receive" {
                continue;
            }
            let receipt = receipt_for(&order, outcome);
            moved.push(receipt.place.item.to_string());
            let result =
                json!({ "phase": "VERIFIED", "wire": 1, "reused": 0, "receipt": self.west.sign(&receipt) });
            let done = progress("DONE", 10, result);
            assert_eq!(self.west.tell(&self.own, &order, &done).await.status, 200);
        }
        moved.sort();
        moved
    }

    async fn offer_all(&self) {
        for order in self.east.orders(&self.own).await {
            if order["kind"] != "offer" {
                continue;
            }
            let version = order["details"]["version"].clone();
            // The pretended source's labels end in what its digests are made of.
            let mark = version.as_str().unwrap().chars().last().unwrap();
            let found = json!({
                "version": "11111111-2222-4333-8444-555555555555", "label": version, "kind": "file",
                "digest": mark.to_string().repeat(64), "bytes": 10, "files": 1,
            });
            let done = progress("DONE", 0, found);
            assert_eq!(self.east.tell(&self.own, &order, &done).await.status, 200);
        }
    }

    async fn transfers(&self, id: &str) -> Vec<Value> {
        let path = format!("/api/v1/transfers?subscription={id}");
        let answer = self.own.get(&self.root, &path).await;
        answer.body.as_array().unwrap().clone()
    }

    /// Tells that everything of a kind at the destination is done; gives the details.
    async fn done_all(&self, kind: &str, state: &str) -> Vec<Value> {
        let mut all = Vec::new();
        for order in self.west.orders(&self.own).await {
            if order["kind"] == kind {
                let done = progress(state, 0, Value::Null);
                assert_eq!(self.west.tell(&self.own, &order, &done).await.status, 200);
                all.push(order["details"].clone());
            }
        }
        all
    }
}

fn offered((item, version, mark): &(&str, &str, char)) -> Value {
    json!({ "item": item, "kind": "file", "version": version, "digest": mark.to_string().repeat(64) })
}

fn wish() -> Value {
    json!({ "source": "east", "tenant": "acme", "catalog": "images", "destination": "west", "to_catalog": "mirror" })
}

fn wish_with(field: &str, value: Value) -> Value {
    let mut wish = wish();
    wish[field] = value;
    wish
}

#[tokio::test]
async fn what_is_new_at_the_source_comes_once_and_again_when_it_changes() {
    let world = World::new().await;
    let id = world.subscribed(&wish()).await;
    let order = world.east.order(&world.own, "browse").await;
    assert_eq!(order["details"], json!({ "tenant": "acme", "catalog": "images" }));
    world.offers(&[("web", "1-a", 'a'), ("db", "1-b", 'b')]).await;
    assert_eq!(world.move_all(Outcome::Published).await, ["db", "web"]);
    let transfers = world.transfers(&id).await;
    assert_eq!(transfers.len(), 2);
    assert_eq!(transfers[0]["subscription"], id.as_str());
    assert_eq!(transfers[0]["destination"]["place"]["catalog"], "mirror");
    assert_eq!(world.read(&id).await["message"], "2 items are followed");

    // Before its time nobody asks.
    world.after(299).await;
    assert!(world.east.orders(&world.own).await.is_empty());
    world.after(1).await;
    world.offers(&[("web", "1-a", 'a'), ("db", "2-c", 'c')]).await;
    assert_eq!(world.move_all(Outcome::Published).await, ["db"]);
    assert_eq!(world.transfers(&id).await.len(), 3);
    // What is not mirrored stays.
    world.after(300).await;
    world.offers(&[]).await;
    assert!(world.west.orders(&world.own).await.is_empty());
}

#[tokio::test]
async fn what_was_refused_is_tried_again_when_it_changes_or_somebody_says_so() {
    let world = World::new().await;
    let id = world.subscribed(&wish()).await;
    world.offers(&[("web", "1-a", 'a')]).await;
    assert_eq!(world.move_all(Outcome::Rejected).await, ["web"]);
    for _ in 0..3 {
        world.after(300).await;
        world.offers(&[("web", "1-a", 'a')]).await;
        assert!(world.move_all(Outcome::Published).await.is_empty());
    }
    world.sync(&id).await;
    world.offers(&[("web", "1-a", 'a')]).await;
    assert_eq!(world.move_all(Outcome::Rejected).await, ["web"]);
    world.after(300).await;
    world.offers(&[("web", "2-b", 'b')]).await;
    assert_eq!(world.move_all(Outcome::Published).await, ["web"]);
    assert_eq!(world.transfers(&id).await.len(), 2, "the first was begun again");
}

#[tokio::test]
async fn what_failed_rests_and_is_tried_again_and_what_goes_on_is_left_alone() {
    let world = World::new().await;
    let id = world.subscribed(&wish()).await;
    let offer = [("web", "1-a", 'a')];
    world.offers(&offer).await;
    world.offer_all().await;
    let order = world.west.order(&world.own, "receive").await;
    let running = progress("RUNNING", 1, told("RECEIVING"));
    world.west.tell(&world.own, &order, &running).await;
    world.after(300).await;
    world.offers(&offer).await;
    assert_eq!(world.transfers(&id).await.len(), 1);
    world
        .west
        .tell(&world.own, &order, &progress("FAILED", 1, told("RECEIVING")))
        .await;
    world.after(300).await;
    world.offers(&offer).await;
    assert!(world.east.orders(&world.own).await.is_empty(), "it rests");
    world.after(600).await;
    world.offers(&offer).await;
    assert_eq!(world.move_all(Outcome::Published).await, ["web"]);
    let transfers = world.transfers(&id).await;
    assert_eq!(
        (transfers.len(), &transfers[0]["state"]),
        (1, &json!("PUBLISHED"))
    );
}

#[tokio::test]
async fn a_mirror_removes_what_vanished_and_brings_it_again_when_it_comes_back() {
    let world = World::new().await;
    let id = world.subscribed(&wish_with("mirror", json!(true))).await;
    world.offers(&[("web", "1-a", 'a'), ("db", "1-b", 'b')]).await;
    world.move_all(Outcome::Published).await;
    world.after(300).await;
    world.offers(&[("db", "1-b", 'b')]).await;
    let place = json!({ "tenant": "acme", "catalog": "mirror", "item": "web" });
    let withdrawn = json!({ "subscription": id, "place": place });
    // One that failed is tried again, and one that is under way not twice.
    assert_eq!(
        world.done_all("withdraw", "FAILED").await,
        std::slice::from_ref(&withdrawn)
    );
    world.after(300).await;
    world.offers(&[("db", "1-b", 'b')]).await;
    world.after(300).await;
    // While it is removed nothing is brought in its place.
    world.offers(&[("web", "1-a", 'a'), ("db", "1-b", 'b')]).await;
    assert!(world.move_all(Outcome::Published).await.is_empty());
    assert_eq!(world.done_all("withdraw", "DONE").await, [withdrawn]);
    world.after(300).await;
    world.offers(&[("web", "1-a", 'a'), ("db", "1-b", 'b')]).await;
    assert_eq!(world.move_all(Outcome::Published).await, ["web"]);
    // A source that fails, or tells nonsense, removes nothing.
    for answer in [
        progress("FAILED", 0, Value::Null),
        progress("DONE", 0, Value::Null),
        progress("DONE", 0, json!({ "items": [{ "item": "../a" }] })),
        progress("DONE", 0, json!({ "items": [], "next": "x" })),
    ] {
        world.after(300).await;
        let order = world.east.order(&world.own, "browse").await;
        world.east.tell(&world.own, &order, &answer).await;
        assert!(world.west.orders(&world.own).await.is_empty(), "{answer}");
        assert_ne!(
            world.read(&id).await["message"],
            "2 items are followed",
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_subscription_that_keeps_the_current_version_removes_those_before_it() {
    let world = World::new().await;
    let id = world.subscribed(&wish_with("keep", json!("current"))).await;
    world.offers(&[("web", "1-a", 'a')]).await;
    world.move_all(Outcome::Published).await;
    world.after(300).await;
    world.offers(&[("web", "2-b", 'b')]).await;
    assert!(
        world.done_all("withdraw", "DONE").await.is_empty(),
        "it has not come yet"
    );
    world.move_all(Outcome::Published).await;
    world.after(300).await;
    world.offers(&[("web", "2-b", 'b')]).await;
    let place = json!({ "tenant": "acme", "catalog": "mirror", "item": "web" });
    assert_eq!(
        world.done_all("withdraw", "DONE").await,
        [json!({ "subscription": id, "place": place, "keep": "2-b" })]
    );
    world.after(300).await;
    world.offers(&[("web", "2-b", 'b')]).await;
    assert!(world.west.orders(&world.own).await.is_empty(), "once");
}

#[tokio::test]
async fn a_catalog_of_many_pages_is_followed_to_its_end_and_one_in_circles_is_not() {
    let world = World::new().await;
    let id = world.subscribed(&wish()).await;
    for (page, next) in [("a", json!("a")), ("b", json!("b")), ("c", Value::Null)] {
        let order = world.east.order(&world.own, "browse").await;
        let items = [offered(&(page, "1-a", 'a'))];
        let mut result = json!({ "items": items });
        if next.is_string() {
            result["next"] = next;
        }
        world
            .east
            .tell(&world.own, &order, &progress("DONE", 0, result))
            .await;
    }
    assert_eq!(world.read(&id).await["message"], "3 items are followed");
    assert_eq!(world.move_all(Outcome::Published).await, ["a", "b", "c"]);
    world.after(300).await;
    for _ in 0..2 {
        let order = world.east.order(&world.own, "browse").await;
        let result = json!({ "items": [offered(&("a", "1-a", 'a'))], "next": "a" });
        world
            .east
            .tell(&world.own, &order, &progress("DONE", 0, result))
            .await;
    }
    assert!(
        world.read(&id).await["message"]
            .as_str()
            .unwrap()
            .contains("nowhere")
    );
    assert!(world.east.orders(&world.own).await.is_empty());
}

#[tokio::test]
async fn a_subscription_that_ends_stops_what_is_under_way_and_removes_what_came_where_that_is_asked_for() {
    let world = World::new().await;
    for (content, status) in [("", 204), ("?content=keep", 204), ("?content=remove", 202)] {
        let id = world.subscribed(&wish()).await;
        world.offers(&[("web", "1-a", 'a')]).await;
        let path = format!("/api/v1/subscriptions/{id}");
        assert_eq!(
            world
                .own
                .ask(
                    &world.root,
                    "DELETE",
                    &format!("{path}?content=burn"),
                    ("", ""),
                    None
                )
                .await
                .status,
            422
        );
        let answer = world
            .own
            .ask(&world.root, "DELETE", &format!("{path}{content}"), ("", ""), None)
            .await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(world.own.get(&world.root, &path).await.status, 404);
        let transfers = world.transfers(&id).await;
        assert_eq!(transfers[0]["state"], "CANCELLED");
        assert!(world.east.orders(&world.own).await.is_empty());
        let expected: &[Value] = match status {
            202 => &[json!({ "subscription": id })],
            _ => &[],
        };
        assert_eq!(world.done_all("withdraw", "DONE").await, expected);
        world.after(300).await;
        assert!(world.east.orders(&world.own).await.is_empty());
    }
}

#[tokio::test]
async fn subscriptions_are_a_tenant_s_own_and_refused_where_they_make_no_sense() {
    let world = World::new().await;
    let (acme, at_acme) = world.own.tenant(&world.root, "acme").await;
    let (_, at_other) = world.own.tenant(&world.root, "other").await;
    let path = "/api/v1/subscriptions";
    let mut own = wish();
    own.as_object_mut().unwrap().remove("tenant");
    let made = world.own.post(&at_acme, path, &own).await;
    assert_eq!((made.status, &made.body["tenant"]), (201, &json!(acme)));
    assert_eq!(made.body["source"]["tenant"], "acme");
    assert_eq!(world.own.post(&at_other, path, &wish()).await.status, 422);
    assert_eq!(world.own.post(&world.root, path, &wish()).await.status, 409);
    for (field, value) in [
        ("source", json!("west")),
        ("destination", json!("nowhere")),
        ("every", json!(9)),
        ("keep", json!("some")),
        ("catalog", json!("a/b")),
        ("rate", json!(1)),
        ("colour", json!("red")),
    ] {
        let answer = world.own.post(&world.root, path, &wish_with(field, value)).await;
        assert_eq!(answer.status, 422, "{field}");
    }
    let id = made.body["id"].as_str().unwrap();
    world.offers(&[("web", "1-a", 'a')]).await;
    assert_eq!(world.transfers(id).await[0]["tenant"], acme.as_str());
    let own_path = format!("{path}/{id}");
    assert_eq!(world.own.get(&at_acme, &own_path).await.status, 200);
    assert_eq!(world.own.get(&at_other, &own_path).await.status, 404);
    assert_eq!(
        world
            .own
            .post(&at_other, &format!("{own_path}/sync"), &json!({}))
            .await
            .status,
        404
    );
    assert_eq!(
        world
            .own
            .ask(&at_other, "DELETE", &own_path, ("", ""), None)
            .await
            .status,
        404
    );
    assert_eq!(world.own.get(&at_other, path).await.body, json!([]));
    assert_eq!(
        world.own.get(&at_acme, path).await.body.as_array().unwrap().len(),
        1
    );
    let audit = world.own.get(&at_acme, "/api/v1/audit").await.body;
    let made = |entry: &&Value| entry["action"] == "subscription.create";
    assert_eq!(audit.as_array().unwrap().iter().filter(made).count(), 1);
    // The grants that follow from it say so.
    world.offer_all().await;
    let order = world.west.order(&world.own, "receive").await;
    assert_eq!(grant_of(&order).subscription.unwrap().to_string(), id);
}
