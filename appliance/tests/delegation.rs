//! What a server wants of its nodes, orders of them and hears from them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "connector/connector.rs"]
mod connector;
#[path = "connector/enrolled.rs"]
mod enrolled;

use std::time::Duration;

use enrolled::{Listening, enrol, enrolled};
use serde_json::{Value, json};

async fn want(server: &Listening, scope: &str, version: u32, settings: &Value) -> (u16, Value) {
    let path = format!("/api/v1/configurations/{scope}");
    let (tag, body) = (format!("\"{version}\""), json!({ "settings": settings }));
    let answer = server
        .own
        .matching(&server.root, "PUT", &path, &tag, Some(&body))
        .await;
    (answer.status, answer.body)
}

async fn order(server: &Listening, node: &str, kind: &str, key: &str) -> (u16, Value) {
    let path = format!("/api/v1/nodes/{node}/tasks");
    let body = json!({ "kind": kind });
    let field = ("idempotency-key", key);
    let answer = server
        .own
        .ask(&server.root, "POST", &path, field, Some(&body))
        .await;
    (answer.status, answer.body)
}

/// A task once it has ended, or what it is after two minutes.
async fn ended(server: &Listening, task: &Value) -> Value {
    let path = format!("/api/v1/tasks/{}?wait=30", task["id"].as_str().unwrap());
    let mut now = Value::Null;
    for _ in 0..20 {
        now = server.own.get(&server.root, &path).await.body;
        if now["ended"].is_string() {
            break;
        }
    }
    now
}

