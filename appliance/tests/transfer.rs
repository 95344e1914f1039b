//! Files over real sockets: what curl sends and takes, and what slow and unwelcome clients meet.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "http/client.rs"]
mod client;
#[path = "transfer/curl.rs"]
mod curl;
#[path = "transfer/server.rs"]
mod server;

use std::net::TcpStream;
use std::time::Duration;

use appliance::digest::Digest;
use appliance::http::Limits;
use client::{Client, connect, request};
use curl::curl;
use server::{Server, start, start_with};
use uuid::Uuid;

const GOOD: &str = "Authorization: Bearer good";
const MIB: u64 = 1 << 20;
static MEBIBYTE: [u8; 1 << 20] = [b'x'; 1 << 20];
const FEW: Limits = Limits {
    handshake: Duration::from_secs(10),
    head: Duration::from_secs(10),
    stall: Duration::from_secs(20),
    pace: Duration::from_secs(30),
    connections: 8,
};

#[test]
fn an_upload_that_broke_off_goes_on_where_it_ended() {
    let server = start();
    let path = server.file(8 * MIB);
    let bytes = std::fs::read(&path).unwrap();
    let upload = new_upload();
    let mut first = connect(&server);
    first.write(head(&upload, "good", 8 * MIB).as_bytes()).unwrap();
    first.write(&bytes[..3_000_000]).unwrap();
    drop(first);
    let received = loop {
        let answer = request(&server, "GET", &upload);
        if answer.status == 200 && answer.body != "0" {
            break answer.body;
        }
        std::thread::yield_now();
    };
    assert!(received.parse::<u64>().unwrap() <= 3_000_000);
    let rest = curl(&["-C", &received, "-T", &path, "-H", GOOD, &server.url(&upload)]);
    assert_eq!(
        (rest.status, rest.body),
        (200, Digest::of(&bytes).to_string()),
        "{}",
        rest.wire
    );
    assert_eq!(rest.sent, 8 * MIB - received.parse::<u64>().unwrap());
}

#[test]
fn a_download_that_broke_off_goes_on_and_ranges_are_answered() {
    let server = start();
    let (digest, path) = server.keep(3 * MIB);
    let bytes = std::fs::read(&path).unwrap();
    let url = server.url(&format!("/files/{digest}"));
    let taken = format!("{path}-taken");
    std::fs::write(&taken, &bytes[..1_000_000]).unwrap();
    let run = curl(&["-C", "-", "-o", &taken, &url]);
    assert_eq!(run.status, 206, "{}", run.wire);
    assert!(std::fs::read(&taken).unwrap() == bytes);
    // What is whole goes on with nothing.
    assert_eq!(curl(&["-C", "-", "-o", &taken, &url]).status, 416);
    for (range, status, length) in [("16-31", 206, 16), ("-32", 206, 32), ("0-15,32-47", 200, 3 << 20)] {
        let run = curl(&["-r", range, "-o", &taken, &url]);
        assert_eq!(run.status, status, "{}", run.wire);
        assert_eq!(std::fs::metadata(&taken).unwrap().len(), length, "{range}");
    }
    let part = curl(&["-r", "16-30", &url]);
    assert_eq!(part.body, "000000000000001");
    assert!(
        part.wire.contains("content-range: bytes 16-30/3145728"),
        "{}",
        part.wire
    );
    let have = curl(&["-H", &format!("If-None-Match: \"sha256-{digest}\""), &url]);
    assert_eq!((have.status, have.body.as_str()), (304, ""));
    let head = curl(&["--head", "-o", &taken, &url]);
    assert!(head.wire.contains("content-length: 3145728") && head.wire.contains("repr-digest: sha-256=:"));
}

#[test]
fn who_waits_to_be_told_and_may_not_send_is_refused_without_a_byte() {
    let server = start();
    let path = server.file(8 * MIB);
    let run = curl(&["-T", &path, &server.url(&new_upload())]);
    assert!(run.wire.contains("Expect: 100-continue"));
    assert!(!run.wire.contains("100 Continue"), "{}", run.wire);
    assert_eq!((run.status, run.sent, run.code), (401, 0, Some(0)));
    assert!(run.body.contains("\"unauthenticated\""));

    // Also where a handler would read what it did not let in.
    let run = curl(&[
        "-T",
        &path,
        "-H",
        "Authorization: Bearer unread",
        &server.url(&new_upload()),
    ]);
    assert_eq!((run.status, run.sent), (500, 0), "{}", run.wire);
}

