//! The appliance gets its first administrator by the code on its console, and keeps it through a power cut.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use e2e::guest::{Guest, kept_disks};
use e2e::web::{self, Answer};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

fn post(guest: &Guest, path: &str, token: &str, body: &Value) -> Answer {
    web::post(&guest.origin(), path, token, body).unwrap()
}

#[test]
fn whoever_reads_the_console_sets_the_appliance_up_once_and_a_power_cut_undoes_nothing() {
    let (_folder, disks) = kept_disks();
    let guest = Guest::start(&["--state", disks.to_str().unwrap()]);
    guest.wait_console("vcc: ready", 1);
    guest.wait_console("vcc: set-up code=", 1);
    let console = guest.console();
    let code = console.split("set-up code=").nth(1).unwrap();
    let code = code.split_whitespace().next().unwrap();
    assert!(console.contains(&format!("Set-up code {code}")), "{console}");
    let setup =
        |code: &str| json!({ "code": code, "administrator": { "name": "root", "password": PASSWORD } });
    assert_eq!(
        post(&guest, "/api/v1/setup", "", &setup("0000-0000-0000")).status,
        401
    );
    let made = post(&guest, "/api/v1/setup", "", &setup(code));
    assert_eq!(made.status, 201, "{made:?}");
    let login = json!({ "name": "root", "password": PASSWORD });
    let session = post(&guest, "/api/v1/session", "", &login).json();
    let token = session["token"].as_str().unwrap();
    let tenant = post(&guest, "/api/v1/tenants", token, &json!({ "name": "first" }));
    assert_eq!(tenant.status, 201, "{tenant:?}");
    guest.pull_the_plug();

    let guest = Guest::start(&["--state", disks.to_str().unwrap()]);
    guest.wait_console("vcc: ready", 1);
    assert!(!guest.console().contains("et-up code"), "{}", guest.console());
    assert_eq!(post(&guest, "/api/v1/setup", "", &setup(code)).status, 410);
    let again = post(&guest, "/api/v1/tenants", token, &json!({ "name": "first" }));
    assert_eq!(again.status, 409, "what was answered is on the disk: {again:?}");
    assert_eq!(post(&guest, "/api/v1/session", "", &login).status, 201);
}