#[tokio::test]
async fn the_narrowest_configuration_holds_and_a_stale_write_is_refused() {
    let (state, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (server, node, id) = enrolled(state.path()).await;
    let (second, _) = enrol(&server, other.path()).await;
    assert_eq!(
        want(
            &server,
            "all",
            0,
            &json!({ "notice": "to all", "ntp": ["192.0.2.1"] })
        )
        .await
        .0,
        200
    );
    node.wait_for_notice("to all").await;
    second.wait_for_notice("to all").await;
    assert_eq!(
        want(&server, &format!("node:{id}"), 0, &json!({ "notice": "to one" }))
            .await
            .0,
        200
    );
    node.wait_for_notice("to one").await;
    assert_eq!(
        want(&server, "cloud:north", 0, &json!({ "notice": "to the north" }))
            .await
            .0,
        200
    );
    second.wait_for_notice("to the north").await;
    assert_eq!(node.notice().await, "to one");
    // What the narrower ones leave open the wider one says.
    assert_eq!(
        node.configuration().await["settings"]["ntp"],
        json!(["192.0.2.1"])
    );

    assert_eq!(want(&server, "all", 0, &json!({})).await.0, 412);
    assert_eq!(
        want(&server, "all", 1, &json!({ "ntp": ["999.1.1.1"] })).await.0,
        422
    );
    assert_eq!(want(&server, "all", 1, &json!({ "colour": "red" })).await.0, 422);
    assert_eq!(want(&server, "node:none", 0, &json!({})).await.0, 404);
    assert_eq!(want(&server, &format!("node:{id}"), 1, &json!({})).await.0, 200);
    node.wait_for_notice("to the north").await;
    let versions = server
        .own
        .get(
            &server.root,
            &format!("/api/v1/configurations/node:{id}/versions"),
        )
        .await
        .body;
    let told: Vec<_> = versions
        .as_array()
        .unwrap()
        .iter()
        .map(|v| (v["version"].clone(), v["kind"].clone()))
        .collect();
    assert_eq!(told, [(json!(2), json!("user")), (json!(1), json!("user"))]);
}

#[tokio::test]
async fn a_node_that_was_away_comes_up_to_date_in_one_step() {
    let state = tempfile::tempdir().unwrap();
    let (server, node, id) = enrolled(state.path()).await;
    want(&server, "all", 0, &json!({ "notice": "first" })).await;
    node.wait_for_notice("first").await;
    let before = node.configuration().await["revision"].as_i64().unwrap();
    node.end().await;
    for version in 1..=5 {
        let notice = format!("version {}", version + 1);
        assert_eq!(
            want(&server, "all", version, &json!({ "notice": notice }))
                .await
                .0,
            200
        );
    }
    let path = format!("/api/v1/nodes/{id}/configuration");
    assert_eq!(server.own.get(&server.root, &path).await.body["state"], "PENDING");
    let node = enrolled::Following::start(state.path()).await;
    node.wait_for_notice("version 6").await;
    assert_eq!(node.configuration().await["revision"], json!(before + 1));
    server.wait_for_configuration(&id, "IN_SYNC").await;
}

#[tokio::test]
async fn what_others_change_on_a_node_is_drift_until_it_is_told_anew() {
    let state = tempfile::tempdir().unwrap();
    let (server, node, id) = enrolled(state.path()).await;
    server.wait_for_configuration(&id, "IN_SYNC").await;
    want(&server, "all", 0, &json!({ "notice": "wanted" })).await;
    server.wait_for_configuration(&id, "IN_SYNC").await;
    let own = node.configuration().await;
    let tag = format!("\"{}\"", own["revision"]);
    let changed = node
        .own
        .matching(
            &node.root,
            "PUT",
            "/api/v1/configuration",
            &tag,
            Some(&json!({ "notice": "mine" })),
        )
        .await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let told = server.wait_for_configuration(&id, "DRIFTED").await;
    assert_eq!(
        told["differences"],
        json!([{ "setting": "notice", "desired": "wanted", "reported": "mine" }])
    );
    assert_eq!(node.notice().await, "mine", "it is left until somebody decides");
    let path = format!("/api/v1/nodes/{id}/configuration/apply");
    assert_eq!(server.own.post(&server.root, &path, &json!({})).await.status, 200);
    node.wait_for_notice("wanted").await;
    server.wait_for_configuration(&id, "IN_SYNC").await;
}

#[tokio::test]
async fn a_program_says_which_rule_it_follows_and_a_person_cannot() {
    let state = tempfile::tempdir().unwrap();
    let (server, _node, _) = enrolled(state.path()).await;
    let token = json!({ "name": "ops", "scope": ["configuration:read", "configuration:write"], "days": 1 });
    let token = server.own.post(&server.root, "/api/v1/tokens", &token).await;
    assert_eq!(token.status, 201, "{}", token.body);
    let secret = token.body["secret"].as_str().unwrap();
    let body = json!({ "settings": { "notice": "by night" }, "rule": "night-mode" });
    let path = "/api/v1/configurations/all";
    let by_person = server
        .own
        .matching(&server.root, "PUT", path, "\"0\"", Some(&body))
        .await;
    assert_eq!(by_person.status, 422, "{}", by_person.body);
    let by_rule = server
        .own
        .matching(secret, "PUT", path, "\"0\"", Some(&body))
        .await
        .body;
    assert_eq!(
        (&by_rule["kind"], &by_rule["rule"]),
        (&json!("rule"), &json!("night-mode")),
        "{by_rule}"
    );
}

#[tokio::test]
async fn a_task_is_done_once_however_often_it_is_asked_for() {
    let state = tempfile::tempdir().unwrap();
    let (server, _node, id) = enrolled(state.path()).await;
    let (status, task) = order(&server, &id, "diagnose", "once").await;
    assert_eq!((status, &task["state"]), (202, &json!("QUEUED")), "{task}");
    assert_eq!(order(&server, &id, "diagnose", "once").await.1["id"], task["id"]);
    let (status, told) = order(&server, &id, "verify-audit", "once").await;
    assert_eq!((status, &told["code"]), (409, &json!("idempotency-key-reused")));
    let done = ended(&server, &task).await;
    assert_eq!(done["state"], "DONE", "{done}");
    assert!(done["result"]["version"].is_string(), "{done}");
    let (_, second) = order(&server, &id, "verify-audit", "another").await;
    let second = ended(&server, &second).await;
    assert_eq!(second["state"], "DONE", "{second}");
    let listed = server
        .own
        .get(&server.root, &format!("/api/v1/nodes/{id}/tasks"))
        .await
        .body;
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 2);
    assert!(
        listed
            .iter()
            .all(|task| task["state"] == "DONE" && task.get("result").is_none()),
        "a list of long results has no bound"
    );
    let path = format!("/api/v1/tasks/{}/cancel", task["id"].as_str().unwrap());
    assert_eq!(server.own.post(&server.root, &path, &json!({})).await.status, 409);
}

