//! A server with many nodes: its memory, its share of a core, how long lists take; and what a node takes that only waits.
//!
//! `make bench-nodes`; `NODES` and `SECONDS` in the environment say how many and for how long. The nodes are simulated in this
//! process, each with its own key, certificate and connection, as far as the server can tell.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on says where, and prints"
)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use appliance::access::{Name, Secret};
use appliance::authority::{EnrolmentCode, KeyDigest};
use appliance::client::Client;
use appliance::configuration::Report;
use appliance::node::{Application, Beat, Heartbeat, Standing};
use appliance::resolver::Resolver;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use e2e::connector::Connector;
use e2e::{measure, web};
use hyper::Method;
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use serde_json::{Value, json};

/// A connector under measurement.
struct Measured(Connector);

impl Measured {
    /// MiB of `VmRSS` or `VmHWM`.
    fn memory(&self, name: &str) -> f64 {
        let path = format!("/proc/{}/status", self.0.process.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes / 1024.0
    }

    /// Seconds of a core, so far.
    fn processor(&self) -> f64 {
        let path = format!("/proc/{}/stat", self.0.process.id());
        let text = std::fs::read_to_string(path).unwrap();
        let fields: Vec<_> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        let second = rustix::param::clock_ticks_per_second();
        #[expect(clippy::cast_precision_loss, reason = "it is a hundred")]
        let second = second as f64;
        ticks / second
    }
}

/// Enrols a simulated node; gives its connection.
async fn enrol(number: usize, server: SocketAddr, administrator: &mut Client, token: &Secret) -> Client {
    let made = administrator
        .ask(
            Method::POST,
            "/api/v1/enrolment-codes",
            Some(token),
            Some(&json!({ "minutes": 60 })),
        )
        .await
        .unwrap();
    let made: Value = made.json().unwrap();
    let code = EnrolmentCode::parse(made["code"].as_str().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::new(Vec::new())
        .unwrap()
        .serialize_request(&key)
        .unwrap();
    let poll = Secret::new().unwrap();
    let name = |text: String| Name::try_from(text).unwrap();
    let application = Application {
        code: BASE64_STANDARD.encode(code.secret),
        poll: poll.digest(),
        name: name(format!("node-{number}")),
        cloud: name(format!("cloud-{}", number % 20)),
        request: BASE64_STANDARD.encode(request.der()),
        version: "0".to_owned(),
    };
    let asked = administrator
        .ask(Method::POST, "/api/v1/enrolments", None, Some(&application))
        .await
        .unwrap();
    let asked: Value = asked.json().unwrap();
    let id = asked["node"].as_str().unwrap();
    let approval = json!({ "fingerprint": KeyDigest::of_key(&key).to_string() });
    let path = format!("/api/v1/nodes/{id}/approve");
    let approved = administrator
        .ask(Method::POST, &path, Some(token), Some(&approval))
        .await
        .unwrap();
    assert_eq!(approved.status, 200);
    let standing = administrator
        .ask(
            Method::GET,
            &format!("/api/v1/enrolments/{id}"),
            Some(&poll),
            None::<&()>,
        )
        .await
        .unwrap();
    let certificate = standing.json::<Standing>().unwrap().certificate.unwrap();
    let certificate = BASE64_STANDARD.decode(certificate).unwrap().into();
    let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    Client::new(
        server.into(),
        Resolver::default(),
        vec![code.authority],
        Some((certificate, private)),
    )
    .unwrap()
}

/// Beats as a node does, for ever.
async fn live(mut client: Client) {
    let mut sign = Heartbeat {
        counter: 0,
        advance: true,
        nonce: String::new(),
        version: "0".to_owned(),
        configuration: Report::default(),
        authorities: Vec::new(),
        endpoint: None,
        port: None,
        wait: 0,
    };
    for number in 0_u64.. {
        sign.advance = number.is_multiple_of(30);
        sign.wait = if sign.advance { 0 } else { 10_000 };
        sign.nonce = if sign.advance {
            number.to_string()
        } else {
            String::new()
        };
        let answer = client
            .ask(Method::POST, "/api/v1/heartbeats", None, Some(&sign))
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "{}", answer.code());
        let beat: Beat = answer.json().unwrap();
        sign.counter = beat.counter;
    }
}

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

fn main() {
    // As `cargo test --benches` calls it.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(measure());
}

async fn measure() {
    let (nodes, seconds) = (number("NODES", 1000), number("SECONDS", 60));
    println!("{}\n", measure::machine());
    let state = tempfile::tempdir().unwrap();
    let server = Measured(Connector::start("server", state.path()).set_up(None));
    let (origin, address) = (server.0.origin(), server.0.address);
    let code = web::post(
        &origin,
        "/api/v1/enrolment-codes",
        &server.0.token,
        &json!({ "minutes": 60 }),
    )
    .unwrap();
    let code = code.json()["code"].as_str().unwrap().to_owned();
    let authority = EnrolmentCode::parse(&code).unwrap().authority;
    let token = Secret::shown(&server.0.token);
    let connect = || Client::new(address.into(), Resolver::default(), vec![authority], None).unwrap();
    let mut administrator = connect();
    let idle = server.memory("VmRSS");

    let begin = Instant::now();
    for index in 0..nodes {
        let client = enrol(index, address, &mut administrator, &token).await;
        tokio::spawn(live(client));
    }
    let enrolled = begin.elapsed().as_secs_f64();
    tokio::time::sleep(Duration::from_secs(15)).await;

    let (start, before) = (Instant::now(), server.processor());
    tokio::time::sleep(Duration::from_secs(seconds as u64)).await;
    let alone = (server.processor() - before) / start.elapsed().as_secs_f64();
    let mut times = Vec::new();
    for round in 0..300 {
        let path = [
            "/api/v1/nodes?limit=100",
            "/api/v1/clouds",
            "/api/v1/audit?limit=100",
        ][round % 3];
        let asked = Instant::now();
        let answer = administrator
            .ask(Method::GET, path, Some(&token), None::<&()>)
            .await
            .unwrap();
        times.push(asked.elapsed().as_secs_f64() * 1000.0);
        assert_eq!(answer.status, 200);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    times.sort_by(f64::total_cmp);
    let live = web::ask(
        &origin,
        "/api/v1/nodes?limit=500",
        &server.0.token,
        "GET",
        &[],
        None,
    )
    .unwrap()
    .json();
    let live = live
        .as_array()
        .unwrap()
        .iter()
        .filter(|node| node["status"] == "LIVE")
        .count();
    println!("a server and {nodes} nodes, heartbeats held for 10 s");
    println!(
        "  enrolled in {enrolled:.1} s ({:.0} a second)",
        nodes as f64 / enrolled
    );
    println!("  live of the first 500: {live}");
    println!(
        "  memory: {idle:.1} MiB before, {:.1} MiB now, {:.1} MiB at most",
        server.memory("VmRSS"),
        server.memory("VmHWM")
    );
    println!("  a core's share: {:.1} %", alone * 100.0);
    println!(
        "  lists of 100: {:.1} ms in the middle, {:.1} ms for the 99th of 100",
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );

    let folder = tempfile::tempdir().unwrap();
    let wish = json!({ "server": address.to_string(), "code": code, "cloud": "real", "name": "real" });
    let node = Measured(Connector::start("node", folder.path()).set_up(Some(wish)));
    let own = node.0.get("/api/v1/enrolment");
    let approval = json!({ "fingerprint": own["fingerprint"] });
    let path = format!("/api/v1/nodes/{}/approve", own["node"].as_str().unwrap());
    assert_eq!(
        web::post(&origin, &path, &server.0.token, &approval)
            .unwrap()
            .status,
        200
    );
    tokio::time::sleep(Duration::from_secs(20)).await;
    let (start, before) = (Instant::now(), node.processor());
    tokio::time::sleep(Duration::from_secs(seconds as u64 / 2)).await;
    let share = (node.processor() - before) / start.elapsed().as_secs_f64();
    println!("a node that waits");
    println!(
        "  memory: {:.1} MiB now, {:.1} MiB at most (a password was hashed)",
        node.memory("VmRSS"),
        node.memory("VmHWM")
    );
    println!("  a core's share: {:.2} %", share * 100.0);
}
