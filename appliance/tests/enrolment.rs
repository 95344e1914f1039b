//! A node and its server: how they come to know each other, and whom they refuse.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "connector/connector.rs"]
mod connector;
#[path = "connector/enrolled.rs"]
mod enrolled;

use std::time::Duration;

use appliance::clock::{Clock, Moment};
use appliance::event::Event;
use enrolled::{Following, Listening, enrol, enrolled};
use serde_json::{Value, json};

#[tokio::test]
async fn a_node_is_taken_in_by_two_people_lives_grows_stale_and_is_sent_away() {
    let state = tempfile::tempdir().unwrap();
    let (server, node, id) = enrolled(state.path()).await;
    let (status, told) = node.enrol(server.address, &server.code().await).await;
    assert_eq!(
        (status, &told["code"]),
        (409, &json!("conflict")),
        "it has a server"
    );

    // After a restart it is the same node, and has to ask nobody.
    node.end().await;
    server.own.advance(Duration::from_secs(16));
    server.wait_for(&id, |node| node["status"] == "STALE").await;
    server.own.advance(Duration::from_secs(5));
    server.wait_for(&id, |node| node["status"] == "UNREACHABLE").await;
    let node = Following::start(state.path()).await;
    server.wait_for(&id, |node| node["status"] == "LIVE").await;

    let path = format!("/api/v1/nodes/{id}/revoke");
    assert_eq!(
        server.own.post(&server.root, &path, &json!({})).await.body["state"],
        "REVOKED"
    );
    node.wait_for("REVOKED").await;
    let node = says_why(node, state.path(), "has sent this node away").await;
    let (status, told) = node.enrol(server.address, &server.code().await).await;
    assert_eq!(
        (status, &told["state"]),
        (202, &json!("PENDING")),
        "it may come again, with another code"
    );
    assert_eq!(told.get("trouble"), None, "{told}");
    assert_ne!(told["node"], json!(id));
}

#[tokio::test]
async fn codes_that_are_wrong_used_or_too_old_are_refused() {
    let (server, state) = (Listening::start().await, tempfile::tempdir().unwrap());
    let node = Following::start(state.path()).await;
    let (status, _) = node.enrol(server.address, "vcc1-nonsense").await;
    assert_eq!(status, 422);
    let old = server.code().await;
    server.own.advance(Duration::from_secs(601));
    let (status, told) = node.enrol(server.address, &old).await;
    assert_eq!((status, told["code"].as_str()), (502, Some("bad-server")));
    assert!(
        told["detail"].as_str().unwrap().contains("wrong-credentials"),
        "{told}"
    );
    let code = server.code().await;
    assert_eq!(node.enrol(server.address, &code).await.0, 202);
    let second = tempfile::tempdir().unwrap();
    let second = Following::start(second.path()).await;
    assert_eq!(
        second.enrol(server.address, &code).await.0,
        502,
        "a code is good once"
    );
    assert_eq!(server.nodes().await.len(), 1);
}

#[tokio::test]
async fn a_node_speaks_to_the_server_whose_key_its_code_names_and_to_no_other() {
    let (meant, other) = (Listening::start().await, Listening::start().await);
    let state = tempfile::tempdir().unwrap();
    let node = Following::start(state.path()).await;
    let (status, told) = node.enrol(other.address, &meant.code().await).await;
    assert_eq!(status, 502);
    assert!(
        told["detail"]
            .as_str()
            .unwrap()
            .contains("has not the key that was pinned"),
        "{told}"
    );
    assert!(other.nodes().await.is_empty() && meant.nodes().await.is_empty());
}