#[tokio::test]
async fn tasks_wait_for_a_node_that_is_away_unless_somebody_stops_them() {
    let state = tempfile::tempdir().unwrap();
    let (server, node, id) = enrolled(state.path()).await;
    node.end().await;
    let (_, first) = order(&server, &id, "diagnose", "1").await;
    let (_, second) = order(&server, &id, "diagnose", "2").await;
    let path = format!("/api/v1/tasks/{}/cancel", first["id"].as_str().unwrap());
    let stopped = server.own.post(&server.root, &path, &json!({})).await;
    assert_eq!(
        (stopped.status, &stopped.body["state"]),
        (202, &json!("CANCELLED"))
    );
    let _node = enrolled::Following::start(state.path()).await;
    assert_eq!(ended(&server, &second).await["state"], "DONE");
    assert_eq!(ended(&server, &first).await["started"], Value::Null);
}

#[tokio::test]
async fn events_tell_what_happens_and_who_comes_back_misses_nothing() {
    let state = tempfile::tempdir().unwrap();
    let (server, _node, id) = enrolled(state.path()).await;
    let mut events = server.own.events(&server.root, None).await;
    want(&server, "all", 0, &json!({ "notice": "hello" })).await;
    let event = events.next_of("configuration").await;
    assert_eq!(
        (&event["object"], &event["data"]["version"]),
        (&json!("all"), &json!(1))
    );
    drop(events);
    let (_, task) = order(&server, &id, "diagnose", "1").await;
    ended(&server, &task).await;
    let mut events = server.own.events(&server.root, event["number"].as_u64()).await;
    let first = events.next_of("task").await;
    assert_eq!(
        (&first["object"], &first["data"]["state"]),
        (&task["id"], &json!("QUEUED"))
    );
    while events.next_of("task").await["data"]["state"] != "DONE" {}
    // A session that has ended hears nothing more.
    assert_eq!(
        server
            .own
            .ask(&server.root, "DELETE", "/api/v1/session", ("", ""), None)
            .await
            .status,
        204
    );
    server
        .own
        .context
        .ground()
        .unwrap()
        .events
        .tell("task", "x", &json!({}), appliance::clock::Moment(0));
    assert!(events.has_ended().await);
}

#[tokio::test]
async fn a_tenants_people_see_nothing_of_nodes_tasks_and_configuration() {
    let state = tempfile::tempdir().unwrap();
    let (server, _node, id) = enrolled(state.path()).await;
    let (_, task) = order(&server, &id, "diagnose", "1").await;
    let (_, tenant) = server.own.tenant(&server.root, "acme").await;
    for path in [
        "/api/v1/nodes".to_owned(),
        "/api/v1/clouds".to_owned(),
        "/api/v1/tasks".to_owned(),
        "/api/v1/configurations/all".to_owned(),
        format!("/api/v1/nodes/{id}"),
        format!("/api/v1/nodes/{id}/configuration"),
        format!("/api/v1/tasks/{}", task["id"].as_str().unwrap()),
    ] {
        assert_eq!(server.own.get(&tenant, &path).await.status, 403, "{path}");
    }
    let mut events = server.own.events(&tenant, None).await;
    want(&server, "all", 0, &json!({ "notice": "x" })).await;
    server.own.advance(Duration::from_secs(1));
    assert!(events.is_silent().await);
}
