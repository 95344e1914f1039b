//! The role that is chosen with the set-up, where nobody else names it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "connector/connector.rs"]
mod connector;
#[path = "connector/people.rs"]
mod people;

use std::path::PathBuf;
use std::sync::Arc;

use appliance::clock::{Clock, Moment};
use appliance::machine::Machine;
use appliance::role::{Role, kept};
use axum::body::Body;
use connector::{Connector, PASSWORD};
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use people::{Person, Service};
use serde_json::{Value, json};

const SETUP: &str = "/api/v1/setup";

/// An appliance's state disk, and what its PID 1 reports.
struct Appliance(tempfile::TempDir);

impl Appliance {
    fn new(role_is_open: bool) -> Self {
        let own = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(own.state()).unwrap();
        let mut machine = Machine {
            role_is_open,
            ..Machine::default()
        };
        machine.state.mounted = true;
        machine.write(&own.report()).unwrap();
        own
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn report(&self) -> PathBuf {
        self.0.path().join("machine.json")
    }

    fn chosen(&self) -> Option<Role> {
        kept::read(&self.state()).unwrap()
    }

    /// Its service, as PID 1 starts it.
    async fn start(&self, role: Role) -> Connector {
        let clock = Clock::standing(Moment(1_764_000_000_000));
        Connector::on_machine(role, &self.state(), Some(self.report()), clock).await
    }
}

fn wish(own: &Connector, more: &Value) -> Value {
    let code = own.context.setup_code().unwrap();
    let mut wish = json!({ "code": code, "administrator": { "name": "root", "password": PASSWORD } });
    for (key, value) in more.as_object().unwrap() {
        wish[key] = value.clone();
    }
    wish
}

#[tokio::test]
async fn a_role_that_is_chosen_is_kept_and_told_and_the_connector_is_set_up_when_it_starts_with_it() {
    let appliance = Appliance::new(true);
    let own = appliance.start(Role::Node).await;
    let server = wish(&own, &json!({ "role": "server" }));
    assert_eq!(own.post("", SETUP, &server).await.status, 201);
    assert_eq!(appliance.chosen(), Some(Role::Server));
    let beat = own.context.beat();
    assert_eq!((beat.role_changes, beat.network_changes), (1, 0));
    own.context.ground().unwrap().database.close().await;
    drop(own);

    let own = appliance.start(Role::Server).await;
    assert_eq!(own.post("", SETUP, &server).await.status, 410);
    let root = own.log_in("root").await;
    assert_eq!(own.get(&root, "/api/v1/nodes").await.status, 200);
}

#[tokio::test]
async fn what_a_property_or_the_command_names_is_not_chosen() {
    let appliance = Appliance::new(false);
    let (named, outside) = (appliance.start(Role::Node).await, Connector::new().await);
    for (own, other, same) in [(&named, "server", "node"), (&outside, "node", "server")] {
        let refused = own.post("", SETUP, &wish(own, &json!({ "role": other }))).await;
        assert_eq!(refused.status, 422, "{}", refused.body);
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("the role is {same}")), "{detail}");
        assert!(own.context.setup_code().is_some());
        let unknown = own.post("", SETUP, &wish(own, &json!({ "role": "king" }))).await;
        assert_eq!(unknown.status, 422, "{}", unknown.body);
        let answer = own.post("", SETUP, &wish(own, &json!({ "role": same }))).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(own.context.beat().role_changes, 0);
    }
    assert_eq!(appliance.chosen(), None);
}

#[tokio::test]
async fn enrolment_belongs_to_the_role_that_is_chosen() {
    let appliance = Appliance::new(true);
    let own = appliance.start(Role::Node).await;
    let enrolment = json!({ "server": "server.example", "code": "vcc1-x", "cloud": "north" });
    let answer = own
        .post(
            "",
            SETUP,
            &wish(&own, &json!({ "role": "server", "enrolment": enrolment })),
        )
        .await;
    assert_eq!(answer.status, 422);
    assert!(
        answer.body["detail"].as_str().unwrap().contains("is for a node"),
        "{}",
        answer.body
    );
    own.context.ground().unwrap().database.close().await;
    drop(own);
    // A start that was cut off may have left it a server that is not set up.
    let own = appliance.start(Role::Server).await;
    let answer = own
        .post(
            "",
            SETUP,
            &wish(&own, &json!({ "role": "node", "enrolment": enrolment })),
        )
        .await;
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("code is no enrolment code"), "{detail}");
    assert_eq!(appliance.chosen(), None, "nothing was set up");
}

