//! What a console's menu gives a code or an address for, as the service takes it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "connector/connector.rs"]
mod connector;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use appliance::clock::{Clock, Moment};
use appliance::machine::Machine;
use appliance::recovery;
use appliance::role::Role;
use axum::body::Body;
use connector::{Connector, PASSWORD};
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::json;

const RESET: &str = "/api/v1/administrator-reset";
const BUNDLE: &str = "/api/v1/support-bundle";
const NEW: &str = "another password";

/// A connector in an appliance whose consoles work, and the folder that PID 1 writes to.
async fn appliance() -> (Connector, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (report, state) = (folder.path().join("machine.json"), folder.path().join("state"));
    std::fs::create_dir(&state).unwrap();
    let mut machine = Machine::default();
    machine.state.mounted = true;
    machine.write(&report).unwrap();
    let clock = Clock::standing(Moment(1_764_000_000_000));
    (
        Connector::on_machine(Role::Node, &state, Some(report), clock).await,
        folder,
    )
}

fn code(folder: &tempfile::TempDir) -> String {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let now = Duration::try_from(now).unwrap();
    recovery::issue(folder.path(), now).unwrap().to_string()
}

fn body(code: &str, name: &str) -> serde_json::Value {
    json!({ "code": code, "administrator": { "name": name, "password": NEW } })
}

#[tokio::test]
async fn a_code_of_the_console_changes_one_password_once_ends_the_sessions_and_is_audited() {
    let (own, folder) = appliance().await;
    let old = own.finish().await;
    assert_eq!(
        own.post("", RESET, &body("0000-0000-0000", "root")).await.status,
        401
    );
    let code = code(&folder);
    let short = json!({ "code": code, "administrator": { "name": "root", "password": "short" } });
    assert_eq!(own.post("", RESET, &short).await.status, 422);
    let (a, b) = (body(&code, "root"), body(&code, "root"));
    let (a, b) = tokio::join!(own.post("", RESET, &a), own.post("", RESET, &b));
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);

    assert_eq!(own.get(&old, "/api/v1/users").await.status, 401);
    let log_in = async |password: &str| {
        let body = json!({ "name": "root", "password": password });
        own.post("", "/api/v1/session", &body).await
    };
    assert_eq!(log_in(PASSWORD).await.status, 401);
    let session = log_in(NEW).await.body["token"].as_str().unwrap().to_owned();
    let log = own.get(&session, "/api/v1/audit").await.body;
    let entries = log.as_array().unwrap();
    let told = |entry: &&serde_json::Value| entry["action"] == "user.reset" && entry["actor"] == "console";
    assert_eq!(entries.iter().filter(told).count(), 1);
}

#[tokio::test]
async fn an_administrator_who_is_not_there_is_made_and_nobody_else_becomes_one() {
    let (own, folder) = appliance().await;
    let root = own.finish().await;
    let auditor = json!({ "name": "ann", "role": "auditor", "password": PASSWORD });
    assert_eq!(own.post(&root, "/api/v1/users", &auditor).await.status, 201);
    let code = code(&folder);
    assert_eq!(own.post("", RESET, &body(&code, "ann")).await.status, 422);
    let made = own.post("", RESET, &body(&code, "second")).await;
    assert_eq!((made.status, &made.body["role"]), (200, &json!("provider-admin")));
    assert_eq!(own.get(&root, "/api/v1/users").await.status, 200);
}

#[tokio::test]
async fn the_page_takes_a_code_without_a_session_and_logs_in() {
    let (own, folder) = appliance().await;
    assert_eq!(page(&own, "GET", "/reset", "").await.1, 303, "it is not set up");
    let old = own.finish().await;
    assert!(
        page(&own, "GET", "/login", "")
            .await
            .0
            .contains("href=\"/reset\"")
    );
    let form = |code: &str, again: &str| {
        let new = NEW.replace(' ', "+");
        format!("code={code}&name=root&password={new}&again={again}")
    };
    let code = code(&folder);
    let same = NEW.replace(' ', "+");
    let (text, status) = page(&own, "POST", "/reset", &form(&code, "other")).await;
    assert_eq!(status, 422);
    assert!(text.contains("The two passwords differ.") && !text.contains(NEW));
    let (text, status) = page(&own, "POST", "/reset", &form("0000-0000-0000", &same)).await;
    assert_eq!(status, 401);
    assert!(text.contains("makes another") && !text.contains(NEW), "{text}");
    let (text, status) = page(&own, "POST", "/reset", &form(&code, &same)).await;
    assert_eq!(status, 303, "{text}");
    assert_eq!(own.get(&old, "/api/v1/users").await.status, 401);
    let body = json!({ "name": "root", "password": NEW });
    assert_eq!(own.post("", "/api/v1/session", &body).await.status, 201);
}

/// The text of a page, and its status.
async fn page(own: &Connector, method: &str, path: &str, form: &str) -> (String, u16) {
    let api = appliance::api::router(Arc::clone(&own.context));
    let pages = appliance::pages::over(Arc::clone(&own.context), api);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "node.example")
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form.to_owned()))
        .unwrap();
    let answer = TowerToHyperService::new(pages).call(request).await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    (String::from_utf8_lossy(&text).into_owned(), status)
}

