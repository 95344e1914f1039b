//! Time servers of the tests' own on loopback addresses, each with an offset or a fault. The machine's clock is measured
//! and never touched: a poll only says what it would do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use time::Duration as Signed;
use tokio::net::UdpSocket;

use super::super::packet::tests::reply;
use super::super::status::State;
use super::*;
use crate::check::Outcome;

const PACE: Pace = Pace {
    least: Duration::from_secs(64),
    most: Duration::from_secs(1024),
    retry: Duration::from_secs(16),
    burst: Duration::ZERO,
    patience: Duration::from_secs(20),
};

/// A server that changes its replies, and counts them.
async fn server(offset: Signed, change: fn(&mut [u8; 48])) -> (Endpoint, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = socket.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut request = [0; 48];
        while let Ok((_, from)) = socket.recv_from(&mut request).await {
            count.fetch_add(1, Ordering::Relaxed);
            let mut bytes = reply(&request[40..], OffsetDateTime::now_utc() + offset);
            change(&mut bytes);
            socket.send_to(&bytes, from).await.unwrap();
        }
    });
    (address.into(), asked)
}

async fn sound(offset: Signed) -> Endpoint {
    server(offset, |_| {}).await.0
}

fn keeper(servers: Vec<Endpoint>) -> Keeper {
    let mut keeper = Keeper::new(Resolver::default(), PACE);
    assert!(keeper.serve_by(servers));
    keeper
}

/// A port that nobody listens on.
async fn nobody() -> Endpoint {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.local_addr().unwrap().into()
}

fn kiss(bytes: &mut [u8; 48], code: [u8; 4]) {
    bytes[1] = 0;
    bytes[12..16].copy_from_slice(&code);
}

fn is_about(offset: Offset, expected: Signed) -> bool {
    // Loopback is quick, but nobody promises how quick: what the distance allows is right.
    (offset - expected).abs() < Signed::seconds(1)
}

#[tokio::test]
async fn a_server_far_ahead_steps_the_clock_of_an_appliance_and_no_other() {
    let hour = Signed::hours(1);
    let mut keeper = keeper(vec![sound(hour).await]);
    let round = keeper.poll(true).await;
    assert!(
        matches!(round.decision, Decision::Step(by) if is_about(by, hour)),
        "{round:?}"
    );
    assert_eq!(
        keeper.status.state(OffsetDateTime::now_utc()),
        State::Synchronized
    );

    let round = keeper.poll(false).await;
    assert_eq!(round.decision, Decision::Leave);
    let last = keeper.status.last().unwrap();
    assert!(is_about(last.offset, hour));
    assert_eq!(
        keeper.status.state(OffsetDateTime::now_utc()),
        State::Unsynchronized
    );
    assert_eq!(
        keeper.status.check(OffsetDateTime::now_utc()).status,
        Outcome::Warn
    );
}

#[tokio::test]
async fn the_first_poll_of_a_server_is_a_burst_and_later_ones_are_not() {
    let (server, asked) = server(Signed::ZERO, |_| {}).await;
    let mut keeper = keeper(vec![server]);
    keeper.poll(false).await;
    assert_eq!(asked.load(Ordering::Relaxed), 4);
    keeper.poll(false).await;
    assert_eq!(asked.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn one_of_three_that_tells_falsely_moves_nothing() {
    let lie = Signed::days(365);
    let mut all = keeper(vec![
        sound(lie).await,
        sound(Signed::ZERO).await,
        sound(Signed::ZERO).await,
    ]);
    assert!(matches!(all.poll(true).await.decision, Decision::Slew(_)));
    let source = &all.status.last().unwrap().source;
    assert_ne!(*source, all.status.servers[0].to_string());

    let mut alone = keeper(vec![sound(lie).await, nobody().await, nobody().await]);
    assert_eq!(alone.poll(true).await.decision, Decision::Leave);
    let check = alone.status.check(OffsetDateTime::now_utc());
    assert_eq!(check.status, Outcome::Warn);
    assert!(check.reason.contains("do not agree"), "{}", check.reason);
}

#[tokio::test]
async fn servers_without_time_and_forged_replies_count_as_silence() {
    let unsynchronised = server(Signed::hours(1), |bytes| bytes[0] |= 3 << 6).await.0;
    let forged = server(Signed::hours(1), |bytes| bytes[31] ^= 1).await.0;
    let mut keeper = Keeper::new(
        Resolver::default(),
        Pace {
            patience: Duration::from_millis(50),
            ..PACE
        },
    );
    keeper.serve_by(vec![unsynchronised, forged, nobody().await]);
    for wait in [PACE.retry, PACE.retry, PACE.least] {
        let round = keeper.poll(false).await;
        assert_eq!((round.decision, round.wait), (Decision::Leave, wait));
    }
    let check = keeper.status.check(OffsetDateTime::now_utc());
    assert_eq!(check.status, Outcome::Warn);
    assert!(
        check.reason.starts_with("no time server answers"),
        "{}",
        check.reason
    );
}

#[tokio::test]
async fn a_server_that_denies_or_wants_rest_is_not_asked_again() {
    for code in [b"DENY", b"RSTR", b"RATE"] {
        let change: fn(&mut [u8; 48]) = match code {
            b"DENY" => |bytes| kiss(bytes, *b"DENY"),
            b"RSTR" => |bytes| kiss(bytes, *b"RSTR"),
            _ => |bytes| kiss(bytes, *b"RATE"),
        };
        let (server, asked) = server(Signed::hours(1), change).await;
        let mut keeper = keeper(vec![server]);
        for _ in 0..3 {
            assert_eq!(keeper.poll(false).await.decision, Decision::Leave);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1, "{code:?}");
    }
}

#[tokio::test]
async fn a_clock_that_runs_well_is_compared_less_often_up_to_the_longest_interval() {
    let mut keeper = keeper(vec![sound(Signed::ZERO).await]);
    let sample = Sample {
        offset: Signed::ZERO,
        delay: Signed::ZERO,
        distance: Signed::ZERO,
    };
    let mut waits: Vec<_> = (0..24)
        .map(|_| keeper.take(String::new(), sample, true).wait.as_secs())
        .collect();
    waits.dedup();
    assert_eq!(waits, [64, 128, 256, 512, 1024]);
    let upset = Sample {
        offset: Signed::milliseconds(100),
        ..sample
    };
    assert_eq!(keeper.take(String::new(), upset, true).wait.as_secs(), 64);
}

#[tokio::test]
async fn other_servers_are_asked_from_the_next_poll_on() {
    let mut keeper = keeper(vec![sound(Signed::ZERO).await]);
    keeper.poll(false).await;
    let servers = vec![sound(Signed::hours(2)).await];
    assert!(keeper.serve_by(servers.clone()));
    assert!(!keeper.serve_by(servers));
    keeper.poll(false).await;
    assert!(is_about(keeper.status.last().unwrap().offset, Signed::hours(2)));
}
