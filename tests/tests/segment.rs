//! Two appliances on a tagged network of their own: what their properties say of addresses, routes and lengths is so on the wire.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use e2e::artefacts;
use e2e::connector::{PASSWORD, set_up};
use e2e::guest::Guest;
use e2e::segment::{self, Frame};
use e2e::web;
use serde_json::{Value, json};

/// Emulated machines on shared cores.
const PATIENCE: Duration = Duration::from_secs(300);
const VLAN: u16 = 7;
const MTU: usize = 1280;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// The only way to it is a route.
const FAR_AWAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);

/// An appliance, and its administrator's session.
struct Connector {
    guest: Guest,
    token: String,
}

impl Connector {
    fn set_up(guest: Guest) -> Self {
        let token = set_up(&guest.origin(), &guest.setup_code(), None);
        Self { guest, token }
    }

    /// By the command line, which chooses the role, too, and waits until the appliance has it.
    fn set_up_as(guest: Guest, role: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = home.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (code, password) = (file("code", &guest.setup_code()), file("password", PASSWORD));
        let place = guest.origin().replace("https://", "");
        let mut vcc = Command::new(artefacts::vcc());
        vcc.args([
            "setup",
            &place,
            "--role",
            role,
            "--fingerprint",
            &guest.fingerprint(),
        ])
        .arg("--code-file")
        .arg(code)
        .arg("--password-file")
        .arg(password)
        .env("XDG_CONFIG_HOME", home.path());
        artefacts::success(&mut vcc);
        assert_eq!(guest.get("/api/v1/about").json()["role"], role);
        let login = json!({ "name": "root", "password": PASSWORD });
        let session = web::post(&guest.origin(), "/api/v1/session", "", &login).unwrap();
        let token = session.json()["token"].as_str().unwrap().to_owned();
        Self { guest, token }
    }

    fn ask(&self, method: &str, path: &str, fields: &[&str], body: Option<&Value>) -> web::Answer {
        let answer = web::ask(&self.guest.origin(), path, &self.token, method, fields, body);
        let answer = answer
            .ok_or_else(|| format!("{path}: no answer\n{}", self.guest.console()))
            .unwrap();
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        answer
    }

