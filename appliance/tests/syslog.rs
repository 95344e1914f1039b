//! The log as syslog servers get it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "connector/connector.rs"]
mod connector;

use std::sync::Arc;
use std::time::Duration;

use appliance::audit::{Chain, Checkpoint, Entry};
use appliance::check::Outcome;
use appliance::clock::{Clock, Moment};
use appliance::configuration::Settings;
use appliance::database;
use appliance::log::{self, Line};
use appliance::role::Role;
use appliance::service::Context;
use connector::Connector;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(60);

/// All tests of a process share its log.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A node that forwards.
async fn forwarding(server: &str) -> (tempfile::TempDir, Connector) {
    let state = tempfile::tempdir().unwrap();
    let node = Connector::at(Role::Node, state.path(), Clock::System).await;
    point(&node.context, server);
    tokio::spawn(appliance::syslog::start(Arc::clone(&node.context)));
    (state, node)
}

fn point(context: &Context, server: &str) {
    let settings = Settings {
        syslog: Some(server.to_owned()),
        ..Settings::default()
    };
    settings.check().unwrap();
    context.ground().unwrap().settings.send_replace(settings);
}

fn outcome(node: &Connector) -> Option<Outcome> {
    let checks = node.context.view().checks;
    let check = checks.into_iter().find(|check| check.name == "syslog");
    check.map(|check| check.status)
}

/// Messages as RFC 6587 frames them.
struct Incoming(BufReader<TcpStream>);

impl Incoming {
    async fn of(listener: &TcpListener) -> Self {
        let accepted = timeout(PATIENCE, listener.accept()).await.unwrap();
        Self(BufReader::new(accepted.unwrap().0))
    }

    async fn next(&mut self) -> String {
        let mut length = 0;
        loop {
            match self.0.read_u8().await.unwrap() {
                b' ' => break,
                digit => length = length * 10 + usize::from(digit - b'0'),
            }
        }
        let mut message = vec![0; length];
        self.0.read_exact(&mut message).await.unwrap();
        String::from_utf8(message).unwrap()
    }

    async fn wait_for(&mut self, words: &str) -> String {
        let wait = async {
            loop {
                let message = self.next().await;
                if message.contains(words) {
                    return message;
                }
            }
        };
        timeout(PATIENCE, wait).await.unwrap()
    }
}

#[tokio::test]
async fn lines_come_over_tcp_with_their_length_and_go_on_after_the_connection_is_lost() {
    let _alone = ALONE.lock().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_state, node) = forwarding(&format!("tcp://localhost:{}", address.port())).await;
    let mut incoming = Incoming::of(&listener).await;
    log::warn("first\nof all");
    let message = incoming.wait_for("first").await;
    assert!(
        message.starts_with("<28>1 2") && message.ends_with(" vcc - - - first\\nof all"),
        "{message}"
    );
    assert_eq!(outcome(&node), Some(Outcome::Pass));
    log::info("set-up code=0000-0000");
    drop(incoming);

    let mut incoming = Incoming::of(&listener).await;
    log::error("second");
    let message = incoming.wait_for("second").await;
    assert!(message.starts_with("<27>1 "), "{message}");
    let metrics = node.context.forwarding().status();
    assert!(metrics.sent >= 2 && metrics.dropped == 0, "{metrics:?}");

    // Another server, and then none.
    let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    point(&node.context, &format!("udp://{}", other.local_addr().unwrap()));
    let mut datagram = [0; 4096];
    let wait = async {
        loop {
            log::info("by datagram");
            let received = timeout(Duration::from_millis(100), other.recv(&mut datagram)).await;
            if let Ok(length) = received {
                let message = String::from_utf8_lossy(&datagram[..length.unwrap()]).into_owned();
                assert!(!message.contains("code="), "{message}");
                if message.contains("by datagram") {
                    return message;
                }
            }
        }
    };
    let message = timeout(PATIENCE, wait).await.unwrap();
    assert!(
        message.starts_with("<30>1 ") && message.ends_with(" vcc - - - by datagram"),
        "{message}"
    );
    point(&node.context, "");
    let none = async {
        while outcome(&node).is_some() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, none).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_away_is_told_of_and_what_it_missed_is_counted() {
    let _alone = ALONE.lock().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_state, node) = forwarding(&format!("tcp://{address}")).await;
    let mut incoming = Incoming::of(&listener).await;
    log::info("before it is away");
    incoming.wait_for("before it is away").await;
    drop((incoming, listener));
    let away = async {
        while outcome(&node) != Some(Outcome::Warn) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, away).await.unwrap();
    for number in 0..2000 {
        let text = format!("vcc: missed {number}").into();
        log::relay(Line { at: Moment(0), text });
    }
    let listener = TcpListener::bind(address).await.unwrap();
    let mut incoming = Incoming::of(&listener).await;
    let message = incoming.wait_for("messages are dropped").await;
    assert!(message.starts_with("<28>1 "), "{message}");
    incoming.wait_for("missed 1999").await;
    assert!(node.context.forwarding().status().dropped >= 1000);
}