#[tokio::test]
async fn set_up_keeps_the_network_that_was_given_along_and_tells_of_it_or_nothing_is_set_up() {
    let (own, folder) = appliance().await;
    let kept = folder.path().join("state/network.json");
    let code = own.context.setup_code().unwrap();
    let with = |network: serde_json::Value| {
        let mut body = body(&code, "root");
        body["network"] = network;
        body
    };
    for wrong in [
        json!({ "ip": "192.0.2.5" }),
        json!([]),
        json!({ "dhcp": true, "more": 1 }),
    ] {
        let answer = own.post("", "/api/v1/setup", &with(wrong)).await;
        assert_eq!(answer.status, 422, "{}", answer.body);
    }
    assert!(own.context.setup_code().is_some() && !kept.exists());
    assert_eq!(own.context.beat().network_changes, 0);
    let fixed = json!({ "ip": "192.0.2.5/24", "gateway": "192.0.2.1", "mtu": 1400 });
    assert_eq!(own.post("", "/api/v1/setup", &with(fixed)).await.status, 201);
    let text = std::fs::read_to_string(&kept).unwrap();
    assert!(text.contains("192.0.2.5/24"), "{text}");
    assert_eq!(own.context.beat().network_changes, 1);
    let late = own
        .post("", "/api/v1/setup", &with(json!({ "dhcp": true })))
        .await;
    assert_eq!(
        (late.status, std::fs::read_to_string(&kept).unwrap()),
        (410, text)
    );
}

#[tokio::test]
async fn the_wizard_shows_what_the_properties_propose_and_takes_the_network() {
    let (own, folder) = appliance().await;
    let report = folder.path().join("machine.json");
    let mut machine = Machine::read(&report).unwrap();
    machine.proposal.server = Some("server.example".parse().unwrap());
    machine.proposal.cloud = Some("north".to_owned().try_into().unwrap());
    machine.write(&report).unwrap();
    let api = appliance::api::router(Arc::clone(&own.context));
    let pages = appliance::pages::over(Arc::clone(&own.context), api);
    let ask = async |method: &str, form: &str| {
        let request = Request::builder()
            .method(method)
            .uri("/setup")
            .header("host", "node.example")
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()))
            .unwrap();
        let answer = TowerToHyperService::new(pages.clone())
            .call(request)
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&text).into_owned())
    };
    let (_, page) = ask("GET", "").await;
    for words in ["value=\"server.example:443\"", "value=\"north\"", "name=\"ip6\""] {
        assert!(page.contains(words), "{words}\n{page}");
    }
    // What is proposed comes back with the form, and without an enrolment code counts for nothing.
    let code = own.context.setup_code().unwrap();
    let form = |network: &str| {
        format!(
            "code={code}&name=root&password=correct+horse&again=correct+horse&server=server.example&cloud=north&{network}"
        )
    };
    assert_eq!(ask("POST", &form("mtu=many")).await.0, 422);
    assert_eq!(
        ask(
            "POST",
            &form("ip=192.0.2.5%2F24&dns=192.0.2.2%2C192.0.2.3&vlan=7")
        )
        .await
        .0,
        303
    );
    let kept = std::fs::read(folder.path().join("state/network.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
    let wanted = json!({ "ip": "192.0.2.5/24", "dns": ["192.0.2.2", "192.0.2.3"], "vlan": 7 });
    assert_eq!(kept, wanted);
}

#[tokio::test]
async fn outside_an_appliance_no_code_is_good() {
    let (own, _) = Connector::set_up().await;
    assert_eq!(
        own.post("", RESET, &body("0000-0000-0000", "root")).await.status,
        401
    );
    let (text, _) = page(&own, "GET", "/reset", "").await;
    assert!(
        !text.contains("name=\"code\"") && text.contains("runs in none"),
        "{text}"
    );
}

#[tokio::test]
async fn a_support_bundle_is_for_administrators_and_holds_no_secret() {
    let (own, folder) = appliance().await;
    let root = own.finish().await;
    let auditor = json!({ "name": "ann", "role": "auditor", "password": PASSWORD });
    own.post(&root, "/api/v1/users", &auditor).await;
    let session = own.log_in("ann").await;
    assert_eq!(own.get(&session, BUNDLE).await.status, 403);
    assert_eq!(own.get("", BUNDLE).await.status, 401);
    let recovery = code(&folder);

    let answer = own.get(&root, BUNDLE).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.fields["content-type"], "application/gzip");
    let listed = tar("-tzf", &answer.bytes);
    for name in [
        "about.json",
        "checks.json",
        "machine.json",
        "configuration.json",
        "audit.json",
    ] {
        assert!(listed.lines().any(|line| line == name), "{listed}");
    }
    let text = tar("-xzOf", &answer.bytes);
    assert!(
        text.contains("user.create") && text.contains("fingerprint"),
        "{text}"
    );
    for secret in [&root, &session, &recovery, PASSWORD, "argon2", "PRIVATE KEY"] {
        assert!(!text.contains(secret), "{secret}");
    }
    let log = own.get(&root, "/api/v1/audit").await.body;
    assert_eq!(log[0]["action"], "support-bundle.read");
}

fn tar(what: &str, bytes: &[u8]) -> String {
    let mut child = Command::new("tar")
        .args([what, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}
