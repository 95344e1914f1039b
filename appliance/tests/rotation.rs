//! The key of a server's authority is replaced, and its nodes stay.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "connector/connector.rs"]
mod connector;
#[path = "connector/enrolled.rs"]
mod enrolled;

use std::time::{Duration, Instant};

use appliance::clock::Clock;
use enrolled::{Following, Listening, enrol};
use serde_json::{Value, json};

async fn authority(server: &Listening) -> Value {
    server.own.get(&server.root, "/api/v1/authority").await.body
}

async fn rotate(server: &Listening) -> (u16, Value) {
    post(server, &json!({})).await
}

async fn force(server: &Listening, step: &str) -> (u16, Value) {
    post(server, &json!({ "force": step })).await
}

async fn post(server: &Listening, wish: &Value) -> (u16, Value) {
    let path = "/api/v1/authority/rotate";
    let answer = server.own.post(&server.root, path, wish).await;
    (answer.status, answer.body)
}

async fn wait_for(server: &Listening, wanted: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let told = authority(server).await;
        if wanted(&told) {
            return told;
        }
        assert!(start.elapsed() < Duration::from_secs(90), "{told}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The server hears from a node again.
async fn is_heard(server: &Listening, id: &str) {
    server.own.advance(Duration::from_secs(30));
    server.wait_for(id, |node| node["status"] == "LIVE").await;
}

#[tokio::test]
async fn the_next_key_is_used_when_every_node_knows_it_and_the_former_is_gone_when_every_node_has_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Listening::start().await;
    let (near, near_id) = enrol(&server, &folder.path().join("near")).await;
    let (far, far_id) = enrol(&server, &folder.path().join("far")).await;
    let before = server.nodes().await;
    far.end().await;
    let first = authority(&server).await;
    assert_eq!((first.get("next"), &first["waiting"]), (None, &json!(0)));
    let code = server.code().await;
    assert_eq!(force(&server, "SWITCH").await.0, 409, "there is nothing to force");

    let (status, begun) = rotate(&server).await;
    assert_eq!((status, &begun["key"]), (202, &first["key"]), "{begun}");
    let next = begun["next"].clone();
    assert_ne!(next, first["key"]);
    assert_eq!(rotate(&server).await.0, 409, "one after the other");
    let waits = wait_for(&server, |told| told["waiting"] == 1).await;
    assert_eq!(waits["waiting_for"].as_array().unwrap().len(), 1);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(
        authority(&server).await["key"],
        first["key"],
        "a node that is away is waited for"
    );

    let far = Following::start(&folder.path().join("far")).await;
    let done = wait_for(&server, |told| {
        told["key"] == next && told.get("former").is_none()
    })
    .await;
    assert_eq!((done.get("next"), &done["waiting"]), (None, &json!(0)));
    for (id, before) in [&near_id, &far_id].into_iter().zip(&before) {
        is_heard(&server, id).await;
        let now = server.wait_for(id, |node| node["state"] == "ACTIVE").await;
        assert_ne!(now["fingerprint"], before["fingerprint"], "it has renewed");
    }
    for action in ["authority.begin", "authority.switch", "authority.retire"] {
        assert!(server.audited(action, next.as_str().unwrap()).await, "{action}");
    }

    // Codes of before lead to a key that is gone; with another one, all is as ever.
    let newcomer = Following::start(&folder.path().join("newcomer")).await;
    assert_eq!(newcomer.enrol(server.address, &code).await.0, 502);
    newcomer.end().await;
    let (_third, _) = enrol(&server, &folder.path().join("third")).await;

    for (node, name, id) in [(near, "near", &near_id), (far, "far", &far_id)] {
        node.end().await;
        let _node = Following::start(&folder.path().join(name)).await;
        is_heard(&server, id).await;
    }
}

#[tokio::test]
async fn a_rotation_goes_on_after_a_restart_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let (state, node_state) = (folder.path().join("server"), folder.path().join("node"));
    let now = Clock::System.now();
    let server = Listening::start_in(&state, now, "127.0.0.1:0").await;
    let address = server.address.to_string();
    let (node, id) = enrol(&server, &node_state).await;
    node.end().await;
    let next = rotate(&server).await.1["next"].clone();
    server.end().await;

    let server = Listening::start_in(&state, now, &address).await;
    assert_eq!(authority(&server).await["next"], next);
    let node = Following::start(&node_state).await;
    wait_for(&server, |told| told["key"] == next).await;
    node.end().await;
    server.end().await;

    let server = Listening::start_in(&state, now, &address).await;
    let _node = Following::start(&node_state).await;
    wait_for(&server, |told| told.get("former").is_none()).await;
    is_heard(&server, &id).await;
}

#[tokio::test]
async fn a_node_that_was_away_while_a_rotation_was_forced_has_to_come_anew() {
    let folder = tempfile::tempdir().unwrap();
    let server = Listening::start().await;
    let (near, near_id) = enrol(&server, &folder.path().join("near")).await;
    let (far, far_id) = enrol(&server, &folder.path().join("far")).await;
    far.end().await;
    let next = rotate(&server).await.1["next"].clone();
    wait_for(&server, |told| told["waiting"] == 1).await;
    assert_eq!(force(&server, "RETIRE").await.0, 409, "it is not the next step");
    let (status, told) = force(&server, "SWITCH").await;
    assert_eq!((status, &told["key"]), (202, &next), "{told}");
    assert_eq!(
        force(&server, "SWITCH").await.0,
        409,
        "said twice, it is done once"
    );
    wait_for(&server, |told| told["waiting"] == 1).await;
    let behind = server.wait_for(&far_id, |_| true).await;
    let reason = behind["reason"].as_str().unwrap();
    assert!(reason.contains("enrol it anew"), "{behind}");
    assert!(server.audited("node.leave-behind", &far_id).await);
    assert_eq!(force(&server, "RETIRE").await.1.get("former"), None);
    is_heard(&server, &near_id).await;

    let far = Following::start(&folder.path().join("far")).await;
    let start = Instant::now();
    let trouble = loop {
        let told = far.own.get(&far.root, "/api/v1/enrolment").await.body;
        if let Some(trouble) = told["trouble"].as_str() {
            break trouble.to_owned();
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{told}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(
        trouble.contains("pinned") && trouble.contains("vcc node leave"),
        "{trouble}"
    );
    let far_now = server.wait_for(&far_id, |_| true).await;
    assert_eq!(far_now["status"], "UNREACHABLE");
    near.end().await;
}

#[tokio::test]
async fn a_clock_that_is_wrong_while_the_key_is_replaced_leaves_no_node_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Listening::start().await;
    let right = server.own.context.ground().unwrap().clock.now();
    let (node, id) = enrol(&server, &folder.path().join("node")).await;
    node.end().await;
    // What the server shows now begins later than anybody would take.
    server.own.advance(Duration::from_secs(1000 * 24 * 3600));
    server.root = server.own.log_in("root").await;
    let before = authority(&server).await;
    let (status, begun) = rotate(&server).await;
    assert_eq!(status, 202, "{begun}");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let waits = authority(&server).await;
    assert_eq!((&waits["key"], &waits["waiting"]), (&before["key"], &json!(1)));

    server.own.set_clock(right.after(Duration::from_secs(60)));
    server.root = server.own.log_in("root").await;
    let _node = Following::start(&folder.path().join("node")).await;
    let done = wait_for(&server, |told| {
        told["key"] == begun["next"] && told.get("former").is_none()
    })
    .await;
    assert_eq!(done["waiting"], 0, "{done}");
    is_heard(&server, &id).await;
}
