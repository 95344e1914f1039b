//! The appliance gets its first administrator and its role by the code on its console, and keeps both through a power cut.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use e2e::guest::{Guest, kept_disks};
use e2e::web::{self, Answer};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

fn post(guest: &Guest, path: &str, token: &str, body: &Value) -> Answer {
    web::post(&guest.origin(), path, token, body).unwrap()
}

#[test]
fn whoever_reads_the_console_sets_the_appliance_up_as_a_server_once_and_a_power_cut_undoes_nothing() {
    let (_folder, disks) = kept_disks();
    let guest = Guest::start(&["--state", disks.to_str().unwrap()]);
    guest.wait_console("vcc: ready", 1);
    guest.wait_console("vcc: set-up code=", 1);
    let console = guest.console();
    let code = console.split("set-up code=").nth(1).unwrap();
    let code = code.split_whitespace().next().unwrap();
    assert!(console.contains(&format!("Set-up code {code}")), "{console}");
    assert_eq!(guest.get("/api/v1/about").json()["role"], "node");
    let administrator = json!({ "name": "root", "password": PASSWORD });
    let setup = |code: &str| json!({ "code": code, "administrator": administrator, "role": "server" });
    assert_eq!(
        post(&guest, "/api/v1/setup", "", &setup("0000-0000-0000")).status,
        401
    );
    let made = post(&guest, "/api/v1/setup", "", &setup(code));
    assert_eq!(made.status, 201, "{made:?}");
    // The service starts again, set up already.
    guest.wait_for("/api/v1/about", |answer| {
        answer.status == 200 && answer.json()["role"] == "server"
    });
    guest.wait_console("the role is server; the service starts again with it", 1);
    assert!(!guest.console().contains("service exited"), "{}", guest.console());
    assert_eq!(post(&guest, "/api/v1/setup", "", &setup(code)).status, 410);
    let login = json!({ "name": "root", "password": PASSWORD });
    let session = post(&guest, "/api/v1/session", "", &login).json();
    let token = session["token"].as_str().unwrap();
    let tenant = post(&guest, "/api/v1/tenants", token, &json!({ "name": "first" }));
    assert_eq!(tenant.status, 201, "{tenant:?}");
    guest.pull_the_plug();

    let guest = Guest::start(&["--state", disks.to_str().unwrap()]);
    guest.wait_console("vcc: ready", 1);
    let console = guest.console();
    assert!(!console.contains("et-up code"), "{console}");
    // Not even before the environment was read was it anything else.
    assert!(
        console.contains("role=server") && !console.contains("role=node"),
        "{console}"
    );
    assert_eq!(guest.get("/api/v1/about").json()["role"], "server");
    let nodes = web::ask(&guest.origin(), "/api/v1/nodes", token, "GET", &[], None).unwrap();
    assert_eq!(nodes.status, 200, "{nodes:?}");
    assert_eq!(post(&guest, "/api/v1/setup", "", &setup(code)).status, 410);
    let again = post(&guest, "/api/v1/tenants", token, &json!({ "name": "first" }));
    assert_eq!(again.status, 409, "what was answered is on the disk: {again:?}");
    assert_eq!(post(&guest, "/api/v1/session", "", &login).status, 201);
}