#[tokio::test]
async fn a_server_that_hangs_up_each_time_fills_no_log() {
    let _alone = ALONE.lock().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut lines = log::follow();
    let (_state, _node) = forwarding(&format!("tcp://{address}")).await;
    for _ in 0..4 {
        let (connection, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
        drop(connection);
    }
    let mut told = Vec::new();
    while let Ok(line) = lines.try_recv() {
        told.extend(line.text.contains(&address).then(|| line.text.to_string()));
    }
    assert_eq!(told.len(), 1, "{told:?}");
}

/// What follows a message's header.
fn body<'a>(message: &'a str, header: &str) -> &'a str {
    let (_, body) = message.split_once(header).unwrap();
    body
}

#[tokio::test]
async fn the_audit_log_comes_whole_also_what_was_written_while_the_server_was_away_and_signed_in_the_end() {
    let _alone = ALONE.lock().await;
    const ENTRY: &str = " vcc - audit - ";
    const SIGNED: &str = " vcc - checkpoint - ";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let state = tempfile::tempdir().unwrap();
    let node = Connector::at(Role::Node, state.path(), Clock::System).await;
    let root = node.finish().await;
    let mut db = node.context.ground().unwrap().database.begin().await.unwrap();
    // What is older than the wish to forward it stays where it is.
    database::set(&mut db, "syslog-audit", "0").await.unwrap();
    db.commit().await.unwrap();
    point(&node.context, &format!("tcp://{address}"));
    tokio::spawn(appliance::syslog::start(Arc::clone(&node.context)));
    let mut incoming = Incoming::of(&listener).await;
    let mut chain = Chain::default();
    let mut follow = async |incoming: &mut Incoming, to: i64| {
        while chain.number() < to {
            let message = incoming.wait_for(ENTRY).await;
            assert!(message.starts_with("<110>1 "), "{message}");
            let entry: Entry = serde_json::from_str(body(&message, ENTRY)).unwrap();
            chain.follow(entry).unwrap();
        }
    };
    // The administrator, and its session.
    follow(&mut incoming, 2).await;
    drop((incoming, listener));

    // More than what waits in memory.
    for number in 0..600 {
        let user = json!({ "name": format!("u{number}"), "role": "robot" });
        assert_eq!(node.post(&root, "/api/v1/users", &user).await.status, 201);
    }
    let listener = TcpListener::bind(address).await.unwrap();
    let mut incoming = Incoming::of(&listener).await;
    follow(&mut incoming, 602).await;
    let message = incoming.wait_for(SIGNED).await;
    let signed: Checkpoint = serde_json::from_str(body(&message, SIGNED)).unwrap();
    assert_eq!(signed.verify().unwrap(), node.context.identity().fingerprint());
    assert_eq!(signed.number, 602);
}