#[tokio::test]
async fn a_node_that_was_cloned_is_suspended_and_shown() {
    let (state, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (server, node, id) = enrolled(state.path()).await;
    node.end().await;
    copy_state(state.path(), copy.path());
    let first = Following::start(state.path()).await;
    server.own.advance(Duration::from_secs(30));
    server.wait_for(&id, |node| node["status"] == "LIVE").await;
    let second = Following::start(copy.path()).await;
    let told = server.wait_for(&id, |node| node["state"] == "SUSPENDED").await;
    assert!(
        told["reason"].as_str().unwrap().contains("there are two of it"),
        "{told}"
    );
    second.wait_for("SUSPENDED").await;
    first.wait_for("SUSPENDED").await;
    says_why(first, state.path(), "there are two of it").await;
}

/// Sees that a node that was sent away says why and what to do, also after a restart.
async fn says_why(node: Following, state: &std::path::Path, why: &str) -> Following {
    node.end().await;
    let node = Following::start(state).await;
    let told = node.own.get(&node.root, "/api/v1/enrolment").await.body;
    let trouble = told["trouble"].as_str().unwrap_or_default();
    assert!(trouble.contains(why) && trouble.contains("anew"), "{told}");
    node
}

/// Has a server lose what it knows of a node, as where its state is put back.
async fn forget(server: &Listening, id: &str) {
    let mut db = server
        .own
        .context
        .ground()
        .unwrap()
        .database
        .begin()
        .await
        .unwrap();
    for statement in [
        "DELETE FROM certificates WHERE node = $1",
        "DELETE FROM nodes WHERE id = $1",
    ] {
        sqlx::query(statement).bind(id).execute(&mut *db).await.unwrap();
    }
    db.commit().await.unwrap();
}

#[tokio::test]
async fn a_node_that_its_server_has_forgotten_or_refused_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("active");
    let (server, node, id) = enrolled(&state).await;
    forget(&server, &id).await;
    node.wait_for("REVOKED").await;
    says_why(node, &state, "doesn't know this node any more").await;

    let asks = async |name: &str| {
        let state = folder.path().join(name);
        let node = Following::start(&state).await;
        let (status, told) = node.enrol(server.address, &server.code().await).await;
        assert_eq!(status, 202, "{told}");
        (node, state, told["node"].as_str().unwrap().to_owned())
    };
    let (node, state, id) = asks("forgotten").await;
    forget(&server, &id).await;
    node.wait_for("REVOKED").await;
    says_why(node, &state, "doesn't know the request any more").await;

    let (node, state, id) = asks("refused").await;
    let path = format!("/api/v1/nodes/{id}/revoke");
    assert_eq!(server.own.post(&server.root, &path, &json!({})).await.status, 200);
    node.wait_for("REVOKED").await;
    says_why(node, &state, "has refused the request").await;
}

