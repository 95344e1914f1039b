//! The HTTPS service over real sockets: what it answers, and what slow and malicious clients meet.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "http/client.rs"]
mod client;
#[path = "http/server.rs"]
mod server;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use appliance::client::{Client, Trust};
use appliance::http::Limits;
use appliance::resolver::Resolver;
use client::{connect, request};
use hyper::Method;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use server::{start, start_with};

const KNOWN: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/api/v1/about"];

#[test]
fn every_resource_answers_with_its_type_and_is_never_cached_or_framed() {
    let server = start();
    let types = [
        ("/healthz", "application/json"),
        ("/readyz", "application/json"),
        ("/metrics", "application/openmetrics-text"),
        ("/api/v1/about", "application/json"),
    ];
    for (path, kind) in types {
        let answer = request(&server, "GET", path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(answer.field("content-type").starts_with(kind), "{path}");
        assert_eq!(answer.field("cache-control"), "no-store", "{path}");
        assert_eq!(answer.field("x-content-type-options"), "nosniff", "{path}");
        assert!(
            answer
                .field("content-security-policy")
                .contains("default-src 'none'")
        );
    }
}

#[test]
fn health_is_ok_and_about_says_who_answers() {
    let server = start();
    let health = request(&server, "GET", "/healthz");
    assert_eq!(health.json(), serde_json::json!({"status": "ok"}));
    let about = request(&server, "GET", "/api/v1/about").json();
    assert_eq!(about["role"], "node");
    assert_eq!(about["ephemeral"], false);
    assert_eq!(about["boots"], 1);
    assert_eq!(about["instance_id"].as_str().map(str::len), Some(36));
    assert_eq!(about["fingerprint"].as_str().map(str::len), Some(95));
    assert!(about["version"].is_string() && about["product"].is_string());
}

#[test]
fn head_answers_like_get_without_a_body() {
    let server = start();
    for path in KNOWN {
        let head = request(&server, "HEAD", path);
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert_ne!(head.field("content-length"), "0", "{path}");
    }
}

#[test]
fn another_method_is_405_and_names_the_ones_allowed() {
    let server = start();
    for path in KNOWN {
        let answer = request(&server, "DELETE", path);
        assert_eq!(answer.status, 405, "{path}");
        assert_eq!(answer.field("allow"), "GET,HEAD", "{path}");
        assert_eq!(answer.field("content-type"), "application/problem+json");
        assert_eq!(answer.json()["code"], "method-not-allowed");
    }
}

#[test]
fn everything_else_is_a_problem_that_asks_for_the_setup() {
    let server = start();
    for (method, path) in [
        ("GET", "/"),
        ("POST", "/api/v1/packages"),
        ("PUT", "/healthz/"),
        ("GET", "/.."),
    ] {
        let answer = request(&server, method, path);
        assert_eq!(answer.status, 503, "{method} {path}");
        assert_eq!(answer.field("content-type"), "application/problem+json");
        let problem = answer.json();
        assert_eq!(problem["code"], "setup-required");
        assert_eq!(problem["status"], 503);
        assert_eq!(problem["type"], "urn:vcc:problem:setup-required");
        assert!(problem["title"].is_string() && problem["detail"].is_string());
    }
}

#[test]
fn metrics_count_requests_by_our_routes_alone() {
    let server = start();
    request(&server, "GET", "/healthz");
    request(&server, "GET", "/made-up-by-a-client");
    let text = request(&server, "GET", "/metrics").body;
    for line in [
        "vcc_build_info{version=\"0.1.0\",role=\"node\"} 1",
        "vcc_boots_total 1",
        "vcc_http_requests_total{route=\"/healthz\",status=\"200\"} 1",
        "vcc_http_requests_total{route=\"other\",status=\"503\"} 1",
        "vcc_check_status{name=\"state-disk\"} 0",
        "vcc_check_status{name=\"clock\"} 0",
        "vcc_clock_synchronized 0",
    ] {
        assert!(text.lines().any(|own| own == line), "{line} is not in\n{text}");
    }
    for name in [
        "vcc_uptime_seconds",
        "process_resident_memory_bytes",
        "vcc_state_available_bytes",
        "vcc_state_size_bytes",
        "vcc_service_restarts_total",
    ] {
        assert!(text.contains(name), "{name}");
    }
    assert!(!text.contains("made-up") && text.ends_with("# EOF\n"));
}

#[test]
fn readiness_looks_anew_at_each_request() {
    let server = start();
    assert_eq!(request(&server, "GET", "/readyz").status, 200);
    server.report_failure("network", "the cable is out");
    let answer = request(&server, "GET", "/readyz");
    assert_eq!(answer.status, 503);
    let checks = answer.json()["checks"].as_array().unwrap().clone();
    let network = checks.iter().find(|check| check["name"] == "network").unwrap();
    assert_eq!(network["status"], "fail");
    assert_eq!(network["reason"], "the cable is out");
}

#[test]
fn plain_http_is_refused() {
    let server = start();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/"), "{answer:?}");
}

#[test]
fn tls_1_2_is_refused() {
    let server = start();
    assert!(client::handshake(&server, &[&rustls::version::TLS12]).is_err());
    assert!(client::handshake(&server, &[&rustls::version::TLS13]).is_ok());
}

#[test]
fn the_certificate_is_the_one_whose_fingerprint_is_shown() {
    let server = start();
    let shown = request(&server, "GET", "/api/v1/about").json();
    assert_eq!(shown["fingerprint"], connect(&server).fingerprint());
}

#[test]
fn one_connection_serves_many_requests() {
    let server = start();
    let mut client = connect(&server);
    for _ in 0..20 {
        assert_eq!(client.request("GET", "/healthz").status, 200);
    }
}

#[test]
fn a_client_that_says_nothing_is_closed_before_and_after_the_handshake() {
    let server = start_with(SHORT);
    let silent = TcpStream::connect(server.address).unwrap();
    assert_closes(silent);
    let idle = connect(&server);
    assert_closes(idle.into_stream());
}

#[test]
fn a_dripping_head_is_closed_however_it_drips() {
    let server = start_with(SHORT);
    let mut client = connect(&server);
    let began = Instant::now();
    let drip = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: "
        .iter()
        .chain([b'a'; 10_000].iter());
    for byte in drip {
        if client.write(&[*byte]).is_err() || began.elapsed() > SHORT.head * 10 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(began.elapsed() < SHORT.head * 10);
}

#[test]
fn heads_without_end_are_refused() {
    let server = start();
    let long = format!(
        "GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "a".repeat(40_000)
    );
    let many = format!(
        "GET /healthz HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "X: a\r\n".repeat(200)
    );
    let path = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(40_000));
    for text in [long, many, path] {
        let status = connect(&server).send(text.as_bytes()).status;
        assert!(matches!(status, 414 | 431), "{status}");
    }
    assert_eq!(request(&server, "GET", "/healthz").status, 200);
}

#[test]
fn whoever_sends_too_much_or_what_is_not_wanted_reads_why_it_was_refused() {
    let server = start();
    for (path, length, status) in [
        ("/x", 700_000, 413),
        ("/x", 60_000, 503),
        ("/healthz", 60_000, 405),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        let request = [head.into_bytes(), vec![b'a'; length]].concat();
        assert_eq!(connect(&server).send(&request).status, status, "{path} {length}");
    }
}

#[test]
fn bodies_without_end_are_refused_and_not_read() {
    let server = start();
    let declared = "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n";
    let answer = connect(&server).send(declared.as_bytes());
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (413, Some("too-large"))
    );

    let mut client = connect(&server);
    let began = Instant::now();
    client
        .write(b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b'a'; 0x10000], b"\r\n"].concat();
    let mut written = 0_u64;
    while client.write(&chunk).is_ok() && began.elapsed() < Duration::from_secs(5) {
        written += 0x10000;
    }
    assert!(written < 64 << 20, "{written} bytes were taken");
}

