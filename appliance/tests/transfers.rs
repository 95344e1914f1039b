//! A server sees transfers through, whatever nodes tell, and whenever it is stopped.
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
use appliance::transfer::{Outcome, Refusal, look};
use connector::{Answer, Connector, PASSWORD};
use pretended::{Pretended, grant_of, progress, receipt_for, told};
use rcgen::{CertificateParams, KeyPair, SigningKey as _};
use serde_json::{Value, json};

const NOW: Moment = Moment(1_790_000_000_000);
const DIGEST: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A server and two nodes that reach each other.
struct World {
    own: Connector,
    root: String,
    east: Pretended,
    west: Pretended,
    state: tempfile::TempDir,
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
            state,
        }
    }

    /// The server is stopped, and started with what it left.
    async fn restart(self) -> Self {
        let now = self.own.context.ground().unwrap().clock.now();
        self.own.context.ground().unwrap().database.close().await;
        drop(self.own);
        let own = Connector::at(Role::Server, self.state.path(), Clock::standing(now)).await;
        let root = own.log_in("root").await;
        Self { own, root, ..self }
    }

    async fn ask(&self, wish: &Value) -> Answer {
        self.own.post(&self.root, "/api/v1/transfers", wish).await
    }

    /// A transfer that was ordered.
    async fn ordered(&self, wish: &Value) -> String {
        let answer = self.ask(wish).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    async fn read(&self, id: &str) -> Value {
        let answer = self.own.get(&self.root, &format!("/api/v1/transfers/{id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    async fn is(&self, id: &str, state: &str) {
        let transfer = self.read(id).await;
        assert_eq!(transfer["state"], state, "{transfer}");
    }

    async fn act(&self, id: &str, action: &str) -> Answer {
        let path = format!("/api/v1/transfers/{id}/{action}");
        self.own.post(&self.root, &path, &json!({})).await
    }

    /// The source tells what it has.
    async fn offer(&self, label: &str) {
        let order = self.east.order(&self.own, "offer").await;
        let answer = self
            .east
            .tell(&self.own, &order, &progress("DONE", 0, found(label)))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// The destination tells how far it is.
    async fn tell(&self, order: &Value, state: &str, done: i64, result: Value) -> Answer {
        self.west
            .tell(&self.own, order, &progress(state, done, result))
            .await
    }

    /// The destination shows a receipt.
    async fn vouch(&self, order: &Value, outcome: Outcome) -> Answer {
        let receipt = self.west.sign(&receipt_for(order, outcome));
        self.tell(order, "DONE", 1000, with_receipt(&json!(receipt)))
            .await
    }

    async fn publish(&self, id: &str, label: &str) -> Value {
        self.offer(label).await;
        let order = self.west.order(&self.own, "receive").await;
        assert_eq!(self.vouch(&order, Outcome::Published).await.status, 200);
        self.is(id, "PUBLISHED").await;
        order
    }

    async fn audited(&self, action: &str, id: &str) -> usize {
        let audit = self.own.get(&self.root, "/api/v1/audit?limit=500").await.body;
        let of =
            |entry: &&Value| entry["action"] == action && entry["object"].as_str().unwrap().starts_with(id);
        audit.as_array().unwrap().iter().filter(of).count()
    }

    async fn look(&self) {
        look(&self.own.context, true).await.unwrap();
    }
}

fn wish() -> Value {
    json!({
        "source": "east",
        "from": { "tenant": "acme", "catalog": "images", "item": "web" },
        "destination": "west",
    })
}

fn wish_with(field: &str, value: Value) -> Value {
    let mut wish = wish();
    wish[field] = value;
    wish
}

fn found(label: &str) -> Value {
    json!({
        "version": "11111111-2222-4333-8444-555555555555",
        "label": label,
        "kind": "package",
        "digest": DIGEST,
        "bytes": 1000,
        "files": 3,
    })
}

fn with_receipt(receipt: &Value) -> Value {
    json!({ "phase": "PUBLISHED", "wire": 900, "reused": 100, "receipt": receipt })
}

#[tokio::test]
async fn a_transfer_goes_its_way_from_the_wish_to_the_receipt_and_the_next_grant_names_the_floor() {
    let world = World::new().await;
    let mut events = world.own.events(&world.root, None).await;
    let id = world.ordered(&wish_with("rate", json!(4096))).await;
    assert_eq!(events.next_of("transfer").await["data"]["state"], "REQUESTED");
    let order = world.east.order(&world.own, "offer").await;
    assert_eq!(
        order["details"],
        json!({ "transfer": id, "place": { "tenant": "acme", "catalog": "images", "item": "web" } })
    );
    assert!(world.west.orders(&world.own).await.is_empty());
    world.offer("1.0").await;
    let granted = world.read(&id).await;
    assert_eq!(granted["state"], "GRANTED");
    assert_eq!(
        [
            &granted["label"],
            &granted["digest"],
            &granted["total"],
            &granted["files"],
            &granted["route"]
        ],
        [
            &json!("1.0"),
            &json!(DIGEST),
            &json!(1000),
            &json!(3),
            &json!("direct")
        ]
    );
    let order = world.west.order(&world.own, "receive").await;
    assert_eq!(
        order["details"]["route"],
        json!({ "kind": "direct", "endpoint": "east.example.com:443" })
    );
    assert_eq!(order["details"]["rate"], 4096);
    let grant = grant_of(&order);
    assert_eq!(
        (grant.transfer.to_string(), grant.number, grant.floor),
        (id.clone(), 1, None)
    );
    assert_eq!(grant.source.node.to_string(), world.east.id);
    assert_eq!(grant.destination.cloud, "cloud-of-west");

    for (phase, done) in [
        ("GRANTED", 0),
        ("RECEIVING", 250),
        ("VERIFIED", 1000),
        ("IMPORTED", 1000),
    ] {
        let answer = world.tell(&order, "RUNNING", done, told(phase)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        world.is(&id, phase).await;
        world.own.advance(Duration::from_secs(1));
    }
    let imported = world.read(&id).await;
    assert_eq!([&imported["wire"], &imported["reused"]], [400, 100]);
    assert_eq!(imported["rate"], 333, "{imported}");
    assert_eq!(world.vouch(&order, Outcome::Published).await.status, 200);
    let published = world.read(&id).await;
    assert_eq!(published["state"], "PUBLISHED");
    assert_eq!(published["receipt"]["outcome"], "PUBLISHED");
    assert!(published["signed_receipt"]["signature"].is_string());
    assert!(published["ended"].is_string());
    for action in ["transfer.create", "transfer.publish"] {
        assert_eq!(world.audited(action, &id).await, 1, "{action}");
    }
    let list = world
        .own
        .get(&world.root, "/api/v1/transfers?state=PUBLISHED&node=west")
        .await
        .body;
    assert_eq!(list[0]["id"], id.as_str());
    assert!(list[0].get("signed_receipt").is_none());
    assert!(world.west.orders(&world.own).await.is_empty());

    // A second receipt is not heard, whatever it says.
    assert_eq!(world.vouch(&order, Outcome::Rejected).await.status, 409);
    assert_eq!(world.read(&id).await, published);

    for (label, floor) in [("2.0", Some("1.0")), ("1.5", Some("2.0")), ("3.0", Some("2.0"))] {
        let id = world.ordered(&wish()).await;
        let order = world.publish(&id, label).await;
        assert_eq!(grant_of(&order).floor.as_deref(), floor, "{label}");
    }
}

#[tokio::test]
async fn a_destination_that_tells_late_or_begins_anew_leads_no_state_back() {
    let world = World::new().await;
    let id = world.ordered(&wish()).await;
    world.offer("1.0").await;
    let order = world.west.order(&world.own, "receive").await;
    let told_so = [
        ("VERIFIED", "VERIFIED"),
        ("GRANTED", "VERIFIED"),
        ("RECEIVING", "VERIFIED"),
        ("PUBLISHED", "VERIFIED"),
        ("REJECTED", "VERIFIED"),
        ("UNREACHABLE", "VERIFIED"),
        ("IMPORTED", "IMPORTED"),
        ("RECEIVING", "IMPORTED"),
    ];
    for (phase, state) in told_so {
        assert_eq!(world.tell(&order, "RUNNING", 10, told(phase)).await.status, 200);
        world.is(&id, state).await;
    }
    for result in [json!("words"), json!({ "phase": "ELSEWHERE" }), Value::Null] {
        assert_eq!(world.tell(&order, "RUNNING", 99_999, result).await.status, 200);
        world.is(&id, "IMPORTED").await;
    }
    assert_eq!(world.read(&id).await["done"], 1000, "no more than there is");
    let end = json!({ "phase": "IMPORTED", "wire": 0, "reused": 0 });
    assert_eq!(world.tell(&order, "FAILED", 0, end).await.status, 200);
    let failed = world.read(&id).await;
    assert_eq!([&failed["state"], &failed["message"]], ["FAILED", "FAILED at 0"]);
    assert_eq!(world.vouch(&order, Outcome::Published).await.status, 409);
    world.is(&id, "FAILED").await;
    assert_eq!(world.audited("transfer.fail", &id).await, 1);
}

#[tokio::test]
async fn a_receipt_that_is_not_the_destination_s_for_this_grant_publishes_nothing() {
    let world = World::new().await;
    let stranger = KeyPair::generate().unwrap();
    let own_word = CertificateParams::new(Vec::new()).unwrap();
    let mut own_word = own_word;
    own_word.subject_alt_names.push(rcgen::SanType::URI(
        format!("urn:vcc:node:{}", world.west.id).try_into().unwrap(),
    ));
    let own_word = own_word.self_signed(&stranger).unwrap();
    for case in 0..10 {
        let id = world.ordered(&wish()).await;
        world.offer("1.0").await;
        let order = world.west.order(&world.own, "receive").await;
        let mut receipt = receipt_for(&order, Outcome::Published);
        let signed = match case {
            0 => {
                let signed = appliance::transfer::Signed::new(
                    appliance::transfer::Purpose::Receipt,
                    &receipt,
                    own_word.der(),
                    |bytes| Ok(stranger.sign(bytes).unwrap()),
                );
                json!(signed.unwrap())
            }
            // Another node's, in its own name and in the destination's.
            1 => {
                receipt.node = world.east.id.parse().unwrap();
                json!(world.east.sign(&receipt))
            }
            2 => json!(world.east.sign(&receipt)),
            3 => {
                receipt.transfer = world.east.id.parse().unwrap();
                json!(world.west.sign(&receipt))
            }
            4 => {
                receipt.grant = DIGEST.parse().unwrap();
                json!(world.west.sign(&receipt))
            }
            5 => {
                receipt.digest = "b".repeat(64).parse().unwrap();
                json!(world.west.sign(&receipt))
            }
            6 => {
                receipt.label = "9.9".to_owned();
                json!(world.west.sign(&receipt))
            }
            7 => {
                receipt.place.tenant = None;
                json!(world.west.sign(&receipt))
            }
            8 => {
                let mut signed = json!(world.west.sign(&receipt));
                receipt.outcome = Outcome::Rejected;
                let other = json!(world.west.sign(&receipt));
                signed["document"] = other["document"].clone();
                signed
            }
            _ => Value::Null,
        };
        let answer = world.tell(&order, "DONE", 1000, with_receipt(&signed)).await;
        assert_eq!(answer.status, 200, "{case}");
        let failed = world.read(&id).await;
        assert_eq!(failed["state"], "FAILED", "{case}: {failed}");
        assert_eq!(failed["refusal"]["rule"], "receipt.wrong", "{case}: {failed}");
        assert!(failed.get("receipt").is_none());
        assert_eq!(world.audited("transfer.fail", &id).await, 1, "{case}");
        assert_eq!(world.audited("transfer.publish", &id).await, 0, "{case}");
    }
    // Nothing of it raised what the next grant names.
    let id = world.ordered(&wish()).await;
    let order = world.publish(&id, "0.1").await;
    assert_eq!(grant_of(&order).floor, None);
}

#[tokio::test]
async fn a_refusal_is_told_with_its_rule_its_file_and_its_chunk() {
    let world = World::new().await;
    let id = world.ordered(&wish()).await;
    world.offer("1.0").await;
    let order = world.west.order(&world.own, "receive").await;
    let mut receipt = receipt_for(&order, Outcome::Rejected);
    let refusal = Refusal::new("source.chunk", "its digest is another");
    receipt.refusal = Some(refusal.of_file("disk.vmdk").at_chunk(4096));
    let signed = world.west.sign(&receipt);
    let result = json!({ "phase": "REJECTED", "wire": 5, "reused": 0, "receipt": signed });
    assert_eq!(world.tell(&order, "DONE", 10, result).await.status, 200);
    let rejected = world.read(&id).await;
    assert_eq!(rejected["state"], "REJECTED");
    assert_eq!(
        rejected["refusal"],
        json!({ "rule": "source.chunk", "file": "disk.vmdk", "chunk": 4096, "reason": "its digest is another" })
    );
    assert_eq!(world.audited("transfer.reject", &id).await, 1);
    // Begun again, it has another grant, and nothing of the first is left.
    assert_eq!(world.act(&id, "retry").await.status, 202);
    world.is(&id, "REQUESTED").await;
    assert!(world.read(&id).await.get("refusal").is_none());
    assert_eq!(world.act(&id, "retry").await.status, 409);
    world.offer("1.0").await;
    let again = world.west.order(&world.own, "receive").await;
    assert_ne!(again["id"], order["id"]);
    assert_eq!(grant_of(&again).number, grant_of(&order).number + 1);
    // A receipt for the first grant is none for the second.
    let old = with_receipt(&json!(world.west.sign(&receipt_for(&order, Outcome::Published))));
    assert_eq!(world.tell(&again, "DONE", 10, old).await.status, 200);
    world.is(&id, "FAILED").await;
}

#[tokio::test]
async fn nobody_but_the_node_whose_task_it_is_tells_of_it() {
    let world = World::new().await;
    let id = world.ordered(&wish()).await;
    let offer = world.east.order(&world.own, "offer").await;
    let answer = world
        .west
        .tell(&world.own, &offer, &progress("DONE", 0, found("1.0")))
        .await;
    assert_eq!(answer.status, 404);
    world.is(&id, "REQUESTED").await;
    world.offer("1.0").await;
    let receive = world.west.order(&world.own, "receive").await;
    let receipt = world.west.sign(&receipt_for(&receive, Outcome::Published));
    let stolen = progress("DONE", 0, with_receipt(&json!(receipt)));
    assert_eq!(world.east.tell(&world.own, &receive, &stolen).await.status, 404);
    world.is(&id, "GRANTED").await;
}

#[tokio::test]
async fn a_source_s_answer_that_is_not_about_what_was_asked_for_grants_nothing() {
    let world = World::new().await;
    let mut wrong = vec![(wish(), Value::Null), (wish(), json!("x"))];
    for (field, value) in [
        ("label", json!("-1")),
        ("digest", json!("AA")),
        ("bytes", json!(-1)),
        ("bytes", json!(u64::MAX)),
        ("kind", json!("song")),
        ("version", json!("one")),
    ] {
        let mut found = found("1.0");
        found[field] = value;
        wrong.push((wish(), found));
    }
    wrong.push((wish_with("version", json!("2.0")), found("1.0")));
    for (wish, found) in wrong {
        let id = world.ordered(&wish).await;
        let order = world.east.order(&world.own, "offer").await;
        let done = progress("DONE", 0, found.clone());
        assert_eq!(world.east.tell(&world.own, &order, &done).await.status, 200);
        world.is(&id, "FAILED").await;
        assert!(world.west.orders(&world.own).await.is_empty(), "{found}");
    }
    let id = world.ordered(&wish()).await;
    let order = world.east.order(&world.own, "offer").await;
    let failed = progress("FAILED", 0, Value::Null);
    assert_eq!(world.east.tell(&world.own, &order, &failed).await.status, 200);
    assert_eq!(world.read(&id).await["message"], "FAILED at 0");
}

#[tokio::test]
async fn a_transfer_can_be_stopped_in_every_state_and_is_told_as_what_it_came_to() {
    let world = World::new().await;
    // Before anything is at the destination it is stopped at once.
    let later = json!("2026-10-01T00:00:00Z");
    let id = world.ordered(&wish_with("starts", later)).await;
    world.is(&id, "SCHEDULED").await;
    assert_eq!(world.act(&id, "cancel").await.body["state"], "CANCELLED");
    let id = world.ordered(&wish()).await;
    assert_eq!(world.act(&id, "cancel").await.body["state"], "CANCELLED");
    assert!(world.east.orders(&world.own).await.is_empty());
    let id = world.ordered(&wish()).await;
    let offer = world.east.order(&world.own, "offer").await;
    let running = progress("RUNNING", 0, Value::Null);
    assert_eq!(world.east.tell(&world.own, &offer, &running).await.status, 200);
    assert_eq!(world.act(&id, "cancel").await.body["state"], "CANCELLED");
    assert_eq!(world.east.order(&world.own, "offer").await["cancel"], true);
    let late = progress("DONE", 0, found("1.0"));
    assert_eq!(world.east.tell(&world.own, &offer, &late).await.status, 200);
    world.is(&id, "CANCELLED").await;
    assert!(world.west.orders(&world.own).await.is_empty());
    // One that the destination has not begun, too.
    let id = world.ordered(&wish()).await;
    world.offer("1.0").await;
    assert_eq!(world.act(&id, "cancel").await.body["state"], "CANCELLED");
    assert!(world.west.orders(&world.own).await.is_empty());
    assert_eq!(world.act(&id, "cancel").await.status, 409);
    // What it has in hand is stopped by it, or done before.
    for phase in ["GRANTED", "RECEIVING", "VERIFIED", "IMPORTED"] {
        for (state, end) in [
            ("CANCELLED", "CANCELLED"),
            ("DONE", "PUBLISHED"),
            ("FAILED", "FAILED"),
        ] {
            let id = world.ordered(&wish()).await;
            world.offer("1.0").await;
            let order = world.west.order(&world.own, "receive").await;
            world.tell(&order, "RUNNING", 1, told(phase)).await;
            let cancelled = world.act(&id, "cancel").await;
            assert_eq!((cancelled.status, &cancelled.body["state"]), (202, &json!(phase)));
            assert_eq!(cancelled.body["cancel"], true);
            assert_eq!(world.west.order(&world.own, "receive").await["cancel"], true);
            match state {
                "DONE" => world.vouch(&order, Outcome::Published).await,
                _ => world.tell(&order, state, 1, told(phase)).await,
            };
            world.is(&id, end).await;
        }
    }
    // A destination that is stopped while no way leads to the source tries no other.
    let id = world.ordered(&wish()).await;
    world.west.is_reached_at(&world.own, "west.example.com:443").await;
    world.offer("1.0").await;
    let order = world.west.order(&world.own, "receive").await;
    world.tell(&order, "RUNNING", 1, told("GRANTED")).await;
    world.act(&id, "cancel").await;
    world.tell(&order, "FAILED", 1, told("UNREACHABLE")).await;
    world.is(&id, "CANCELLED").await;
    assert!(world.west.orders(&world.own).await.is_empty());
    assert_eq!(world.act(&id, "retry").await.status, 202, "it can be begun again");
}

#[tokio::test]
async fn the_ways_are_tried_in_turn_each_once_and_then_it_has_failed() {
    let mut world = World::new().await;
    world.west.is_reached_at(&world.own, "west.example.com:443").await;
    let mut relays = Vec::new();
    for name in ["relay-b", "relay-a", "relay-c"] {
        let relay = Pretended::enrol(&world.own, &world.root, name).await;
        relay
            .is_reached_at(&world.own, &format!("{name}.example.com:443"))
            .await;
        // The last has not been heard of.
        if name != "relay-c" {
            relay.orders(&world.own).await;
        }
        relays.push(relay);
    }
    let id = world.ordered(&wish()).await;
    world.offer("1.0").await;
    let relay = |index: usize| json!({ "kind": "relay", "node": relays[index].id, "endpoint": format!("{}.example.com:443", relays[index].name) });
    let reversed = json!({ "kind": "reversed", "endpoint": "west.example.com:443" });
    let direct = json!({ "kind": "direct", "endpoint": "east.example.com:443" });
    let ways = [
        (direct, None),
        (json!({ "kind": "reversed" }), Some(reversed)),
        (relay(1), Some(relay(1))),
        (relay(0), Some(relay(0))),
    ];
    for (route, reach) in ways {
        let order = world.west.order(&world.own, "receive").await;
        assert_eq!(order["details"]["route"], route);
        let orders = world.east.orders(&world.own).await;
        match &reach {
            Some(reach) => {
                assert_eq!(orders[0]["kind"], "reach");
                assert_eq!(orders[0]["details"]["route"], *reach);
                assert_eq!(orders[0]["details"]["streams"], 4);
                assert_eq!(orders[0]["details"]["grant"], order["details"]["grant"]);
            }
            None => assert!(orders.is_empty(), "{orders:?}"),
        }
        // The grant names the node that may pass the bytes on.
        let named = grant_of(&order).relay.map(|relay| json!(relay.to_string()));
        assert_eq!(named.as_ref(), route.get("node"), "{route}");
        assert_eq!(
            world.tell(&order, "FAILED", 0, told("UNREACHABLE")).await.status,
            200
        );
        world = world.restart().await;
        for relay in &relays[..2] {
            relay.orders(&world.own).await;
        }
    }
    let failed = world.read(&id).await;
    assert_eq!(failed["state"], "FAILED");
    let tried: Vec<_> = failed["tried"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tried| tried["route"].clone())
        .collect();
    assert_eq!(tried, ["direct", "reversed", "relay", "relay"]);
    assert!(world.east.orders(&world.own).await.is_empty());

    let only = |way: &str, relay: Option<&str>| {
        let mut wish = wish_with("route", json!(way));
        if let Some(relay) = relay {
            wish["relay"] = json!(relay);
        }
        wish
    };
    for (wish, kind) in [
        (only("direct", None), "direct"),
        (only("reversed", None), "reversed"),
        (only("relay", Some("relay-c")), "relay"),
    ] {
        let id = world.ordered(&wish).await;
        world.offer("1.0").await;
        let order = world.west.order(&world.own, "receive").await;
        assert_eq!(order["details"]["route"]["kind"], kind);
        world.tell(&order, "FAILED", 0, told("UNREACHABLE")).await;
        world.is(&id, "FAILED").await;
    }
    world.east.is_reached_at(&world.own, "").await;
    let id = world.ordered(&only("direct", None)).await;
    world.offer("1.0").await;
    world.is(&id, "FAILED").await;
}

#[tokio::test]
async fn a_server_that_is_stopped_between_any_two_steps_goes_on_from_its_tables() {
    let steps = ["order", "offer", "receive", "verify", "vouch", "release"];
    for stopped in 0..=steps.len() {
        let mut world = World::new().await;
        let mut id = String::new();
        for (index, step) in steps.iter().enumerate() {
            match *step {
                "order" => id = world.ordered(&wish_with("moves", json!(true))).await,
                "offer" => world.offer("1.0").await,
                "receive" => {
                    let order = world.west.order(&world.own, "receive").await;
                    world.tell(&order, "RUNNING", 10, told("RECEIVING")).await;
                }
                "verify" => {
                    let order = world.west.order(&world.own, "receive").await;
                    world.tell(&order, "RUNNING", 10, told("VERIFIED")).await;
                }
                "vouch" => {
                    let order = world.west.order(&world.own, "receive").await;
                    assert_eq!(world.vouch(&order, Outcome::Published).await.status, 200);
                }
                _ => {
                    let order = world.east.order(&world.own, "release").await;
                    assert_eq!(grant_of(&order).transfer.to_string(), id);
                    assert!(order["details"]["receipt"]["document"].is_string());
                    let done = progress("DONE", 0, Value::Null);
                    assert_eq!(world.east.tell(&world.own, &order, &done).await.status, 200);
                }
            }
            if index == stopped {
                world = world.restart().await;
                world.look().await;
            }
        }
        let moved = world.read(&id).await;
        assert_eq!(
            [&moved["state"], &moved["released"]],
            [&json!("PUBLISHED"), &json!(true)],
            "{stopped}"
        );
        for action in ["transfer.create", "transfer.publish", "transfer.release"] {
            assert_eq!(world.audited(action, &id).await, 1, "{stopped}: {action}");
        }
        assert_eq!(world.east.orders(&world.own).await.len(), 0);
        assert_eq!(world.west.orders(&world.own).await.len(), 0);
    }
}

#[tokio::test]
async fn a_move_that_was_not_released_is_published_all_the_same_and_released_when_it_is_tried_again() {
    let world = World::new().await;
    let id = world.ordered(&wish_with("moves", json!(true))).await;
    world.publish(&id, "1.0").await;
    let order = world.east.order(&world.own, "release").await;
    let failed = progress("FAILED", 0, Value::Null);
    assert_eq!(world.east.tell(&world.own, &order, &failed).await.status, 200);
    let kept = world.read(&id).await;
    assert_eq!(
        [&kept["state"], &kept["released"]],
        [&json!("PUBLISHED"), &json!(false)]
    );
    assert_eq!(kept["message"], "FAILED at 0");
    assert_eq!(world.act(&id, "retry").await.status, 202);
    let order = world.east.order(&world.own, "release").await;
    let done = progress("DONE", 0, Value::Null);
    assert_eq!(world.east.tell(&world.own, &order, &done).await.status, 200);
    assert_eq!(world.read(&id).await["released"], true);
    assert_eq!(world.act(&id, "retry").await.status, 409);
}

#[tokio::test]
async fn what_is_asked_alone_moves_nothing() {
    let world = World::new().await;
    let id = world.ordered(&wish_with("dry_run", json!(true))).await;
    world.offer("1.0").await;
    let offered = world.read(&id).await;
    assert_eq!(offered["state"], "OFFERED");
    assert_eq!(
        [&offered["label"], &offered["total"]],
        [&json!("1.0"), &json!(1000)]
    );
    world.look().await;
    assert!(world.west.orders(&world.own).await.is_empty());
}

#[tokio::test]
async fn one_that_is_to_begin_later_begins_then() {
    let world = World::new().await;
    let id = world
        .ordered(&wish_with("starts", json!("2026-09-21T14:13:25.000Z")))
        .await;
    world.look().await;
    world.is(&id, "SCHEDULED").await;
    world.own.set_clock(Moment(NOW.0 + 5000));
    world.look().await;
    world.is(&id, "REQUESTED").await;
    world.offer("1.0").await;
    world.is(&id, "GRANTED").await;
}

#[tokio::test]
async fn those_of_a_node_that_is_sent_away_have_failed() {
    let world = World::new().await;
    let (first, published) = (
        world.ordered(&wish()).await,
        world.ordered(&wish_with("moves", json!(true))).await,
    );
    let orders = world.east.orders(&world.own).await;
    let order = orders
        .iter()
        .find(|order| order["details"]["transfer"] == published.as_str())
        .unwrap();
    let done = progress("DONE", 0, found("1.0"));
    world.east.tell(&world.own, order, &done).await;
    let order = world.west.order(&world.own, "receive").await;
    world.vouch(&order, Outcome::Published).await;
    let path = format!("/api/v1/nodes/{}/revoke", world.east.id);
    assert_eq!(world.own.post(&world.root, &path, &json!({})).await.status, 200);
    world.look().await;
    let failed = world.read(&first).await;
    assert_eq!(failed["state"], "FAILED");
    assert!(failed["message"].as_str().unwrap().contains("east"), "{failed}");
    let kept = world.read(&published).await;
    assert_eq!(
        [&kept["state"], &kept["released"]],
        [&json!("PUBLISHED"), &json!(false)]
    );
    assert_eq!(world.ask(&wish()).await.status, 422);
}

#[tokio::test]
async fn more_than_a_node_can_have_before_it_wait_for_their_turn() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for _ in 0..40 {
        ids.push(world.ordered(&wish()).await);
    }
    assert_eq!(world.east.orders(&world.own).await.len(), 32);
    let mut moved = 0;
    while moved < 40 {
        world.look().await;
        for order in world.east.orders(&world.own).await {
            let done = progress("DONE", 0, found("1.0"));
            assert_eq!(world.east.tell(&world.own, &order, &done).await.status, 200);
        }
        let orders = world.west.orders(&world.own).await;
        assert!(orders.len() <= 32 && !orders.is_empty());
        for order in &orders {
            // The pretended node is quicker than a node may be.
            world.own.advance(Duration::from_secs(1));
            assert_eq!(world.vouch(order, Outcome::Published).await.status, 200);
        }
        moved += orders.len();
    }
    for id in ids {
        world.is(&id, "PUBLISHED").await;
    }
}

#[tokio::test]
async fn a_wish_that_can_t_be_is_refused_with_the_field_that_is_wrong() {
    let world = World::new().await;
    let wrong = [
        ("source", json!("nowhere")),
        ("destination", json!("east")),
        ("destination", json!("00000000-0000-4000-8000-000000000000")),
        ("from", json!({ "catalog": "images", "item": "../web" })),
        ("from", json!({ "catalog": "images" })),
        ("from", json!({ "catalog": "images", "item": "web", "more": 1 })),
        ("rate", json!(1023)),
        ("rate", json!(u64::MAX)),
        ("parallel", json!(0)),
        ("parallel", json!(9)),
        ("window", json!("22:00-25:00")),
        ("starts", json!("2030-01-01T00:00:00Z")),
        ("route", json!("air")),
        ("relay", json!("west")),
        ("version", json!("/")),
        ("speed", json!(1)),
    ];
    for (field, value) in wrong {
        let answer = world.ask(&wish_with(field, value.clone())).await;
        assert_eq!(answer.status, 422, "{field} {value}: {}", answer.body);
        assert!(
            answer.body["detail"].as_str().unwrap().contains(field),
            "{}",
            answer.body
        );
    }
    let mut relayed = wish_with("route", json!("relay"));
    relayed["relay"] = json!("west");
    assert_eq!(world.ask(&relayed).await.status, 422);
    // A name that two nodes have is none.
    Pretended::enrol(&world.own, &world.root, "west").await;
    assert!(
        world.ask(&wish()).await.body["detail"]
            .as_str()
            .unwrap()
            .contains("several")
    );
    let by_id = wish_with("destination", json!(world.west.id));
    let key = ("idempotency-key", "once");
    let path = "/api/v1/transfers";
    let first = world.own.ask(&world.root, "POST", path, key, Some(&by_id)).await;
    let again = world.own.ask(&world.root, "POST", path, key, Some(&by_id)).await;
    assert_eq!((first.status, again.status), (202, 202));
    assert_eq!(first.body["id"], again.body["id"]);
    assert_eq!(
        world
            .own
            .get(&world.root, path)
            .await
            .body
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_tenant_s_users_order_and_see_what_is_the_tenant_s_and_nothing_else() {
    let world = World::new().await;
    let (acme, at_acme) = world.own.tenant(&world.root, "acme").await;
    let (_, at_other) = world.own.tenant(&world.root, "other").await;
    let mut events = world.own.events(&at_other, None).await;
    let path = "/api/v1/transfers";
    // Whoever names nobody means its own.
    let mut nobody = wish();
    nobody["from"].as_object_mut().unwrap().remove("tenant");
    let own = world.own.post(&at_acme, path, &nobody).await;
    assert_eq!(own.status, 202, "{}", own.body);
    assert_eq!(own.body["tenant"], acme.as_str());
    assert_eq!(own.body["source"]["place"]["tenant"], "acme");
    assert_eq!(own.body["destination"]["place"]["tenant"], "acme");
    // The provider's order for a tenant is the tenant's; one across tenants is the provider's alone.
    let for_acme = world.ordered(&wish()).await;
    let across = wish_with(
        "to",
        json!({ "tenant": "other", "catalog": "images", "item": "web" }),
    );
    let across = world.ordered(&across).await;
    let provider = wish_with("from", json!({ "catalog": "images", "item": "web" }));
    let provider = world.ordered(&provider).await;

    for wish in [
        wish(),
        wish_with(
            "to",
            json!({ "tenant": "acme", "catalog": "images", "item": "web" }),
        ),
    ] {
        let answer = world.own.post(&at_other, path, &wish).await;
        assert_eq!(answer.status, 422, "{}", answer.body);
    }
    let ids = |answer: &Answer| -> Vec<String> {
        let all = answer.body.as_array().unwrap().iter();
        all.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let own = own.body["id"].as_str().unwrap().to_owned();
    let mut seen = ids(&world.own.get(&at_acme, path).await);
    seen.sort();
    let mut expected = vec![own.clone(), for_acme.clone()];
    expected.sort();
    assert_eq!(seen, expected);
    assert!(ids(&world.own.get(&at_other, path).await).is_empty());
    let filtered = format!("{path}?tenant={acme}");
    assert!(ids(&world.own.get(&at_other, &filtered).await).is_empty());
    for id in [&own, &for_acme, &across, &provider] {
        assert_eq!(
            world.own.get(&at_other, &format!("{path}/{id}")).await.status,
            404
        );
        for action in ["cancel", "retry"] {
            let act = format!("{path}/{id}/{action}");
            assert_eq!(world.own.post(&at_other, &act, &json!({})).await.status, 404);
        }
    }
    for id in [&across, &provider] {
        assert_eq!(world.own.get(&at_acme, &format!("{path}/{id}")).await.status, 404);
    }
    assert_eq!(
        world
            .own
            .get(&world.root, path)
            .await
            .body
            .as_array()
            .unwrap()
            .len(),
        4
    );
    assert!(
        events.is_silent().await,
        "nothing of it is another tenant's to hear"
    );

    // The audit log of each tenant has its own.
    let audit = world.own.get(&at_acme, "/api/v1/audit").await.body;
    let made = |entry: &&Value| entry["action"] == "transfer.create";
    assert_eq!(audit.as_array().unwrap().iter().filter(made).count(), 2);
    let audit = world.own.get(&at_other, "/api/v1/audit").await.body;
    assert_eq!(audit.as_array().unwrap().iter().filter(made).count(), 0);

    // An auditor looks and orders nothing.
    let auditor = json!({ "name": "eye", "role": "auditor", "tenant": acme, "password": PASSWORD });
    assert_eq!(
        world
            .own
            .post(&world.root, "/api/v1/users", &auditor)
            .await
            .status,
        201
    );
    let eye = world.own.log_in("acme/eye").await;
    assert_eq!(ids(&world.own.get(&eye, path).await).len(), 2);
    assert_eq!(world.own.post(&eye, path, &wish()).await.status, 403);
    assert_eq!(
        world
            .own
            .post(&eye, &format!("{path}/{own}/cancel"), &json!({}))
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn whoever_waits_for_a_change_hears_of_it_at_once() {
    let world = World::new().await;
    let id = world.ordered(&wish()).await;
    let path = format!("/api/v1/transfers/{id}?wait=30");
    let waiting = world.own.get(&world.root, &path);
    let telling = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.offer("1.0").await;
    };
    let (answer, ()) = tokio::join!(waiting, telling);
    assert_eq!(answer.body["state"], "GRANTED");
}
