//! Nodes of one server reach each other on every way, and strangers on none.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says where"
)]

#[path = "connector/connector.rs"]
mod connector;
#[path = "connector/enrolled.rs"]
mod enrolled;
#[path = "connector/reachable.rs"]
mod reachable;
#[path = "connector/shown.rs"]
mod shown;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use appliance::client::Client;
use appliance::clock::Clock;
use appliance::error::Kind;
use appliance::peer::{Dialer, GRANT};
use appliance::role::Role;
use appliance::service::Context;
use appliance::task::{Kind as Work, Task};
use appliance::transfer::{Outreach, Route, Signed};
use enrolled::Listening;
use hyper::Method;
use reachable::{Reachable, grant, grant_until, transfer_of};
use serde_json::{Value, json};
use shown::{Shown, ask, post};
use uuid::Uuid;

const VERSION: &str = "/api/v1/peer/version";

fn direct(to: &Reachable) -> Route {
    Route::Direct {
        endpoint: to.endpoint(),
    }
}

/// What the source says about a version that it doesn't have, by a grant for it: its code.
async fn version(client: &mut Client, dialer: &Dialer) -> Result<String, Kind> {
    let fields = [(GRANT, dialer.grant_field())];
    let patience = Duration::from_secs(30);
    let answer = client.ask_with(Method::GET, VERSION, None, &fields, None::<&()>, patience);
    let answer = answer.await.map_err(|error| error.kind())?;
    Ok(answer.code())
}

async fn on_the_way(to: &Reachable, source: Uuid, route: Route, grant: &Signed) -> Result<String, Kind> {
    let dialer = Dialer::new(to.context(), source, route, grant).map_err(|error| error.kind())?;
    let mut client = dialer.client().await.map_err(|error| error.kind())?;
    version(&mut client, &dialer).await
}

fn reached() -> Result<String, Kind> {
    Ok("not-found".to_owned())
}

/// Has a source reach out, as its server orders it; gives the task's id.
async fn reach(
    server: &Listening,
    source: &Reachable,
    grant: &Signed,
    route: &Outreach,
    streams: usize,
) -> String {
    let ground = server.own.context.ground().unwrap();
    let mut db = ground.database.begin().await.unwrap();
    let details = json!({ "grant": grant, "route": route, "streams": streams });
    let node = source.id.to_string();
    let task = Task::order(
        &mut db,
        &node,
        Work::Reach,
        Some(&details),
        "test",
        ground.clock.now(),
    );
    let task = task.await.unwrap();
    db.commit().await.unwrap();
    ground.nudges.wake(&node);
    task.id
}

