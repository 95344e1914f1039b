//! People order transfers and learn what became of them, by the command line and on pages.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says where"
)]

#[path = "connector/connector.rs"]
mod connector;
#[path = "connector/enrolled.rs"]
mod enrolled;
#[path = "connector/people.rs"]
mod people;
#[path = "connector/pretended.rs"]
mod pretended;

use std::sync::Arc;

use appliance::transfer::{Outcome, Refusal};
use axum::body::Body;
use connector::Connector;
use enrolled::Listening;
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use people::{Done, PASSWORD, Person};
use pretended::{Pretended, progress, receipt_for, told};
use serde_json::{Value, json};

struct World {
    server: Listening,
    east: Pretended,
    west: Pretended,
    person: Arc<Person>,
}

impl World {
    async fn new() -> Self {
        let server = Listening::start().await;
        let east = Pretended::enrol(&server.own, &server.root, "east").await;
        let west = Pretended::enrol(&server.own, &server.root, "west").await;
        east.is_reached_at(&server.own, "east.example.com:443").await;
        let person = Arc::new(Person::new());
        person.file("token", &server.root);
        Self {
            server,
            east,
            west,
            person,
        }
    }

    fn command(&self, arguments: &[&str]) -> tokio::task::JoinHandle<Done> {
        let (host, person) = (self.server.address.to_string(), Arc::clone(&self.person));
        let fingerprint = self.server.own.context.identity().fingerprint().to_string();
        let token = person.home.path().join("token").display().to_string();
        let rest = [
            "--server",
            &host,
            "--fingerprint",
            &fingerprint,
            "--token-file",
            &token,
        ];
        let all: Vec<String> = arguments
            .iter()
            .chain(&rest)
            .map(|word| (*word).to_owned())
            .collect();
        tokio::task::spawn_blocking(move || {
            person.try_to(&all.iter().map(String::as_str).collect::<Vec<_>>())
        })
    }

    async fn call(&self, arguments: &[&str]) -> Done {
        self.command(arguments).await.unwrap()
    }

