//! Backups of servers and nodes, and what becomes of those that go on meanwhile.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "connector/connector.rs"]
mod connector;
#[path = "connector/enrolled.rs"]
mod enrolled;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use appliance::backup::{restore, save};
use appliance::clock::{Clock, Moment};
use enrolled::{Following, Listening, enrol};
use serde_json::json;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn a_restored_server_takes_back_a_node_that_agreed_on_numbers_and_renewed_since() {
    let folder = tempfile::tempdir().unwrap();
    let (node_state, new, file) = (
        folder.path().join("node"),
        folder.path().join("new"),
        folder.path().join("backup.tar"),
    );
    let now = Clock::System.now();
    let state = folder.path().join("server");
    let server = Listening::start_in(&state, now, "127.0.0.1:0").await;
    let (node, id) = enrol(&server, &node_state).await;
    let before = server.wait_for(&id, |_| true).await;
    save(&state, &file, now).await.unwrap();

    server.own.advance(Duration::from_secs(60));
    node.end().await;
    // Of its 90 days 25 are left.
    let node = Following::start_at(&node_state, Clock::standing(now.after(65 * DAY))).await;
    let renewed = server
        .wait_for(&id, |known| known["fingerprint"] != before["fingerprint"])
        .await;
    let address = server.address.to_string();
    server.end().await;

    restore(&new, &file, false, now).await.unwrap();
    let server = Listening::start_in(&new, now.after(Duration::from_secs(120)), &address).await;
    assert_eq!(server.nodes().await[0]["fingerprint"], before["fingerprint"]);
    let known = server.wait_for(&id, |known| known["status"] == "LIVE").await;
    assert_eq!(
        (&known["state"], &known["fingerprint"]),
        (&json!("ACTIVE"), &renewed["fingerprint"])
    );
    assert!(server.audited("node.ahead", &id).await);
    assert_eq!(node.state().await, "ACTIVE");

    // The number is agreed on anew: nothing of it is left after another start.
    node.end().await;
    let node = Following::start_at(&node_state, Clock::System).await;
    server.own.advance(Duration::from_secs(60));
    server.wait_for(&id, |known| known["status"] == "LIVE").await;
    assert_eq!(node.state().await, "ACTIVE");
}

#[tokio::test]
async fn a_restored_node_is_suspended_as_a_clone_and_takes_its_own_place_by_a_new_code() {
    let folder = tempfile::tempdir().unwrap();
    let (state, file) = (folder.path().join("node"), folder.path().join("backup.tar"));
    let server = Listening::start().await;
    let (node, id) = enrol(&server, &state).await;
    save(&state, &file, Moment(0)).await.unwrap();
    node.end().await;
    let node = Following::start(&state).await;
    server.own.advance(Duration::from_secs(60));
    server.wait_for(&id, |node| node["status"] == "LIVE").await;
    node.end().await;

    let restored = restore(&state, &file, true, Moment(0)).await.unwrap();
    assert!(restored.replaced.unwrap().join("vcc.db").exists());
    let node = Following::start(&state).await;
    let known = server.wait_for(&id, |node| node["state"] == "SUSPENDED").await;
    assert!(known["reason"].as_str().unwrap().contains("reverted"), "{known}");
    node.wait_for("SUSPENDED").await;

    let (status, told) = node.enrol(server.address, &server.code().await).await;
    assert_eq!(status, 202, "{told}");
    let approval = json!({ "fingerprint": told["fingerprint"], "replaces": id });
    let path = format!("/api/v1/nodes/{}/approve", told["node"].as_str().unwrap());
    let answer = server.own.post(&server.root, &path, &approval).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    node.wait_for("ACTIVE").await;
}

#[tokio::test]
async fn a_server_that_was_put_back_without_a_restore_suspends_nobody_and_a_restore_of_it_helps() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let now = Clock::System.now();
    let server = Listening::start_in(&path("server"), now, "127.0.0.1:0").await;
    let (node, id) = enrol(&server, &path("node")).await;
    let address = server.address.to_string();
    let snapshot = |from: &Path, to: &Path| {
        let copied = Command::new("cp").arg("-r").args([from, to]).status();
        assert!(copied.unwrap().success());
    };
    snapshot(&path("server"), &path("old"));
    node.end().await;
    let node = Following::start(&path("node")).await;
    server.own.advance(Duration::from_secs(60));
    server.wait_for(&id, |node| node["status"] == "LIVE").await;
    server.end().await;

    let server = Listening::start_in(&path("old"), now, &address).await;
    let known = server.wait_for(&id, |node| node["reason"].is_string()).await;
    assert_eq!(known["state"], "ACTIVE", "{known}");
    assert!(server.audited("node.ahead", &id).await);
    assert_eq!(node.state().await, "ACTIVE");
    server.end().await;

    save(&path("old"), &path("backup.tar"), now).await.unwrap();
    restore(&path("old"), &path("backup.tar"), true, now)
        .await
        .unwrap();
    let server = Listening::start_in(&path("old"), now.after(Duration::from_secs(60)), &address).await;
    let known = server.wait_for(&id, |node| node["status"] == "LIVE").await;
    assert_eq!(
        (&known["state"], &known["reason"]),
        (&json!("ACTIVE"), &json!(null))
    );
}

#[tokio::test]
async fn what_was_revoked_in_the_backup_stays_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let now = Clock::System.now();
    let server = Listening::start_in(&path("server"), now, "127.0.0.1:0").await;
    let (node, id) = enrol(&server, &path("node")).await;
    let address = server.address.to_string();
    node.end().await;
    let of_node = format!("/api/v1/nodes/{id}");
    let tag = server.own.get(&server.root, &of_node).await.body["revision"].to_string();
    let revoked = server
        .own
        .matching(
            &server.root,
            "POST",
            &format!("{of_node}/revoke"),
            &format!("\"{tag}\""),
            None,
        )
        .await;
    assert_eq!(revoked.status, 200, "{}", revoked.body);
    save(&path("server"), &path("backup.tar"), now).await.unwrap();
    server.end().await;
    restore(&path("new"), &path("backup.tar"), false, now)
        .await
        .unwrap();
    let server = Listening::start_in(&path("new"), now, &address).await;
    let node = Following::start(&path("node")).await;
    node.wait_for("REVOKED").await;
    assert_eq!(server.nodes().await[0]["state"], "REVOKED");
}
