//! Somebody on the way between two nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::enrolled::Listening;
use super::field::{Field, honestly, rule};
use super::hostile::{Hostile, Stock};
use super::package::noise;
use super::pretended::Pretended;

fn stock() -> Stock {
    Stock::of_files("1.0", &[("disk.img", &noise(1, 3 << 20))])
}

#[tokio::test]
async fn whoever_ends_the_connection_with_another_key_is_told_nothing() {
    let field = Field::new().await;
    field.hostile.offers(stock(), honestly);
    // A node of the same server, and one of another: each with a certificate that is good for what it is.
    let other = Listening::start().await;
    for server in [&field.server, &other] {
        let somebody = Pretended::enrol(&server.own, &server.root, "somebody").await;
        let middle = Hostile::start(somebody.credentials(&server.own)).await;
        middle.offers(stock(), honestly);
        field
            .source
            .is_reached_at(&field.server.own, &middle.address)
            .await;
        let ended = field.ended(&field.begins(&field.wish("app")).await).await;
        assert_eq!(ended["state"], "FAILED", "{ended}");
        assert_eq!(rule(&ended["refusal"]), "vcc.stranger", "{ended}");
        assert!(middle.asked().is_empty(), "the grant was shown to it");
        field.has_nothing_of("app").await;
    }
}

/// A way on which one bit of what comes back is turned, once, so many bytes after it began.
async fn turning(target: String, at: usize) -> String {
    let (address, _) = turning_often(target, move |passed| (passed <= at).then_some(at)).await;
    address
}

/// A way on which one bit is turned wherever `next` says that the next one is to be, after so many bytes; and how many were so far.
async fn turning_often(
    target: String,
    next: impl Fn(usize) -> Option<usize> + Clone + Send + 'static,
) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let passed = Arc::new(AtomicUsize::new(0));
    let turned = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turned);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let service = TcpStream::connect(&target).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_service, mut to_service) = service.into_split();
            tokio::spawn(async move {
                let _ = tokio::io::copy(&mut from_client, &mut to_service).await;
                let _ = to_service.shutdown().await;
            });
            let (passed, counted, next) = (Arc::clone(&passed), Arc::clone(&counted), next.clone());
            tokio::spawn(async move {
                let mut piece = vec![0; 16 << 10];
                while let Ok(length) = from_service.read(&mut piece).await {
                    let before = passed.fetch_add(length, Ordering::SeqCst);
                    if let Some(at) = next(before).filter(|at| (before..before + length).contains(at)) {
                        piece[at - before] ^= 1;
                        counted.fetch_add(1, Ordering::SeqCst);
                    }
                    if length == 0 || to_client.write_all(&piece[..length]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    (address, turned)
}

#[tokio::test]
async fn bits_that_are_turned_again_and_again_cost_what_was_not_handed_on_yet_and_nothing_more() {
    const BYTES: usize = 16 << 20;
    const EVERY: usize = 1_700_001;
    let field = Field::new().await;
    let target = field.hostile.address.clone();
    // Once in each stretch of this length, and never at the same place of it: what comes again has the next one elsewhere.
    let next = |passed: usize| {
        let stretch = passed / EVERY;
        Some(stretch * EVERY + stretch * 619_979 % EVERY).filter(|at| *at > 0)
    };
    let (way, turned) = turning_often(target, next).await;
    field.source.is_reached_at(&field.server.own, &way).await;
    let stock = Stock::of_files("1.0", &[("disk.img", &noise(9, BYTES))]);
    let moved = field.moves("app", stock, honestly).await;
    assert_eq!(moved["state"], "PUBLISHED", "{moved}");
    let turned = turned.load(Ordering::SeqCst);
    assert!(turned >= BYTES / EVERY, "{turned}");
    let wire = usize::try_from(moved["wire"].as_u64().unwrap()).unwrap();
    // Half a MiB is handed on together, with the chunk that was not whole yet.
    let lost = turned * (1 << 20);
    assert!((BYTES..BYTES + lost).contains(&wire), "{turned} times: {moved}");
    assert_eq!(field.files("quarantine").len(), 0);
    assert_eq!(field.published("app").await, ["1.0"]);
}

#[tokio::test]
async fn a_bit_that_is_turned_on_the_way_breaks_a_connection_and_not_the_transfer() {
    let field = Field::new().await;
    // In what tells of the version, in the index, and in the bytes.
    for (number, at) in [(1, 2500), (2, 10_000), (3, 1_000_000), (4, 3_000_000)] {
        let way = turning(field.hostile.address.clone(), at).await;
        field.source.is_reached_at(&field.server.own, &way).await;
        let seed = Stock::of_files(&format!("{number}.0"), &[("disk.img", &noise(number, 3 << 20))]);
        let moved = field.moves("app", seed, honestly).await;
        assert_eq!(moved["state"], "PUBLISHED", "at {at}: {moved}");
        assert!(moved["wire"].as_u64().unwrap() >= 3 << 20);
    }
}