    fn wait_for(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let told = self.ask("GET", path, &[], None).json();
            if wanted(&told) {
                return told;
            }
            assert!(Instant::now() < end, "{path}: {told}\n{}", self.guest.console());
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// Takes a node in that reaches this server at `address`; gives the node's id.
    fn enrol(&self, node: &Self, address: &str, name: &str) -> String {
        let made = self.ask(
            "POST",
            "/api/v1/enrolment-codes",
            &[],
            Some(&json!({ "minutes": 60 })),
        );
        let wish = json!({ "server": address, "code": made.json()["code"], "cloud": "north", "name": name });
        let asked = node.ask("POST", "/api/v1/enrolment", &[], Some(&wish)).json();
        let path = format!("/api/v1/nodes/{}", asked["node"].as_str().unwrap());
        let approval = json!({ "fingerprint": asked["fingerprint"] });
        self.ask("POST", &format!("{path}/approve"), &[], Some(&approval));
        self.wait_for(&path, |node| node["status"] == "LIVE");
        path
    }
}

/// Ends of an IP packet's way, if it is of TCP or UDP: neighbours look for each other by others.
fn ends(frame: &Frame) -> Option<(Vec<u8>, Vec<u8>)> {
    let (kind, packet) = frame.packet();
    let (carries, from, to) = match kind {
        IPV4 => (9, 12..16, 16..20),
        IPV6 => (6, 8..24, 24..40),
        _ => return None,
    };
    matches!(packet[carries], TCP | UDP).then(|| (packet[from].to_vec(), packet[to].to_vec()))
}

fn log_of(node: &Connector) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, fields) = (folder.path().join("bundle"), folder.path().join("fields"));
    // A token is not for the list of processes.
    std::fs::write(&fields, format!("Authorization: Bearer {}", node.token)).unwrap();
    let fetched = Command::new("curl")
        .args(["-skf", "--max-time", "60", "-H"])
        .arg(format!("@{}", fields.display()))
        .arg("-o")
        .arg(&bundle)
        .arg(format!("{}/api/v1/support-bundle", node.guest.origin()))
        .status()
        .unwrap();
    assert!(fetched.success(), "{}", node.guest.console());
    let mut tar = Command::new("tar");
    let output = tar
        .args(["-xzOf"])
        .arg(&bundle)
        .args(["--wildcards", "logs/vcc.log*"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_tagged_network_carries_a_node_to_its_server_by_both_versions_of_ip_at_the_length_and_the_way_that_were_set()
 {
    let [server_end, node_end] = segment::ends();
    let (vlan, mtu) = (format!("vlan={VLAN}"), format!("mtu={MTU}"));
    let routes = format!("routes={FAR_AWAY}/32 via 192.0.2.1");
    let ntp = format!("ntp={FAR_AWAY}");
    let properties = |own: [&str; 3]| -> Vec<String> {
        let all = own.into_iter().chain([vlan.as_str(), mtu.as_str()]);
        all.flat_map(|property| ["--prop".to_owned(), property.to_owned()])
            .collect()
    };
    let server = properties(["hostname=server", "ip=192.0.2.1/24", "ip6=2001:db8:7::1/64"]);
    let mut node = properties(["role=node", "ip=192.0.2.2/24", "ip6=2001:db8:7::2/64"]);
    node.extend(["--prop".to_owned(), routes, "--prop".to_owned(), ntp]);
    let (server, node) = (
        Guest::start_on(&server_end.plug, &server),
        Guest::start_on(&node_end.plug, &node),
    );
    server.wait_console("network interface=vlan7 address=192.0.2.1/24", 1);
    node.wait_console("network interface=vlan7 address=2001:db8:7::2/64", 1);
    let (server, node) = (Connector::set_up_as(server, "server"), Connector::set_up(node));

    let first = server.enrol(&node, "192.0.2.1", "by-ipv4");
    // More than fits in one packet.
    let label = "x".repeat(60);
    let far: Vec<_> = (0..8)
        .map(|number| format!("{number}.{label}.{label}.{label}.example"))
        .collect();
    let settings = json!({ "settings": { "ntp": far, "notice": "z".repeat(200) } });
    server.ask(
        "PUT",
        "/api/v1/configurations/all",
        &["If-Match: \"0\""],
        Some(&settings),
    );
    server.wait_for(&format!("{first}/configuration"), |told| {
        told["state"] == "IN_SYNC"
    });

    node.ask("DELETE", "/api/v1/enrolment", &[], None);
    let second = server.enrol(&node, "[2001:db8:7::1]:443", "by-ipv6");
    server.wait_for(&format!("{second}/configuration"), |told| {
        told["state"] == "IN_SYNC"
    });

    // What was logged before a cut is there after it.
    let seen = server.ask("GET", &second, &[], None).json()["seen"].clone();
    node.guest.reset();
    server.wait_for(&second, |node| {
        node["status"] == "LIVE" && node["seen"].as_str() > seen.as_str()
    });
    let log = log_of(&node);
    for line in [
        "boots=1",
        "boots=2",
        "network interface=vlan7 address=192.0.2.2/24",
    ] {
        assert!(log.contains(line), "no {line} in\n{log}");
    }
    assert!(log.matches("vcc: boot version=").count() >= 2, "{log}");

    let frames = node_end.frames();
    let by = |from: &[u8], to: &[u8]| {
        let ends = Some((from.to_vec(), to.to_vec()));
        frames.iter().any(|frame| crate::ends(frame) == ends)
    };
    let address = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    let (server_6, node_6) = (address("2001:db8:7::1"), address("2001:db8:7::2"));
    assert!(by(&[192, 0, 2, 2], &[192, 0, 2, 1]) && by(&[192, 0, 2, 1], &[192, 0, 2, 2]));
    assert!(by(&node_6, &server_6) && by(&server_6, &node_6));
    let mut longest = 0;
    for frame in &frames {
        let Some((from, to)) = ends(frame) else { continue };
        if from.starts_with(&[192, 0, 2]) || from.starts_with(&server_6[..8]) {
            assert_eq!(frame.vlan(), Some(VLAN), "{frame:?}");
            longest = longest.max(frame.packet().1.len());
        }
        if to == FAR_AWAY.octets() {
            assert_eq!(
                (frame.from(), frame.to()),
                (&node_end.hardware[..], &server_end.hardware[..])
            );
        }
    }
    assert_eq!(longest, MTU, "packets are as long as they may be, and no longer");
    assert!(by(&[192, 0, 2, 2], &FAR_AWAY.octets()), "the route was not taken");
}