#[tokio::test]
async fn a_clone_that_renews_its_certificate_first_does_not_take_the_nodes_place_unseen() {
    let (state, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (server, node, id) = enrolled(state.path()).await;
    node.end().await;
    copy_state(state.path(), copy.path());
    let known = server.wait_for(&id, |_| true).await;
    // A clock that is ahead makes it renew.
    let ahead = Moment(Clock::System.now().0 + 70 * 24 * 3600 * 1000);
    let clone = Following::start_at(copy.path(), Clock::standing(ahead)).await;
    server
        .wait_for(&id, |node| node["fingerprint"] != known["fingerprint"])
        .await;
    let node = Following::start(state.path()).await;
    let told = server.wait_for(&id, |node| node["state"] == "SUSPENDED").await;
    assert!(
        told["reason"]
            .as_str()
            .unwrap()
            .contains("certificate in whose place it had used another"),
        "{told}"
    );
    assert!(server.audited("node.suspend", &id).await);
    clone.wait_for("SUSPENDED").await;
    node.wait_for("SUSPENDED").await;
}

#[tokio::test]
async fn nodes_outlive_a_server_whose_clock_is_far_ahead_for_a_while() {
    let state = tempfile::tempdir().unwrap();
    let (server, node, id) = enrolled(state.path()).await;
    let now = server.own.context.ground().unwrap().clock.now();
    let seen = server.nodes().await[0]["seen"].clone();
    server.own.advance(Duration::from_secs(100 * 24 * 3600));
    let start = std::time::Instant::now();
    loop {
        let told = node.own.get(&node.root, "/api/v1/enrolment").await.body;
        assert_eq!(told["state"], "ACTIVE", "{told}");
        if told["trouble"]
            .as_str()
            .is_some_and(|trouble| trouble.contains("certificate-expired"))
        {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{told}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.own.set_clock(now.after(Duration::from_secs(1)));
    server
        .wait_for(&id, |node| node["status"] == "LIVE" && node["seen"] != seen)
        .await;
}

#[tokio::test]
async fn a_server_whose_clock_cannot_be_right_certifies_nobody() {
    let mut server = Listening::start_at(Moment(1_000_000_000)).await;
    let state = tempfile::tempdir().unwrap();
    let node = Following::start(state.path()).await;
    let (_, told) = node.enrol(server.address, &server.code().await).await;
    let path = format!("/api/v1/nodes/{}/approve", told["node"].as_str().unwrap());
    let approval = json!({ "fingerprint": told["fingerprint"] });
    let answer = server.own.post(&server.root, &path, &approval).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (503, &json!("clock-implausible"))
    );
    server.own.set_clock(Clock::System.now());
    server.root = server.own.log_in("root").await;
    let answer = server.own.post(&server.root, &path, &approval).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

fn copy_state(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() && entry.file_name() != "lock" {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test]
async fn who_shows_no_certificate_of_a_node_is_none() {
    let server = Listening::start().await;
    let sign = json!({ "counter": 0, "advance": false, "nonce": "", "version": "1" });
    let answer = server.own.post("", "/api/v1/heartbeats", &sign).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (401, &json!("unauthenticated"))
    );
    let answer = server.own.post(&server.root, "/api/v1/heartbeats", &sign).await;
    assert_eq!(answer.status, 401, "an administrator is no node");
    let nobody = server.own.get("vcc_nobody", "/api/v1/enrolments/none").await;
    assert_eq!(nobody.status, 404);
}

#[tokio::test]
async fn a_certificate_is_renewed_long_before_it_ends_once_and_for_another_key() {
    // What this server signs for 90 days has 20 left.
    let behind = Clock::System.now().0 - 70 * 24 * 3600 * 1000;
    let server = Listening::start_at(Moment(behind)).await;
    let state = tempfile::tempdir().unwrap();
    let (node, id) = enrol(&server, state.path()).await;
    let fingerprint = node.own.get(&node.root, "/api/v1/enrolment").await.body["fingerprint"].clone();
    let known = server
        .wait_for(&id, |node| node["fingerprint"] == fingerprint)
        .await;
    assert_eq!(
        (&known["state"], &known["status"]),
        (&json!("ACTIVE"), &json!("LIVE"))
    );
    server.own.advance(Duration::from_secs(1));
    server.wait_for(&id, |node| node["seen"] != known["seen"]).await;
    let audit = server.own.get(&server.root, "/api/v1/audit").await.body;
    let renewed = |entry: &&Value| entry["action"] == "node.renew" && entry["object"] == id.as_str();
    assert_eq!(
        audit.as_array().unwrap().iter().filter(renewed).count(),
        1,
        "{audit}"
    );
}

#[tokio::test]
async fn a_node_takes_the_place_of_another_with_what_was_wanted_of_it() {
    let (state, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (server, node, id) = enrolled(state.path()).await;
    let path = format!("/api/v1/configurations/node:{id}");
    let wanted = json!({ "settings": { "notice": "for this one" } });
    let answer = server
        .own
        .matching(&server.root, "PUT", &path, "\"0\"", Some(&wanted))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);

    let new = Following::start(second.path()).await;
    let (_, told) = new.enrol(server.address, &server.code().await).await;
    let approval = json!({ "fingerprint": told["fingerprint"], "replaces": id });
    let path = format!("/api/v1/nodes/{}/approve", told["node"].as_str().unwrap());
    let answer = server.own.post(&server.root, &path, &approval).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(server.audited("node.revoke", &id).await);
    let events = server.own.context.ground().unwrap().events.follow(Some(0)).past;
    let is_told = |event: &&std::sync::Arc<Event>| {
        event.object == id && event.data.as_ref().unwrap().get().contains("REVOKED")
    };
    assert_eq!(events.iter().filter(is_told).count(), 1);
    node.wait_for("REVOKED").await;
    new.wait_for("ACTIVE").await;
    new.wait_for_notice("for this one").await;

    let listed = async |query: &str| {
        let path = format!("/api/v1/configurations{query}");
        let listed = server.own.get(&server.root, &path).await.body;
        let scopes = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|wanted| wanted["scope"].clone());
        scopes.collect::<Vec<_>>()
    };
    let new_id = told["node"].as_str().unwrap();
    server
        .own
        .matching(
            &server.root,
            "PUT",
            "/api/v1/configurations/all",
            "\"0\"",
            Some(&wanted),
        )
        .await;
    assert_eq!(listed("").await, ["all".to_owned(), format!("node:{new_id}")]);
    assert_eq!(listed("?limit=1&cursor=all").await, [format!("node:{new_id}")]);
    let revoked = server
        .own
        .post(
            &server.root,
            &format!("/api/v1/nodes/{new_id}/revoke"),
            &json!({}),
        )
        .await;
    assert_eq!(revoked.status, 200);
    assert_eq!(listed("").await, ["all"]);
}

#[tokio::test]
async fn a_node_leaves_its_server_and_may_come_back() {
    let state = tempfile::tempdir().unwrap();
    let (server, node, id) = enrolled(state.path()).await;
    let left = node
        .own
        .ask(&node.root, "DELETE", "/api/v1/enrolment", ("", ""), None)
        .await;
    assert_eq!(left.status, 204);
    assert_eq!(node.own.get(&node.root, "/api/v1/enrolment").await.status, 404);
    server.own.advance(Duration::from_secs(60));
    server.wait_for(&id, |node| node["status"] == "UNREACHABLE").await;
    let (status, told) = node.enrol(server.address, &server.code().await).await;
    assert_eq!((status, &told["state"]), (202, &json!("PENDING")), "{told}");
    assert_ne!(told["node"], json!(id));
}