#[test]
fn a_flood_of_idle_connections_locks_nobody_out() {
    let server = start();
    let limit = Limits::default().connections;
    let before = request(&server, "GET", "/metrics").metric("process_resident_memory_bytes");
    let silent: Vec<_> = (0..limit + 50)
        .map(|_| TcpStream::connect(server.address).unwrap())
        .collect();
    let idle: Vec<_> = (0..20).map(|_| connect(&server)).collect();
    let began = Instant::now();
    let metrics = request(&server, "GET", "/metrics");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(metrics.metric("vcc_http_connections") <= limit as u64);
    assert!(metrics.metric("vcc_http_connections_evicted_total") >= 50);
    // The process is the tests' own: what it grows by is a ceiling on what the flood costs.
    let grown = metrics
        .metric("process_resident_memory_bytes")
        .saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
    drop((silent, idle));
}

#[test]
fn ten_thousand_connections_leave_the_others_answered_and_memory_bounded() {
    const MANY: usize = 10_000;
    let files = getrlimit(Resource::Nofile);
    let wanted = MANY as u64 + 4096;
    if files.maximum.is_some_and(|most| most < wanted) {
        eprintln!(
            "skipped: this system allows {:?} open files, and {wanted} are needed",
            files.maximum
        );
        return;
    }
    let raised = Rlimit {
        current: Some(wanted),
        ..files
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let server = start_with(Limits {
        connections: 2048,
        ..Limits::default()
    });
    let before = request(&server, "GET", "/metrics").metric("process_resident_memory_bytes");
    let silent: Vec<_> = (0..MANY)
        .map(|number| {
            if number % 1000 == 0 {
                assert_eq!(request(&server, "GET", "/healthz").status, 200, "{number}");
            }
            TcpStream::connect(server.address).unwrap()
        })
        .collect();
    let metrics = request(&server, "GET", "/metrics");
    assert_eq!(metrics.status, 200);
    assert!(metrics.metric("vcc_http_connections") <= 2048);
    assert!(metrics.metric("vcc_http_connections_evicted_total") >= 7000);
    let grown = metrics
        .metric("process_resident_memory_bytes")
        .saturating_sub(before);
    assert!(grown < 128 << 20, "{grown} bytes");
    drop(silent);
    assert_eq!(request(&server, "GET", "/healthz").status, 200);
}

#[test]
fn a_flood_of_requests_whose_bodies_never_come_locks_nobody_out() {
    let server = start_with(Limits {
        connections: 16,
        ..Limits::default()
    });
    let unfinished: Vec<_> = (0..40)
        .map(|_| {
            let mut client = connect(&server);
            let head = "POST /api/v1/setup HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n";
            client.write(head.as_bytes()).unwrap();
            client
        })
        .collect();
    let metrics = request(&server, "GET", "/metrics");
    assert_eq!(metrics.status, 200);
    assert!(metrics.metric("vcc_http_connections_evicted_total") >= 24);
    drop(unfinished);
}

#[test]
fn nonsense_ends_its_connection_alone() {
    let server = start();
    for text in [
        "\r\n\r\n\0\0\0",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut client = connect(&server);
        let _ = client.write(text.as_bytes());
        assert!(client.status().is_none_or(|status| status >= 400), "{text:?}");
    }
    assert_eq!(request(&server, "GET", "/healthz").status, 200);
}

#[tokio::test]
async fn whoever_sat_at_a_prompt_for_long_goes_on_over_another_connection() {
    let server = start_with(SHORT);
    let fingerprint = connect(&server).fingerprint().parse().unwrap();
    let endpoint = server.address.to_string().parse().unwrap();
    let trust = Trust::Fingerprint(fingerprint);
    let mut client = Client::new(endpoint, Resolver::default(), trust, None).unwrap();
    for _ in 0..2 {
        let answer = client.ask(Method::GET, "/healthz", None, None::<&()>).await;
        assert_eq!(answer.unwrap().status, 200);
        // Nothing of the client goes on meanwhile.
        std::thread::sleep(SHORT.head * 3);
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(10)).await;
        tokio::time::resume();
    }
}

#[test]
fn being_told_to_stop_ends_idle_connections_at_once() {
    let server = start();
    let mut client = connect(&server);
    assert_eq!(client.request("GET", "/healthz").status, 200);
    let began = Instant::now();
    let address = server.address;
    server.stop();
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(TcpStream::connect(address).is_err());
}

const SHORT: Limits = Limits {
    handshake: Duration::from_millis(300),
    head: Duration::from_millis(300),
    stall: Duration::from_millis(300),
    pace: Duration::from_millis(300),
    connections: 16,
};

fn assert_closes(mut stream: TcpStream) {
    let began = Instant::now();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // A last word of TLS may come before the end.
    while stream.read(&mut [0; 1024]).is_ok_and(|length| length > 0) {}
    assert!(began.elapsed() < Duration::from_secs(5));
}