#[test]
fn who_sends_at_once_and_may_not_reads_why() {
    let server = start();
    let path = server.file(64 * MIB);
    for _ in 0..5 {
        let run = curl(&["-T", &path, "-H", "Expect:", &server.url(&new_upload())]);
        assert_eq!(run.status, 401, "{}", run.wire);
        assert!(run.body.contains("\"unauthenticated\""), "{}", run.body);
        assert!(run.sent < 64 * MIB, "{}", run.sent);
    }
}

#[test]
fn files_are_sent_to_what_takes_files_alone() {
    let server = start();
    let path = server.file(MIB);
    let run = curl(&["-T", &path, "-H", GOOD, &server.url("/files/other")]);
    assert_eq!(run.status, 413, "{}", run.wire);
}

#[test]
fn who_drips_or_stops_is_told_that_it_is_too_slow_and_what_came_is_kept() {
    let server = start_with(Limits {
        pace: Duration::from_millis(700),
        ..Limits::default()
    });
    for drips in [200, 1] {
        let upload = new_upload();
        let mut client = connect(&server);
        client.write(head(&upload, "good", 8 * MIB).as_bytes()).unwrap();
        for _ in 0..drips {
            if client.write(&[b'x'; 100]).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let answer = client.send(b"");
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (408, Some("too-slow"))
        );
        let received: u64 = request(&server, "GET", &upload).body.parse().unwrap();
        assert!(received >= 100 && received.is_multiple_of(100), "{received}");
    }
}

#[test]
fn uploads_that_nobody_let_in_make_room_for_newcomers() {
    let server = start_with(FEW);
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let mut client = connect(&server);
            let _ = client.write(head(&new_upload(), "undecided", MIB).as_bytes());
            let _ = client.write(&[b'x'; 10_000]);
            client
        })
        .collect();
    assert_eq!(request(&server, "GET", "/").status, 200);
    assert!(server.connections.evicted() >= 12);
    assert_eq!(server.connections.refused(), 0);
    drop(waiting);
}

#[test]
fn an_upload_that_was_let_in_is_never_evicted_and_all_of_them_lock_nobody_out() {
    let server = start_with(FEW);
    let mut uploads: Vec<_> = (0..4).map(|_| begun(&server)).collect();
    let mut fifth = connect(&server);
    fifth.write(head(&new_upload(), "good", MIB).as_bytes()).unwrap();
    let answer = fifth.send(b"");
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (503, Some("too-many-transfers"))
    );
    drop(fifth);

    let silent: Vec<_> = (0..20)
        .map(|_| TcpStream::connect(server.address).unwrap())
        .collect();
    assert_eq!(request(&server, "GET", "/").status, 200);
    assert!(server.connections.evicted() >= 12);
    for upload in &mut uploads {
        let answer = upload.send(&MEBIBYTE);
        assert_eq!(
            (answer.status, answer.body),
            (200, Digest::of(&MEBIBYTE).to_string())
        );
    }
    // Whose file came gives its place to another one.
    let mut next = begun(&server);
    assert_eq!(next.send(&MEBIBYTE).status, 200);
    drop(silent);
}

#[test]
fn a_download_that_is_taken_slowly_is_not_evicted() {
    let server = start_with(FEW);
    let (digest, path) = server.keep(32 * MIB);
    let mut slow = connect(&server);
    let get = format!("GET /files/{digest} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    slow.write(get.as_bytes()).unwrap();
    slow.read_exact(&mut [0]).unwrap();
    let silent: Vec<_> = (0..20)
        .map(|_| TcpStream::connect(server.address).unwrap())
        .collect();
    assert_eq!(request(&server, "GET", "/").status, 200);
    assert!(server.connections.evicted() >= 12);
    let answer = slow.send(b"");
    assert!(answer.body.as_bytes() == std::fs::read(path).unwrap());
    drop(silent);
}

#[test]
fn who_takes_nothing_of_a_download_is_ended() {
    let server = start_with(Limits {
        stall: Duration::from_millis(300),
        ..FEW
    });
    let (digest, _) = server.keep(32 * MIB);
    let mut client = connect(&server);
    let get = format!("GET /files/{digest} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.write(get.as_bytes()).unwrap();
    client.read_exact(&mut [0]).unwrap();
    while server.connections.open() > 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An upload of a mebibyte that was let in; nothing of it is sent yet.
fn begun(server: &Server) -> Client {
    let mut client = connect(server);
    let head = head(&new_upload(), "good", MIB).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    client.write(head.as_bytes()).unwrap();
    assert_eq!(client.status(), Some(100));
    client
}

fn new_upload() -> String {
    format!("/uploads/{}", Uuid::new_v4())
}

fn head(path: &str, token: &str, length: u64) -> String {
    format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
    )
}