async fn task(server: &Listening, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let told = server
            .own
            .get(&server.root, &format!("/api/v1/tasks/{id}"))
            .await
            .body;
        if wanted(&told) {
            return told;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{told}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_node_reaches_another_of_its_server_and_no_other_than_it_means() {
    let folder = tempfile::tempdir().unwrap();
    let server = Listening::start().await;
    let source = Reachable::new(&server, &folder.path().join("source")).await;
    let destination = Reachable::new(&server, &folder.path().join("destination")).await;
    let good = grant(&server, source.id, destination.id, None);
    assert_eq!(
        on_the_way(&destination, source.id, direct(&source), &good).await,
        reached()
    );

    let other = Uuid::new_v4();
    let for_other = grant(&server, other, destination.id, None);
    let met = on_the_way(&destination, other, direct(&source), &for_other).await;
    assert_eq!(met, Err(Kind::Stranger), "another node was meant");
    for wrong in [
        grant(&server, other, destination.id, None),
        grant(&server, source.id, other, None),
        grant(&server, destination.id, source.id, None),
        grant_until(&server, source.id, destination.id, None, Clock::System.now()),
    ] {
        let refused = Dialer::new(destination.context(), source.id, direct(&source), &wrong);
        assert_eq!(refused.unwrap_err().kind(), Kind::Refused);
        // Nor does the source believe it.
        let own = Shown::of(&destination).await;
        let answer = ask(&source, Some(&own), VERSION, &wrong).await.unwrap();
        assert_eq!((answer.status, answer.code()), (403, "grant-refused".to_owned()));
    }
    let own = Shown::of(&destination).await;
    assert_eq!(
        ask(&source, Some(&own), VERSION, &good).await.unwrap().status,
        404
    );
}

#[tokio::test]
async fn who_is_no_node_of_the_same_server_gets_no_connection() {
    let folder = tempfile::tempdir().unwrap();
    let (server, foreign) = (Listening::start().await, Listening::start().await);
    let source = Reachable::new(&server, &folder.path().join("source")).await;
    let destination = Reachable::new(&server, &folder.path().join("destination")).await;
    let stranger = Reachable::new(&foreign, &folder.path().join("stranger")).await;
    let good = grant(&server, source.id, destination.id, None);
    let own = Shown::of(&destination).await;
    let abroad = Shown::of(&stranger).await;
    let leaf_alone = Shown {
        chain: own.chain[..1].to_vec(),
        key: own.key.clone_key(),
    };
    let forged = Shown {
        chain: vec![abroad.chain[0].clone(), own.chain[1].clone()],
        key: abroad.key.clone_key(),
    };
    for (name, shown) in [
        ("nothing", None),
        ("the certificate of another server's node", Some(&abroad)),
        ("the same, as if it were of this one", Some(&forged)),
        (
            "its own certificate, which nobody signed",
            Some(&Shown::identity(&destination)),
        ),
        ("a certificate without the authority's", Some(&leaf_alone)),
    ] {
        let met = ask(&source, shown, VERSION, &good).await;
        assert!(met.is_err(), "{name}");
    }
    assert_eq!(
        ask(&source, Some(&own), VERSION, &good).await.unwrap().status,
        404
    );
    // The node finds no source among strangers either.
    let met = on_the_way(&destination, source.id, direct(&stranger), &good).await;
    assert_eq!(met, Err(Kind::Stranger));
}

#[tokio::test]
async fn openssl_is_asked_for_a_certificate_by_the_node_s_name_and_by_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let server = Listening::start().await;
    let source = Reachable::new(&server, &folder.path().join("source")).await;
    let own = Shown::of(&source).await;
    let file = |name| folder.path().join(name);
    let (certificate, authority, key) = (file("own.pem"), file("authority.pem"), file("key.pem"));
    let [leaf, issuer] = own.chain_pem();
    std::fs::write(&certificate, leaf).unwrap();
    std::fs::write(&authority, issuer).unwrap();
    std::fs::write(&key, own.key_pem()).unwrap();
    let address = source.address.to_string();
    let shake = |name: String, with: bool| {
        let mut command = Command::new("openssl");
        command.args([
            "s_client",
            "-connect",
            &address,
            "-servername",
            &name,
            "-tls1_3",
            "-ign_eof",
        ]);
        if with {
            command
                .arg("-cert")
                .arg(&certificate)
                .arg("-cert_chain")
                .arg(&authority);
            command.arg("-key").arg(&key);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        async move {
            tokio::task::spawn_blocking(move || {
                use std::io::Write as _;
                let mut child = command.spawn().ok()?;
                let question = format!("GET {VERSION} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
                let _ = child.stdin.take()?.write_all(question.as_bytes());
                let done = child.wait_with_output().ok()?;
                Some([done.stdout, done.stderr].concat())
            })
            .await
            .unwrap()
            .map(|told| String::from_utf8_lossy(&told).into_owned())
        }
    };
    let name = format!("{}.node.vcc.internal", source.id);
    let Some(bare) = shake(name.clone(), false).await else {
        eprintln!("skipped: openssl is not installed");
        return;
    };
    assert!(bare.contains("Requested Signature Algorithms"), "{bare}");
    assert!(
        bare.contains("certificate required") && !bare.contains("HTTP/1.1"),
        "{bare}"
    );
    let taken = shake(name, true).await.unwrap();
    assert!(taken.contains("TLSv1.3"), "{taken}");
    assert!(
        taken.contains("HTTP/1.1 422"),
        "it comes without a grant: {taken}"
    );
    for name in [
        "localhost".to_owned(),
        format!("{}.node.vcc.internal", Uuid::new_v4()),
    ] {
        let people = shake(name, false).await.unwrap();
        assert!(!people.contains("Requested Signature Algorithms"), "{people}");
        assert!(people.contains("HTTP/1.1 401"), "{people}");
    }
}

#[tokio::test]
async fn a_node_s_certificate_gives_no_right_but_to_what_nodes_ask_of_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let server = Listening::start().await;
    let source = Reachable::new(&server, &folder.path().join("source")).await;
    let destination = Reachable::new(&server, &folder.path().join("destination")).await;
    let own = Shown::of(&destination).await;
    let good = grant(&server, source.id, destination.id, None);
    let document = source
        .node
        .own
        .get(&source.node.root, "/api/v1/openapi.json")
        .await
        .body;
    let described = document["paths"].as_object().unwrap().keys().cloned();
    let others = [
        "/",
        "/login",
        "/style.css",
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/v1/about",
    ]
    .map(str::to_owned);
    let mut looked = 0;
    for path in described
        .chain(others)
        .filter(|path| !path.starts_with("/api/v1/peer/"))
    {
        let path = path.replace(['{', '}'], "");
        let answer = ask(&source, Some(&own), &path, &good).await.unwrap();
        assert_eq!(answer.status, 404, "{path}");
        looked += 1;
    }
    assert!(looked > 30, "{looked}");
    // An administrator's session is none over such a connection.
    let login = json!({ "name": "root", "password": connector::PASSWORD });
    let answer = post(&source, &own, "/api/v1/session", &login);
    assert_eq!(answer.await.unwrap().status, 404);
    for path in [
        VERSION,
        "/api/v1/peer/streams",
        "/api/v1/peer/relays/x",
        "/api/v1/peer/files/x",
    ] {
        let method = if path == VERSION || path.contains("files") {
            "GET"
        } else {
            "POST"
        };
        let answer = source
            .node
            .own
            .ask(&source.node.root, method, path, ("", ""), None)
            .await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (401, &json!("no-peer")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_source_that_nobody_reaches_reaches_out_and_is_asked_over_as_many_connections_as_are_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let server = Listening::start().await;
    let source = Reachable::new(&server, &folder.path().join("source")).await;
    let destination = Reachable::new(&server, &folder.path().join("destination")).await;
    let good = grant(&server, source.id, destination.id, None);
    let route = Outreach::Reversed {
        endpoint: destination.endpoint(),
    };
    let reaching = reach(&server, &source, &good, &route, 3).await;
    task(&server, &reaching, |task| {
        task["message"]
            .as_str()
            .is_some_and(|told| told.contains("not-expected"))
    })
    .await;

    let dialer = Dialer::new(destination.context(), source.id, Route::Reversed {}, &good).unwrap();
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(dialer.client().await.unwrap());
    }
    for client in &mut clients {
        assert_eq!(version(client, &dialer).await, reached());
        assert_eq!(
            version(client, &dialer).await,
            reached(),
            "over the same connection"
        );
        let elsewhere = client
            .ask(Method::GET, "/api/v1/about", None, None::<&()>)
            .await
            .unwrap();
        assert_eq!(elsewhere.status, 404);
    }
    // One that was given up is followed by another.
    drop(clients);
    let mut again = dialer.client().await.unwrap();
    assert_eq!(version(&mut again, &dialer).await, reached());

    // Streams are for the transfer of the grant, and brought by its source.
    let own = Shown::of(&source).await;
    let other = grant(&server, source.id, destination.id, None);
    let answer = post(&destination, &own, "/api/v1/peer/streams", &json!({}))
        .await
        .unwrap();
    assert_eq!(answer.status, 422, "there is no grant");
    for (brought, status) in [
        (&other, 409),
        (&grant(&server, destination.id, source.id, None), 403),
        (&good, 426),
    ] {
        let answer = shown::bring(&destination, &own, "/api/v1/peer/streams", brought, false).await;
        assert_eq!(answer.unwrap().status, status);
    }

    let path = format!("/api/v1/tasks/{reaching}/cancel");
    assert_eq!(server.own.post(&server.root, &path, &json!({})).await.status, 202);
    task(&server, &reaching, |task| task["state"] == "CANCELLED").await;
}

#[tokio::test]
async fn an_order_to_reach_out_with_a_grant_that_is_not_good_fails() {
    let folder = tempfile::tempdir().unwrap();
    let server = Listening::start().await;
    let source = Reachable::new(&server, &folder.path().join("source")).await;
    let other = grant(&server, Uuid::new_v4(), Uuid::new_v4(), None);
    let route = Outreach::Reversed {
        endpoint: source.endpoint(),
    };
    let reaching = reach(&server, &source, &other, &route, 1).await;
    let failed = task(&server, &reaching, |task| task["state"] == "FAILED").await;
    let message = failed["message"].as_str().unwrap();
    assert!(message.contains("grant.other-node"), "{failed}");
}

#[tokio::test]
async fn a_relay_passes_on_what_the_two_of_a_grant_say_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let server = Listening::start().await;
    let source = Reachable::new(&server, &folder.path().join("source")).await;
    let destination = Reachable::new(&server, &folder.path().join("destination")).await;
    let relay = Reachable::new(&server, &folder.path().join("relay")).await;
    let good = grant(&server, source.id, destination.id, Some(relay.id));
    let route = Route::Relay {
        node: relay.id,
        endpoint: relay.endpoint(),
    };
    let outreach = Outreach::Relay {
        node: relay.id,
        endpoint: relay.endpoint(),
    };
    let reaching = reach(&server, &source, &good, &outreach, 2).await;
    let dialer = Dialer::new(destination.context(), source.id, route.clone(), &good).unwrap();
    let (mut one, mut other) = (dialer.client().await.unwrap(), dialer.client().await.unwrap());
    assert_eq!(version(&mut one, &dialer).await, reached());
    assert_eq!(version(&mut other, &dialer).await, reached());
    let relays = &relay.context().ground().unwrap().relays.clone();
    assert!(relays.bytes() > 1000 && relays.open() >= 4, "{relays:?}");
    let metrics = relay.node.own.get("", "/metrics").await;
    let metrics = String::from_utf8(metrics.bytes).unwrap();
    assert!(metrics.contains("vcc_relay_bytes_total "), "{metrics}");

    let stranger = Reachable::new(&server, &folder.path().join("stranger")).await;
    let (by_source, by_stranger) = (Shown::of(&source).await, Shown::of(&stranger).await);
    let path = format!("/api/v1/peer/relays/{}", transfer_of(&good));
    let elsewhere = format!("/api/v1/peer/relays/{}", Uuid::new_v4());
    let unnamed = grant(&server, source.id, destination.id, None);
    for (name, own, path, brought, status) in [
        ("who is not named", &by_stranger, &path, &good, 403),
        ("another transfer", &by_source, &elsewhere, &good, 403),
        ("a grant without a relay", &by_source, &path, &unnamed, 403),
        ("no stream", &by_source, &path, &good, 426),
    ] {
        let answer = shown::bring(&relay, own, path, brought, false).await.unwrap();
        assert_eq!(answer.status, status, "{name}");
    }
    let answer = shown::bring(&relay, &by_source, &path, &good, true)
        .await
        .unwrap();
    assert_eq!(answer.status, 101);

    // A relay that is another than the one that is named gets nothing to pass on.
    let other_way = Route::Relay {
        node: stranger.id,
        endpoint: relay.endpoint(),
    };
    let met = on_the_way(&destination, source.id, other_way, &good).await;
    assert_eq!(met, Err(Kind::Stranger));
    let path = format!("/api/v1/tasks/{reaching}/cancel");
    assert_eq!(server.own.post(&server.root, &path, &json!({})).await.status, 202);
    drop((one, other, dialer));
    for node in [source, destination, relay, stranger] {
        node.end().await;
    }
}

#[tokio::test]
async fn nodes_reach_each_other_while_the_key_of_their_server_s_authority_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let server = Listening::start().await;
    let source = Reachable::new(&server, &folder.path().join("source")).await;
    let destination = Reachable::new(&server, &folder.path().join("destination")).await;
    let early = grant(&server, source.id, destination.id, None);
    let dialer = Dialer::new(destination.context(), source.id, direct(&source), &early).unwrap();
    let mut client = dialer.client().await.unwrap();
    let first = source.credentials().await;
    let answer = server
        .own
        .post(&server.root, "/api/v1/authority/rotate", &json!({}))
        .await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let (start, mut talks) = (Instant::now(), 0);
    loop {
        let standing = server.own.get(&server.root, "/api/v1/authority").await.body;
        let is_over = standing.get("next").is_none() && standing.get("former").is_none();
        let now = grant(&server, source.id, destination.id, None);
        let met = on_the_way(&destination, source.id, direct(&source), &now).await;
        // A node that has renewed first is believed by the other with its next heartbeat.
        if met == reached() {
            talks += 1;
        }
        if is_over && met == reached() {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(90), "{standing} {met:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(talks > 2, "{talks}");
    let now = source.credentials().await;
    assert_ne!(now.certificate(), first.certificate(), "it has renewed");
    // The certificate of the former key goes with the next number that is agreed on, and what it granted with it.
    let (id, address) = (source.id, source.address);
    source.end().await;
    let _source = Reachable::again(&folder.path().join("source"), id, address).await;
    let start = Instant::now();
    while version(&mut client, &dialer).await != Ok("grant-refused".to_owned()) {
        assert!(start.elapsed() < Duration::from_secs(90));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn nodes_reach_each_other_after_a_restart_though_their_server_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let server = Listening::start().await;
    let (near, far) = (folder.path().join("source"), folder.path().join("destination"));
    let source = Reachable::new(&server, &near).await;
    let destination = Reachable::new(&server, &far).await;
    let good = grant(&server, source.id, destination.id, None);
    server.end().await;
    let (id, other_id) = (source.id, destination.id);
    let (address, other_address) = (source.address, destination.address);
    source.end().await;
    destination.end().await;
    let source = Reachable::again(&near, id, address).await;
    let destination = Reachable::again(&far, other_id, other_address).await;
    assert_eq!(
        on_the_way(&destination, id, direct(&source), &good).await,
        reached()
    );
}

#[tokio::test]
async fn what_an_earlier_version_kept_is_read_and_the_authority_s_certificates_come_with_a_heartbeat() {
    let folder = tempfile::tempdir().unwrap();
    let server = Listening::start().await;
    let state = folder.path().join("source");
    let source = Reachable::new(&server, &state).await;
    let (id, address) = (source.id, source.address);
    let before = source.credentials().await;
    let mut kept = shown::kept(&source).await;
    assert!(kept.as_object_mut().unwrap().remove("certificates").is_some());
    shown::keep(&source, &kept).await;
    source.end().await;
    let source = Reachable::again(&state, id, address).await;
    assert_eq!(source.credentials().await.certificate(), before.certificate());
    assert!(shown::kept(&source).await["certificates"].is_array());
}

#[tokio::test]
async fn a_node_that_starts_again_is_known_by_its_enrolment_before_it_listens() {
    let server = Listening::start().await;
    let state = tempfile::tempdir().unwrap();
    let node = Reachable::new(&server, state.path()).await;
    node.credentials().await;
    node.end().await;
    let again = Context::open(Role::Node, state.path(), None).unwrap();
    let again = again.with_ground().await;
    assert!(again.ground().unwrap().peering.credentials().is_some());
}

#[tokio::test]
async fn a_node_that_has_left_its_server_is_known_by_no_other_and_knows_none() {
    let folder = tempfile::tempdir().unwrap();
    let server = Listening::start().await;
    let source = Reachable::new(&server, &folder.path().join("source")).await;
    let destination = Reachable::new(&server, &folder.path().join("destination")).await;
    let good = grant(&server, source.id, destination.id, None);
    let dialer = Dialer::new(destination.context(), source.id, direct(&source), &good).unwrap();
    let mut client = dialer.client().await.unwrap();
    assert_eq!(version(&mut client, &dialer).await, reached());
    let root = &source.node.root;
    let left = source
        .node
        .own
        .ask(root, "DELETE", "/api/v1/enrolment", ("", ""), None)
        .await;
    assert_eq!(left.status, 204);
    // Also over the connection that was there.
    assert_eq!(version(&mut client, &dialer).await, Ok("no-peer".to_owned()));
    let met = on_the_way(&destination, source.id, direct(&source), &good).await;
    assert_eq!(met, Err(Kind::Stranger));
    let back = grant(&server, destination.id, source.id, None);
    let refused = Dialer::new(source.context(), destination.id, direct(&destination), &back);
    assert_eq!(refused.unwrap_err().kind(), Kind::Unreachable);
}

#[tokio::test]
async fn a_server_knows_where_its_nodes_are_reached() {
    let folder = tempfile::tempdir().unwrap();
    let server = Listening::start().await;
    let source = Reachable::new(&server, &folder.path().join("source")).await;
    let id = source.id.to_string();
    let seen = format!("127.0.0.1:{}", source.address.port());
    server.own.advance(Duration::from_secs(1));
    server.wait_for(&id, |node| node["endpoint"] == seen).await;
    let own = source
        .node
        .own
        .get(&source.node.root, "/api/v1/configuration")
        .await;
    let (root, tag) = (&source.node.root, own.fields["etag"].to_str().unwrap());
    let settings = json!({ "peer_endpoint": "node.example:8443" });
    let changed = source
        .node
        .own
        .matching(root, "PUT", "/api/v1/configuration", tag, Some(&settings));
    assert_eq!(changed.await.status, 200);
    server
        .wait_for(&id, |node| node["endpoint"] == "node.example:8443")
        .await;
    let told = server.wait_for(&id, |node| node["revision"] == 2).await;
    assert_eq!(told["revision"], 2, "nobody has changed it");
}
