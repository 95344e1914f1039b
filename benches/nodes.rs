//! A server with many nodes: its memory, its share of a core, how long lists take; and what a node takes that only waits.
//!
//! `make bench-nodes`; `NODES` and `SECONDS` in the environment say how many and for how long. The nodes are simulated in this
//! process, each with its own key, certificate and connection, as far as the server can tell.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on says where, and prints"
)]

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use appliance::access::{Name, Secret};
use appliance::authority::{EnrolmentCode, KeyDigest};
use appliance::client::Client;
use appliance::configuration::Report;
use appliance::node::{Application, Beat, Heartbeat, Standing};
use appliance::resolver::Resolver;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use e2e::{artefacts, measure, web};
use hyper::Method;
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

/// A connector under measurement; dropped, it is killed.
struct Connector {
    process: Child,
    address: SocketAddr,
    token: String,
}

impl Drop for Connector {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Connector {
    fn start(role: &str, state: &Path, enrolment: Option<Value>) -> Self {
        let mut process = Command::new(artefacts::vcc())
            .args([role, "--listen", "127.0.0.1:0", "--state"])
            .arg(state)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let code = lines.find_map(|line| Some(line.unwrap().split_once("set-up code=")?.1.to_owned()));
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            let rest = line.split_once("listening address=")?.1;
            Some(rest.split(' ').next()?.parse().unwrap())
        });
        std::thread::spawn(move || lines.for_each(drop));
        let address: SocketAddr = address.unwrap();
        let origin = format!("https://{address}");
        let mut wish =
            json!({ "code": code.unwrap(), "administrator": { "name": "root", "password": PASSWORD } });
        if let Some(enrolment) = enrolment {
            wish["enrolment"] = enrolment;
        }
        assert_eq!(
            web::post(&origin, "/api/v1/setup", "", &wish).unwrap().status,
            201
        );
        let login = json!({ "name": "root", "password": PASSWORD });
        let session = web::post(&origin, "/api/v1/session", "", &login).unwrap().json();
        Self {
            process,
            address,
            token: session["token"].as_str().unwrap().to_owned(),
        }
    }

    /// MiB of `VmRSS` or `VmHWM`.
    fn memory(&self, name: &str) -> f64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes / 1024.0
    }

    /// Seconds of a core, so far.
    fn processor(&self) -> f64 {
        let path = format!("/proc/{}/stat", self.process.id());
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
    let server = Connector::start("server", state.path(), None);
    let origin = format!("https://{}", server.address);
    let code = web::post(
        &origin,
        "/api/v1/enrolment-codes",
        &server.token,
        &json!({ "minutes": 60 }),
    )
    .unwrap();
    let code = code.json()["code"].as_str().unwrap().to_owned();
    let authority = EnrolmentCode::parse(&code).unwrap().authority;
    let token = Secret::shown(&server.token);
    let connect = || Client::new(server.address.into(), Resolver::default(), vec![authority], None).unwrap();
    let mut administrator = connect();
    let idle = server.memory("VmRSS");

    let begin = Instant::now();
    for index in 0..nodes {
        let client = enrol(index, server.address, &mut administrator, &token).await;
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
        &server.token,
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
    let wish = json!({ "server": server.address.to_string(), "code": code, "cloud": "real", "name": "real" });
    let node = Connector::start("node", folder.path(), Some(wish));
    let own = web::ask(
        &format!("https://{}", node.address),
        "/api/v1/enrolment",
        &node.token,
        "GET",
        &[],
        None,
    );
    let own = own.unwrap().json();
    let approval = json!({ "fingerprint": own["fingerprint"] });
    let path = format!("/api/v1/nodes/{}/approve", own["node"].as_str().unwrap());
    assert_eq!(
        web::post(&origin, &path, &server.token, &approval)
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