    /// The next order of a kind, once it is there.
    async fn order(&self, node: &Pretended, kind: &str) -> Value {
        for _ in 0..600 {
            let orders = node.orders(&self.server.own).await;
            if let Some(order) = orders.into_iter().find(|order| order["kind"] == kind) {
                return order;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("there is no {kind}");
    }

    async fn offer(&self) {
        let order = self.order(&self.east, "offer").await;
        let found = json!({
            "version": "11111111-2222-4333-8444-555555555555", "label": "1.4.0", "kind": "package",
            "digest": "a".repeat(64), "bytes": 1000, "files": 3,
        });
        let done = progress("DONE", 0, found);
        assert_eq!(self.east.tell(&self.server.own, &order, &done).await.status, 200);
    }

    async fn end(&self, order: &Value, outcome: Outcome) {
        let mut receipt = receipt_for(order, outcome);
        if outcome == Outcome::Rejected {
            let refusal = Refusal::new("source.chunk", "<b>its digest is another</b>");
            receipt.refusal = Some(refusal.of_file("disk.vmdk").at_chunk(4096));
        }
        let mut result = told("VERIFIED");
        result["receipt"] = json!(self.west.sign(&receipt));
        let done = progress("DONE", 1000, result);
        assert_eq!(self.west.tell(&self.server.own, order, &done).await.status, 200);
    }

    async fn page(&self, path: &str, cookie: &str) -> (u16, String) {
        let request = Request::get(path).header("cookie", cookie);
        let (status, text, _) = ask(&self.server.own, request.body(Body::empty()).unwrap()).await;
        (status, text)
    }

    async fn send(&self, path: &str, cookie: &str, form: &str) -> (u16, String, String) {
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .header("cookie", cookie);
        ask(
            &self.server.own,
            request.body(Body::from(form.to_owned())).unwrap(),
        )
        .await
    }
}

async fn ask(own: &Connector, request: Request<Body>) -> (u16, String, String) {
    let api = appliance::api::router(Arc::clone(&own.context));
    let pages = appliance::pages::over(Arc::clone(&own.context), api);
    let answer = TowerToHyperService::new(pages).call(request).await.unwrap();
    let (head, body) = answer.into_parts();
    let field = |name: &str| {
        head.headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let place = field("location").or(field("set-cookie")).unwrap_or_default();
    let cookie = field("set-cookie").unwrap_or(place);
    let bytes = body.collect().await.unwrap().to_bytes();
    (
        head.status.as_u16(),
        String::from_utf8(bytes.to_vec()).unwrap(),
        cookie,
    )
}

#[tokio::test]
async fn a_transfer_that_is_followed_ends_with_what_it_came_to() {
    let world = World::new().await;
    let create = [
        "transfer",
        "create",
        "east:images/web",
        "west",
        "--tenant",
        "acme",
        "--rate",
        "10MiB",
        "--follow",
        "--json",
    ];
    for (outcome, status) in [
        (Some(Outcome::Published), 0),
        (Some(Outcome::Rejected), 1),
        (None, 2),
    ] {
        let following = world.command(&create);
        world.offer().await;
        let order = world.order(&world.west, "receive").await;
        assert_eq!(order["details"]["rate"], 10 << 20);
        for done in [10, 500] {
            let running = progress("RUNNING", done, told("RECEIVING"));
            world.west.tell(&world.server.own, &order, &running).await;
        }
        match outcome {
            Some(outcome) => world.end(&order, outcome).await,
            None => {
                let failed = progress("FAILED", 0, told("RECEIVING"));
                world.west.tell(&world.server.own, &order, &failed).await;
            }
        }
        let done = following.await.unwrap();
        assert_eq!(done.status, status, "{}{}", done.out, done.err);
        let id = done.json()["id"].as_str().unwrap().to_owned();
        let why = world.call(&["transfer", "why", &id]).await;
        let words: &[&str] = match status {
            0 => &["is PUBLISHED", "Nothing is wrong"],
            1 => &[
                "is REJECTED",
                "source.chunk",
                "disk.vmdk",
                "byte 4096",
                "vcc task create east diagnose",
            ],
            _ => &["is FAILED", "FAILED at 0", "vcc transfer retry"],
        };
        for words in words {
            assert!(why.out.contains(words), "{words}: {}", why.out);
        }
    }
    let list = world
        .call(&["transfer", "list", "--node", "west", "--state", "rejected"])
        .await;
    assert!(
        list.out.contains("east:images/web") && list.out.contains("REJECTED"),
        "{}{}",
        list.out,
        list.err
    );
    assert_eq!(list.out.lines().count(), 2, "{}", list.out);
}

#[tokio::test]
async fn what_is_only_asked_and_what_is_wrong_are_told_and_one_can_be_stopped_and_begun_again() {
    let world = World::new().await;
    let asking = world.command(&[
        "transfer",
        "create",
        "east:images/web@1.4.0",
        "west:edge/web",
        "--dry-run",
    ]);
    world.offer().await;
    let asked = asking.await.unwrap();
    assert_eq!(asked.status, 0, "{}", asked.err);
    assert!(
        asked.out.contains("OFFERED") && asked.out.contains("1000 B in 3 files"),
        "{}",
        asked.out
    );
    let wrong = world
        .call(&["transfer", "create", "nowhere:images/web", "west"])
        .await;
    assert_eq!(wrong.status, 1);
    assert!(wrong.err.contains("source"), "{}", wrong.err);
    assert_eq!(
        world
            .call(&["transfer", "create", "images/web", "west"])
            .await
            .status,
        2
    );
    let made = world
        .call(&["transfer", "create", "east:images/web", "west", "--json"])
        .await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let cancelled = world
        .call(&["transfer", "cancel", &id, "--follow", "--json"])
        .await;
    assert_eq!(
        (cancelled.status, &cancelled.json()["state"]),
        (0, &json!("CANCELLED")),
        "{}",
        cancelled.err
    );
    assert_eq!(world.call(&["transfer", "follow", &id]).await.status, 2);
    let again = world.call(&["transfer", "retry", &id, "--json"]).await;
    assert_eq!(again.json()["state"], "REQUESTED");
    let shown = world.call(&["transfer", "show", &id]).await;
    assert!(shown.out.contains("source.place.item"), "{}", shown.out);

    let made = world
        .call(&[
            "subscription",
            "create",
            "east:images",
            "west",
            "--mirror",
            "--every",
            "60",
            "--json",
        ])
        .await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(made.json()["every"], 60);
    assert_eq!(world.call(&["subscription", "sync", &id]).await.status, 0);
    assert!(world.call(&["subscription", "list"]).await.out.contains(&id));
    assert_eq!(
        world.call(&["subscription", "remove", &id]).await.status,
        2,
        "nobody can be asked"
    );
    let removed = world
        .call(&["subscription", "remove", &id, "--content", "remove", "--yes"])
        .await;
    assert_eq!(removed.status, 0, "{}", removed.err);
    world.order(&world.west, "withdraw").await;
}

#[tokio::test]
async fn pages_show_how_transfers_go_and_order_stop_and_retry_them() {
    let world = World::new().await;
    let form = format!("name=root&password={}", PASSWORD.replace(' ', "+"));
    let (_, _, cookie) = world.send("/login", "", &form).await;
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let (status, text) = world.page("/transfers", &cookie).await;
    assert!(status == 200 && text.contains("Nothing was moved yet"), "{text}");
    let (status, text) = world.page("/transfers/new", &cookie).await;
    assert!(
        status == 200 && text.contains("<option value=\"east\">"),
        "{text}"
    );
    let wrong = "source=nowhere&catalog=images&item=web&destination=west";
    let (status, text, _) = world.send("/transfers/new", &cookie, wrong).await;
    assert!(
        status == 422 && text.contains("source is no node") && text.contains("value=\"nowhere\""),
        "{text}"
    );
    let wrong = "source=east&catalog=images&item=web&destination=west&rate=fast";
    assert_eq!(world.send("/transfers/new", &cookie, wrong).await.0, 422);
    let good =
        "source=east&catalog=images&item=web&destination=west&to_catalog=edge&rate=10MiB&version=&window=";
    let (status, text, place) = world.send("/transfers/new", &cookie, good).await;
    assert_eq!(status, 303, "{text}");
    let (status, text) = world.page(&place, &cookie).await;
    assert!(
        status == 200 && text.contains("Stop it") && text.contains("data-live"),
        "{text}"
    );
    world.offer().await;
    let order = world.order(&world.west, "receive").await;
    let running = progress("RUNNING", 500, told("RECEIVING"));
    world.west.tell(&world.server.own, &order, &running).await;
    let (_, text) = world.page(&place, &cookie).await;
    assert!(text.contains("<progress value=\"500\" max=\"1000\">"), "{text}");
    let (_, text) = world.page("/transfers", &cookie).await;
    assert!(
        text.contains("images/web") && text.contains("500 B of 1000 B"),
        "{text}"
    );
    assert_eq!(world.send(&format!("{place}/cancel"), &cookie, "").await.0, 303);
    let (_, text) = world.page(&place, &cookie).await;
    assert!(text.contains("It is being stopped"), "{text}");
    world.end(&order, Outcome::Rejected).await;
    let (_, text) = world.page(&place, &cookie).await;
    for words in [
        "REJECTED",
        "source.chunk",
        "disk.vmdk",
        "byte 4096",
        "&lt;b&gt;",
        "Receipt",
        "CN=publisher",
        "Try again",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("data-live"), "nothing more is to come");
    assert_eq!(world.send(&format!("{place}/retry"), &cookie, "").await.0, 303);
    let (_, text) = world.page(&place, &cookie).await;
    assert!(text.contains("REQUESTED") && text.contains("Stop it"), "{text}");
    assert_eq!(world.page("/transfers/none", &cookie).await.0, 404);
}
