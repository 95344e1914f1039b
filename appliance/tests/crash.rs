//! `kill -9` at any moment: what was answered is there, and nobody is taken for a clone.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "connector/people.rs"]
mod people;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use people::{Person, Service};
use serde_json::Value;

/// Moments that nobody chose; the same at every run, as far as machines are.
fn moments() -> impl Iterator<Item = Duration> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Duration::from_millis(20 + state % 380)
    })
}

#[test]
fn what_a_server_answered_is_there_after_kill_minus_nine() {
    let mut server = Service::start("server");
    let person = Arc::new(Person::administrator(&server));
    let (made, next, is_over) = (
        Mutex::new(Vec::new()),
        AtomicUsize::new(0),
        AtomicBool::new(false),
    );
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let name = format!("tenant-{}", next.fetch_add(1, Ordering::Relaxed));
                    if person.try_to(&["tenant", "add", &name]).status == 0 {
                        made.lock().unwrap().push(name);
                    }
                }
            });
        }
        for moment in moments().take(15) {
            sleep(moment);
            server.kill_and_start("server");
        }
        sleep(Duration::from_millis(300));
        is_over.store(true, Ordering::Relaxed);
    });
    let listed = person.get(&["tenant", "list"]);
    let listed: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|tenant| tenant["name"].as_str().unwrap())
        .collect();
    let made = made.into_inner().unwrap();
    assert!(made.len() > 10, "{made:?}");
    for name in &made {
        assert!(listed.contains(&name.as_str()), "{name} was answered and is lost");
    }
    let verified = person.try_to(&["audit", "verify"]);
    assert_eq!(verified.status, 0, "{}{}", verified.out, verified.err);
}

#[test]
fn a_node_and_its_server_that_die_again_and_again_find_each_other_and_suspend_nobody() {
    let (mut server, mut node) = (Service::start("server"), Service::start("node"));
    let (at_server, at_node) = (Person::administrator(&server), Person::administrator(&node));
    let code = at_node.home.path().join("enrolment-code");
    assert_eq!(
        at_server.call(&["node", "code"], &[("--output", &code)]).status,
        0
    );
    let join = [
        "node",
        "join",
        &server.address,
        "--cloud",
        "east",
        "--name",
        "node-a",
    ];
    let joined = at_node.call(&join, &[("--code-file", &code)]);
    assert_eq!(joined.status, 0, "{}", joined.err);
    let own = at_node.get(&["status"]);
    let fingerprint = own["enrolment"]["fingerprint"].as_str().unwrap();
    at_server.get(&["node", "approve", "node-a", fingerprint]);
    for (round, moment) in (0..24).zip(moments()) {
        sleep(moment * 2);
        match round % 3 {
            0 => node.kill_and_start("node"),
            1 => server.kill_and_start("server"),
            _ => {
                node.kill_and_start("node");
                server.kill_and_start("server");
            }
        }
        if round == 12 {
            at_server.try_to(&["config", "set", "all", "notice=halfway"]);
        }
    }
    let start = Instant::now();
    let told = |person: &Person, words: &[&str]| {
        let done = person.try_to(&[words, &["--json"]].concat());
        serde_json::from_str::<Value>(&done.out).unwrap_or_default()
    };
    loop {
        let node = told(&at_server, &["node", "show", "node-a"]);
        assert_ne!(node["state"], "SUSPENDED", "{node}");
        let status = told(&at_server, &["config", "status", "node-a"]);
        if node["status"] == "LIVE" && node["state"] == "ACTIVE" && status["state"] == "IN_SYNC" {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(120), "{node} {status}");
        sleep(Duration::from_millis(200));
    }
    for person in [&at_server, &at_node] {
        let verified = person.try_to(&["audit", "verify"]);
        assert_eq!(verified.status, 0, "{}{}", verified.out, verified.err);
    }
}