#[tokio::test]
async fn where_something_else_cannot_be_kept_the_role_is_taken_back_and_nothing_is_set_up() {
    let appliance = Appliance::new(true);
    let own = appliance.start(Role::Node).await;
    kept::write(&appliance.state(), Role::Sp).unwrap();
    // A file can't take a directory's place.
    std::fs::create_dir_all(appliance.state().join("network.json/full")).unwrap();
    let both = wish(&own, &json!({ "role": "server", "network": { "dhcp": true } }));
    assert!(own.post("", SETUP, &both).await.status >= 500);
    assert_eq!(appliance.chosen(), Some(Role::Sp));
    assert!(own.context.setup_code().is_some());
    assert_eq!(own.context.beat().role_changes, 0);
}

#[tokio::test]
async fn of_two_who_set_it_up_at_once_the_faster_ones_role_stays() {
    for _ in 0..4 {
        let appliance = Appliance::new(true);
        let own = appliance.start(Role::Node).await;
        let (server, sp) = (
            wish(&own, &json!({ "role": "server" })),
            wish(&own, &json!({ "role": "sp" })),
        );
        let (first, second) = tokio::join!(own.post("", SETUP, &server), own.post("", SETUP, &sp));
        let winner = match (first.status, second.status) {
            (201, 410) => Role::Server,
            (410, 201) => Role::Sp,
            other => panic!("{other:?}"),
        };
        assert_eq!(appliance.chosen(), Some(winner));
    }
}

/// The page, with a form sent to it if there is one.
async fn page(own: &Connector, form: Option<&str>) -> (u16, String) {
    let api = appliance::api::router(Arc::clone(&own.context));
    let pages = appliance::pages::over(Arc::clone(&own.context), api);
    let request = Request::builder()
        .method(if form.is_some() { "POST" } else { "GET" })
        .uri("/setup")
        .header("host", "node.example")
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form.unwrap_or_default().to_owned()))
        .unwrap();
    let answer = TowerToHyperService::new(pages).call(request).await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn the_wizard_lets_people_choose_where_there_is_a_choice() {
    let named = Appliance::new(false);
    let (_, text) = page(&named.start(Role::Server).await, None).await;
    assert!(
        !text.contains("name=\"role\"") && !text.contains("name=\"enrolment\""),
        "{text}"
    );

    let open = Appliance::new(true);
    // Also on a server that is not set up: it may become a node.
    let (_, text) = page(&open.start(Role::Server).await, None).await;
    assert!(
        text.contains("<option value=\"server\" selected>") && text.contains("name=\"enrolment\""),
        "{text}"
    );

    let open = Appliance::new(true);
    let own = open.start(Role::Node).await;
    let code = own.context.setup_code().unwrap();
    let form = |more: &str| {
        format!(
            "code={code}&name=root&password=correct+horse&again=correct+horse&role=server&server=s&cloud=north{more}"
        )
    };
    let (status, text) = page(&own, Some(&form("&enrolment=vcc1-x"))).await;
    assert!(status == 422 && text.contains("enrolled nowhere"), "{text}");
    assert!(
        text.contains("<option value=\"server\" selected>"),
        "the choice stays: {text}"
    );
    let (status, text) = page(&own, Some(&form("&enrolment="))).await;
    assert!(
        status == 200 && text.contains("starts again as"),
        "{status} {text}"
    );
    assert_eq!(open.chosen(), Some(Role::Server));
}

#[test]
fn the_command_line_asks_for_a_role_and_tells_why_it_is_not_to_be_had() {
    let (service, person) = (Service::start("sp"), Person::new());
    let (code, password) = (person.file("code", &service.code), person.file("pw", PASSWORD));
    let set_up = |role: &str| {
        person.call(
            &[
                "setup",
                &service.address,
                "--fingerprint",
                &service.fingerprint,
                "--role",
                role,
            ],
            &[("--code-file", &code), ("--password-file", &password)],
        )
    };
    let refused = set_up("server");
    assert!(
        refused.status == 1 && refused.err.contains("the role is sp"),
        "{}",
        refused.err
    );
    assert_eq!(set_up("king").status, 2);
    let done = set_up("sp");
    assert_eq!(done.status, 0, "{}", done.err);
}
