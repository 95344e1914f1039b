//! A node is brought to its server by the command line, by two people who each sit at one of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "connector/people.rs"]
mod people;

use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use people::{Person, Service, done};

#[test]
fn a_node_joins_and_does_a_task_that_is_followed_to_its_end() {
    let (server, node) = (Service::start("server"), Service::start("node"));
    let (at_server, at_node) = (Person::administrator(&server), Person::administrator(&node));
    let code = at_node.home.path().join("enrolment-code");
    let made = at_server.call(&["node", "code"], &[("--output", &code)]);
    assert_eq!(made.status, 0, "{}", made.err);
    let join = [
        "node",
        "join",
        &server.address,
        "--cloud",
        "east",
        "--name",
        "node-a",
    ];
    let joined = at_node.call(&join, &[("--code-file", &code)]);
    assert_eq!(joined.status, 0, "{}", joined.err);
    let fingerprint = at_node.get(&["status"])["enrolment"]["fingerprint"].clone();
    let fingerprint = fingerprint.as_str().unwrap();
    assert!(joined.out.contains(fingerprint));
    assert!(
        joined.err.contains("vcc node approve") && joined.err.contains("goes on asking by itself"),
        "{}",
        joined.err
    );
    let again = at_node.call(&join, &[("--code-file", &code)]);
    assert_eq!(again.status, 1, "{}", again.err);

    assert_eq!(at_server.try_to(&["node", "approve", "node-a", "AB"]).status, 1);
    assert_eq!(
        at_server.try_to(&["task", "create", "node-a", "diagnose"]).status,
        1
    );
    let taken = at_server.get(&["node", "approve", "node-a", fingerprint]);
    assert_eq!(taken["state"], "ACTIVE");
    let task = at_server.try_to(&["task", "create", "node-a", "diagnose", "--follow", "--json"]);
    assert_eq!(task.status, 0, "{}", task.err);
    assert_eq!(task.json()["state"], "DONE");
    assert!(task.err.contains("diagnose DONE"), "{}", task.err);
    let id = task.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(at_server.get(&["task", "show", &id])["id"], id.as_str());
    assert_eq!(
        at_server.get(&["task", "list", "--node", "node-a"])[0]["id"],
        id.as_str()
    );
    assert_eq!(
        at_server.try_to(&["task", "cancel", &id]).status,
        1,
        "it has ended"
    );
    assert_eq!(
        at_server.get(&["cloud", "show", "east"])["status"]["nodes"][0]["name"],
        "node-a"
    );
    assert_eq!(at_server.get(&["config", "status", "node-a"])["state"], "IN_SYNC");
    // The node has no such list.
    assert_eq!(at_node.try_to(&["node", "list"]).status, 1);

    assert_eq!(
        at_server.get(&["node", "revoke", "node-a", "--yes"])["state"],
        "REVOKED"
    );
    while at_node.get(&["status"])["enrolment"]["state"] != "REVOKED" {
        sleep(Duration::from_millis(100));
    }
    let status = at_node.try_to(&["status"]);
    assert!(status.out.contains("has sent this node away"), "{}", status.out);
    assert_eq!(at_node.try_to(&["node", "leave", "--yes"]).status, 0);
}

#[test]
fn who_waits_for_a_node_to_be_taken_in_is_told_for_what_and_that_the_node_goes_on_alone() {
    let (server, node) = (Service::start("server"), Service::start("node"));
    let (at_server, at_node) = (Person::administrator(&server), Person::administrator(&node));
    let code = at_node.home.path().join("enrolment-code");
    assert_eq!(
        at_server.call(&["node", "code"], &[("--output", &code)]).status,
        0
    );
    let join = [
        "node",
        "join",
        &server.address,
        "--cloud",
        "east",
        "--name",
        "node-a",
        "--wait",
    ];
    let join = |seconds: &str| {
        let mut command = at_node.command(&[&join[..], &[seconds]].concat());
        command.arg("--code-file").arg(&code);
        command
    };
    let late = done(join("1"));
    assert_eq!(late.status, 1, "{}", late.err);
    for words in [
        "nobody has decided",
        "(pending)",
        "goes on asking by itself",
        "vcc status",
    ] {
        assert!(late.err.contains(words), "{words}: {}", late.err);
    }
    let status = at_node.try_to(&["status"]);
    assert!(
        status.out.contains("waits for   somebody at the server"),
        "{}",
        status.out
    );
    let used = done(join("1"));
    assert_eq!(used.status, 1, "{}", used.err);
    assert!(used.err.contains("the code is wrong, was used"), "{}", used.err);

    std::fs::remove_file(&code).unwrap();
    assert_eq!(
        at_server.call(&["node", "code"], &[("--output", &code)]).status,
        0
    );
    let known = at_server.get(&["node", "list"])[0]["id"].clone();
    let waiting = join("600")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let asked = |node: &serde_json::Value| node["state"] == "PENDING";
    let second = loop {
        let nodes = at_server.get(&["node", "list"]);
        let mut nodes = nodes.as_array().unwrap().iter().filter(|node| asked(node));
        if let Some(node) = nodes.find(|node| node["id"] != known) {
            break node.clone();
        }
        sleep(Duration::from_millis(100));
    };
    let (id, key) = (
        second["id"].as_str().unwrap(),
        second["fingerprint"].as_str().unwrap(),
    );
    assert_eq!(at_server.try_to(&["node", "approve", id, key]).status, 0);
    let waited = waiting.wait_with_output().unwrap();
    assert!(waited.status.success(), "{waited:?}");
    let told = String::from_utf8(waited.stderr).unwrap();
    assert!(
        told.contains("waits for somebody at") && told.contains(key),
        "{told}"
    );
    assert!(
        String::from_utf8(waited.stdout)
            .unwrap()
            .ends_with("has taken the node in\n")
    );
}
