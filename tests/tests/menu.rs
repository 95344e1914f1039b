//! The menu on the appliance's console, typed at over its serial line.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::io::Write as _;
use std::os::unix::net::UnixStream;

use e2e::artefacts;
use e2e::guest::{Guest, kept_disks};
use e2e::web::{self, Answer};
use serde_json::json;

const RESET: &str = "/api/v1/administrator-reset";

/// A person who waits for an answer before the next word.
struct Person<'a> {
    guest: &'a Guest,
    keyboard: UnixStream,
}

impl Person<'_> {
    fn send(&mut self, bytes: &[u8]) {
        self.keyboard.write_all(bytes).unwrap();
    }

    /// Types lines, and waits until `text` was printed once more than before.
    fn types(&mut self, lines: &[&str], text: &str) {
        let times = self.guest.console().matches(text).count();
        for line in lines {
            self.send(format!("{line}\r").as_bytes());
        }
        self.guest.wait_console(text, times + 1);
    }
}

/// The last code that the console shows after these words.
fn code(guest: &Guest, words: &str) -> String {
    let console = guest.console();
    let (_, rest) = console.rsplit_once(words).unwrap();
    rest.split_ascii_whitespace().next().unwrap().to_owned()
}

#[test]
fn the_menu_sets_the_network_without_a_restart_and_takes_the_appliance_back_to_its_first_boot() {
    let (_folder, disks) = kept_disks();
    let disks = disks.to_str().unwrap();
    let guest = Guest::start_package(&artefacts::package(), &["--state", disks]);
    guest.wait_console("ready address=10.0.2.15 ", 1);
    let before = guest.get("/api/v1/about").json();
    let mut person = Person {
        keyboard: guest.keyboard(),
        guest: &guest,
    };

    let code = code(&guest, "set-up code=");
    let with = |code: &str, password: &str| json!({ "code": code, "administrator": { "name": "root", "password": password } });
    let post = |path: &str, body| web::post(&guest.origin(), path, "", &body).unwrap().status;
    let mut setup = with(&code, "the first password");
    setup["role"] = json!("server");
    assert_eq!(post("/api/v1/setup", setup), 201);
    let has_role =
        |role: &'static str| move |answer: &Answer| answer.status == 200 && answer.json()["role"] == role;
    guest.wait_for("/api/v1/about", has_role("server"));

    // Noise, half characters and more than a line may hold are nobody's wish.
    person.send(b"\x00\xff\xc3\x1b[A678");
    person.send(&vec![b'9'; 3000]);
    person.types(&[""], "Factory reset");
    person.types(&["4", "yes"], "Code: ");
    person.guest.wait_console("vcc reset-password HOST", 1);
    let code = self::code(&guest, "Code: ");
    assert_eq!(post(RESET, with(&code, "the second password")), 200);
    assert_eq!(post(RESET, with(&code, "a third password")), 401);
    for (password, status) in [("the first password", 401), ("the second password", 201)] {
        let login = json!({ "name": "root", "password": password });
        assert_eq!(post("/api/v1/session", login), status);
    }

    let tagged = ["2", "10.9.9.9/24", "", "", "", "", "7", "", "yes"];
    person.types(&tagged, "network interface=vlan7 address=10.9.9.9/24");
    assert!(
        guest.console().contains("lost=10.0.2.15/24"),
        "{}",
        guest.console()
    );

    let routes = "198.51.100.0/24 via 10.0.2.2";
    let fixed = [
        "2",
        "10.0.2.15/24",
        "10.0.2.2",
        "fec0::66/64",
        "",
        "",
        routes,
        "",
        "1400",
        "yes",
    ];
    person.types(&fixed, "ready address=fec0::66 ");
    assert!(
        !guest.console().contains("the kernel refuses"),
        "{}",
        guest.console()
    );
    assert_eq!(guest.get("/healthz").status, 200);
    person.types(&["1"], "\"mtu\": 1400");

    // What was set is what the next start goes by.
    person.types(&["7", "yes"], "power action=reboot");
    guest.wait_console("ready address=fec0::66 ", 2);
    assert_eq!(guest.get("/api/v1/about").json()["boots"], 2);

    person.types(&[""], "Factory reset");
    person.types(&["6", "yes"], "Nothing was done.");
    let ready = guest.console().matches("ready address=10.0.2.15 ").count();
    person.types(&["6", "RESET"], "factory reset: the state is removed");
    guest.wait_console("ready address=10.0.2.15 ", ready + 1);
    let after = guest.wait_for("/api/v1/about", has_role("node")).json();
    assert_eq!(after["boots"], 1);
    assert_ne!(after["instance_id"], before["instance_id"]);
    assert_ne!(after["fingerprint"], before["fingerprint"]);

    person.types(&[""], "Factory reset");
    person.types(&["8", "yes"], "power action=poweroff");
}
