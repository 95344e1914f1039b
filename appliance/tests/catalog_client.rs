//! Catalogs of a node, as people with a command line fill and read them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "connector/people.rs"]
mod people;
#[path = "connector/relay.rs"]
mod relay;

use std::path::PathBuf;
use std::process::{Child, Stdio};

use people::{Done, PASSWORD, Person, Service};
use relay::Relay;
use ring::digest::{SHA256, digest};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const LARGE: usize = 24 << 20;

/// A node with a catalog, and its administrator, whose way there can break.
struct Node {
    service: Service,
    relay: Relay,
    root: Person,
}

impl Node {
    fn new() -> Self {
        let service = Service::start("node");
        Person::administrator(&service);
        let (relay, root) = (Relay::to(&service.address), Person::new());
        let password = root.file("pw", PASSWORD);
        let login = [
            "login",
            &relay.address,
            "--name",
            "root",
            "--fingerprint",
            &service.fingerprint,
        ];
        assert_eq!(root.call(&login, &[("--password-file", &password)]).status, 0);
        root.get(&["catalog", "create", "images"]);
        Self { service, relay, root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.home.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Noise in a file.
    fn file(&self, name: &str, bytes: usize) -> Vec<u8> {
        let mut state = bytes as u64;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state ^ (state >> 29)).to_be_bytes()
        });
        let mut noise: Vec<u8> = noise.take(bytes / 8 + 1).flatten().collect();
        noise.truncate(bytes);
        std::fs::write(self.path(name), &noise).unwrap();
        noise
    }

    fn push(&self, version: &str, file: &str) -> Done {
        self.root
            .try_to(&["push", "images/disk", version, &self.text(file), "--json"])
    }

    /// Begins to push; what it does is the test's.
    fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = self.root.command(arguments);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn pull(&self, to: &str, more: &[&str]) -> Done {
        let to = self.text(to);
        self.root
            .try_to(&[&["pull", "images/disk", "-o", &to, "--json"], more].concat())
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }
}

fn ended(child: Child) -> Done {
    let output = child.wait_with_output().unwrap();
    Done {
        status: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

fn sha256(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_file_is_pushed_once_and_pulled_whole_and_nothing_is_overwritten_unasked() {
    let node = Node::new();
    let bytes = node.file("a.bin", 3_000_000);
    let pushed = node.push("1.0", "a.bin");
    assert_eq!(pushed.status, 0, "{}{}", pushed.out, pushed.err);
    let version = pushed.json();
    assert_eq!(
        (
            &version["state"],
            &version["version"],
            &version["files"][0]["digest"]
        ),
        (&json!("PUBLISHED"), &json!("1.0"), &json!(sha256(&bytes)))
    );
    // Who doesn't know whether it came tries again, and finds it done.
    let again = node.push("1.0", "a.bin");
    assert_eq!(
        (again.status, again.json()["id"].clone()),
        (0, version["id"].clone())
    );
    std::fs::write(node.path("a.bin"), vec![7; bytes.len()]).unwrap();
    let other = node.push("1.0", "a.bin");
    assert_eq!(
        (other.status, other.json()["error"]["code"].as_str()),
        (1, Some("vcc.mismatch"))
    );
    node.file("a.bin", 17);
    let other = node.push("1.0", "a.bin");
    assert_eq!(
        (other.status, other.json()["error"]["code"].as_str()),
        (1, Some("refused"))
    );
    assert_eq!(node.push("2.0", "none.bin").status, 2);

    std::fs::create_dir(node.path("to")).unwrap();
    let pulled = node.pull("to", &[]);
    assert_eq!(pulled.status, 0, "{}{}", pulled.out, pulled.err);
    let told = pulled.json();
    assert_eq!(told["version"], "1.0");
    assert_eq!(
        told["files"],
        json!([{ "file": node.path("to/a.bin"), "bytes": bytes.len(), "sha256": sha256(&bytes) }])
    );
    assert!(node.read("to/a.bin") == bytes);
    std::fs::write(node.path("to/a.bin"), "mine").unwrap();
    let refused = node.pull("to", &[]);
    assert_eq!(
        (refused.status, refused.json()["error"]["code"].as_str()),
        (1, Some("vcc.taken"))
    );
    assert_eq!(node.read("to/a.bin"), b"mine");
    assert_eq!(node.pull("to", &["--force"]).status, 0);
    assert!(node.read("to/a.bin") == bytes);
    assert_eq!(std::fs::read_dir(node.path("to")).unwrap().count(), 1);
    assert_eq!(node.pull("named", &["--version", "1.0"]).status, 0);
    assert!(node.read("named") == bytes);
    assert_eq!(node.pull("other", &["--version", "3.0"]).status, 1);
}

#[test]
fn a_push_whose_connection_breaks_goes_on_by_itself_where_it_ended() {
    let node = Node::new();
    let bytes = node.file("a.bin", LARGE);
    let before = node.relay.up.passed();
    node.relay.up.cut_after(LARGE as u64 / 2);
    let pushed = node.push("1.0", "a.bin");
    assert_eq!(pushed.status, 0, "{}{}", pushed.out, pushed.err);
    assert_eq!(pushed.json()["files"][0]["digest"], sha256(&bytes));
    let sent = node.relay.up.passed() - before;
    assert!(sent < LARGE as u64 * 5 / 4, "{sent} bytes were sent of {LARGE}");
}

#[test]
fn a_push_goes_on_after_the_node_was_killed() {
    let mut node = Node::new();
    let bytes = node.file("a.bin", LARGE);
    node.relay.up.hold_after(LARGE as u64 / 2);
    let pushing = node.begin(&["push", "images/disk", "1.0", &node.text("a.bin"), "--json"]);
    node.relay.up.wait();
    node.service.kill_and_start("node");
    node.relay.up.release();
    let pushed = ended(pushing);
    assert_eq!(pushed.status, 0, "{}{}", pushed.out, pushed.err);
    assert_eq!(pushed.json()["files"][0]["digest"], sha256(&bytes));
}

#[test]
fn a_push_that_is_stopped_says_how_it_goes_on_and_does() {
    let node = Node::new();
    let bytes = node.file("a.bin", LARGE);
    node.relay.up.hold_after(LARGE as u64 / 2);
    let pushing = node.begin(&["push", "images/disk", "1.0", &node.text("a.bin")]);
    node.relay.up.wait();
    interrupt(&pushing);
    let stopped = ended(pushing);
    assert_eq!(stopped.status, 2, "{}", stopped.err);
    assert!(
        stopped.err.contains("images/disk 1.0: was stopped")
            && stopped.err.contains("the same command goes on"),
        "{}",
        stopped.err
    );
    node.relay.up.release();
    let listed = node.root.get(&["catalog", "versions", "images/disk"]);
    assert_eq!(listed[0]["state"], "RECEIVING");

    let before = node.relay.up.passed();
    let pushed = node.push("1.0", "a.bin");
    assert_eq!(pushed.status, 0, "{}{}", pushed.out, pushed.err);
    assert_eq!(pushed.json()["id"], listed[0]["id"]);
    assert_eq!(pushed.json()["files"][0]["digest"], sha256(&bytes));
    let sent = node.relay.up.passed() - before;
    assert!(sent < LARGE as u64 * 3 / 4, "{sent} bytes were sent of {LARGE}");
}

#[test]
fn a_package_that_nobody_vouches_for_is_refused_with_the_rule_and_one_that_may_come_is_published() {
    let node = Node::new();
    let descriptor = "<?xml version=\"1.0\"?>\n<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\" \
        xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1\"><References><File ovf:id=\"d\" ovf:href=\"d.iso\"/></References>\
        <VirtualSystem ovf:id=\"s\"><Info>A system</Info></VirtualSystem></Envelope>";
    let disk = node.file("d.iso", 100_000);
    std::fs::write(node.path("web.ovf"), descriptor).unwrap();
    let manifest = format!(
        "SHA256(web.ovf)= {}\nSHA256(d.iso)= {}\n",
        sha256(descriptor.as_bytes()),
        sha256(&disk)
    );
    std::fs::write(node.path("web.mf"), &manifest).unwrap();
    let push = |more: &[&str]| {
        let path = node.text("web.ovf");
        node.root
            .try_to(&[&["push", "images/web", "1.0", &path], more].concat())
    };
    let refused = push(&[]);
    assert_eq!(refused.status, 1, "{}{}", refused.out, refused.err);
    assert!(
        refused.out.contains("REJECTED: images/web 1.0") && refused.out.contains("trust.nobody"),
        "{}",
        refused.out
    );
    assert!(refused.err.contains("(version-rejected)"), "{}", refused.err);
    assert_eq!(
        node.root.try_to(&["pull", "images/web"]).status,
        1,
        "nothing can be had"
    );

    let policy = node.root.file("policy.json", "{\"signer\": \"none\"}");
    let policy = policy.to_str().unwrap();
    assert_eq!(
        node.root.get(&["policy", "set", policy, "--revision", "0"])["signer"],
        "none"
    );
    std::fs::write(
        node.path("web.mf"),
        manifest.replace("SHA256(d.iso)= ", "SHA256(d.iso)= 00"),
    )
    .unwrap();
    let refused = push(&["--json"]);
    assert_eq!(
        (refused.status, &refused.json()["state"]),
        (1, &json!("REJECTED"))
    );
    let checks = refused.json()["verdict"]["checks"].clone();
    let failed = checks
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["outcome"] == "failed");
    assert!(failed.unwrap()["reason"].is_string());

    std::fs::write(node.path("web.mf"), &manifest).unwrap();
    let published = push(&["--json"]);
    assert_eq!(published.status, 0, "{}{}", published.out, published.err);
    let to = node.text("web");
    let pulled = node.root.get(&["pull", "images/web", "-o", &to]);
    assert_eq!(pulled["files"].as_array().unwrap().len(), 3);
    assert!(node.read("web/d.iso") == disk && node.read("web/web.ovf") == descriptor.as_bytes());
}

#[test]
fn a_pull_goes_on_where_it_ended_by_itself_and_after_it_was_stopped() {
    let node = Node::new();
    let bytes = node.file("a.bin", LARGE);
    assert_eq!(node.push("1.0", "a.bin").status, 0);
    let before = node.relay.down.passed();
    node.relay.down.cut_after(LARGE as u64 / 2);
    let pulled = node.pull("b.bin", &[]);
    assert_eq!(pulled.status, 0, "{}{}", pulled.out, pulled.err);
    assert!(node.read("b.bin") == bytes);
    let taken = node.relay.down.passed() - before;
    assert!(
        taken < LARGE as u64 * 5 / 4,
        "{taken} bytes were taken of {LARGE}"
    );

    node.relay.down.hold_after(LARGE as u64 / 2);
    let pulling = node.begin(&["pull", "images/disk", "-o", &node.text("c.bin")]);
    node.relay.down.wait();
    interrupt(&pulling);
    let stopped = ended(pulling);
    assert_eq!(stopped.status, 2, "{}", stopped.err);
    assert!(stopped.err.contains("kept in NAME.part"), "{}", stopped.err);
    assert!(!node.path("c.bin").exists());
    let part = node.read("c.bin.part");
    assert!(!part.is_empty() && bytes.starts_with(&part));
    node.relay.down.release();
    let before = node.relay.down.passed();
    assert_eq!(node.pull("c.bin", &[]).status, 0);
    assert!(node.read("c.bin") == bytes && !node.path("c.bin.part").exists());
    let taken = node.relay.down.passed() - before;
    assert!(
        taken < LARGE as u64 * 3 / 4,
        "{taken} bytes were taken of {LARGE}"
    );
}

#[test]
fn a_part_that_is_of_another_file_does_not_come_to_be_one_of_this() {
    let node = Node::new();
    let bytes = node.file("a.bin", 1_000_000);
    assert_eq!(node.push("1.0", "a.bin").status, 0);
    let mut damaged = bytes[..600_000].to_vec();
    damaged[1000] ^= 1;
    let mut whole = bytes.clone();
    whole[1000] ^= 1;
    for part in [
        damaged,
        whole,
        [bytes.as_slice(), b"x"].concat(),
        bytes.clone(),
        vec![],
    ] {
        std::fs::write(node.path("b.bin.part"), &part).unwrap();
        let pulled = node.pull("b.bin", &["--force"]);
        assert_eq!(pulled.status, 0, "{}{}", pulled.out, pulled.err);
        assert!(node.read("b.bin") == bytes, "{}", part.len());
    }
}

#[test]
fn catalogs_items_and_versions_are_seen_to_by_their_names() {
    let node = Node::new();
    let root = &node.root;
    node.file("a.bin", 1000);
    for version in ["1.0", "2.0"] {
        assert_eq!(node.push(version, "a.bin").status, 0);
    }
    let labelled = root.get(&["catalog", "label", "images/disk", "os=debian", "tier=front"]);
    assert_eq!(labelled["labels"], json!({ "os": "debian", "tier": "front" }));
    let labelled = root.get(&["catalog", "label", "disk", "--unset", "tier", "os=none"]);
    assert_eq!(labelled["labels"], json!({ "os": "none" }));
    let described = root.get(&["catalog", "describe", "images/disk", "100% ours"]);
    assert_eq!(described["description"], "100% ours");
    assert_eq!(
        root.get(&["catalog", "describe", "images", "What we run"])["description"],
        "What we run"
    );
    for (search, found) in [
        (&["--label", "os=none"][..], 1),
        (&["--label", "os=debian"], 0),
        (&["--search", "100%"], 1),
        (&["--catalog", "images", "--search", "DISK"], 1),
        (&["--search", "other"], 0),
        (&[], 1),
    ] {
        let items = root.get(&[&["catalog", "items"], search].concat());
        assert_eq!(items.as_array().unwrap().len(), found, "{search:?}");
    }
    let table = root.try_to(&["catalog", "items"]).out;
    assert!(
        table.starts_with("CATALOG  ITEM") && table.contains("images   disk  file  2.0"),
        "{table}"
    );
    assert_eq!(
        root.get(&["catalog", "version", "images/disk", "1.0"])["files"][0]["name"],
        "a.bin"
    );
    assert_eq!(
        root.try_to(&["catalog", "delete", "images", "--yes"]).status,
        1,
        "it has items"
    );
    assert_eq!(
        root.try_to(&["catalog", "remove", "images/disk", "--yes"]).status,
        1,
        "it has versions"
    );
    assert_eq!(
        root.try_to(&["catalog", "remove", "images/disk", "2.0"]).status,
        2,
        "nobody can be asked"
    );
    assert_eq!(
        root.get(&["catalog", "remove", "images/disk", "2.0", "--yes"])["version"],
        "2.0"
    );
    let versions = root.get(&["catalog", "versions", "disk"]);
    assert_eq!(
        (versions.as_array().unwrap().len(), &versions[0]["version"]),
        (1, &json!("1.0"))
    );
    root.get(&["catalog", "remove", "images/disk", "1.0", "--yes"]);
    root.get(&["catalog", "remove", "images/disk", "--yes"]);
    root.get(&["catalog", "delete", "images", "--yes"]);
    assert_eq!(root.get(&["catalog", "list"]), json!([]));
    let none = root.try_to(&["catalog", "show", "images", "--json"]);
    assert_eq!(
        (none.status, none.json()["error"]["refused"].clone()),
        (1, json!(true))
    );
    assert!(
        none.json()["error"]["hint"]
            .as_str()
            .unwrap()
            .starts_with("vcc catalog list")
    );
}

#[test]
fn a_provider_sees_to_what_its_tenants_believe_and_how_much_room_they_have() {
    let node = Node::new();
    let root = &node.root;
    root.get(&["tenant", "add", "acme"]);
    let certificate = node.service.state.path().join("identity/cert.pem");
    let certificate = certificate.to_str().unwrap();
    let added = root.get(&["trust", "add", certificate, "--name", "own", "--tenant", "acme"]);
    assert_eq!(added["name"], "own");
    assert!(added["tenant"].is_string() && added["certificate"].is_string());
    assert_eq!(
        root.try_to(&["trust", "add", certificate, "--name", "own", "--tenant", "acme"])
            .status,
        1
    );
    let listed: Value = root.get(&["trust", "list"]);
    assert_eq!(listed[0]["fingerprint"], added["fingerprint"]);
    let table = root.try_to(&["trust", "list"]).out;
    assert!(table.starts_with("NAME") && !table.contains("BEGIN"), "{table}");
    root.get(&["trust", "remove", "own", "--yes"]);
    assert_eq!(root.get(&["trust", "list"]), json!([]));

    assert_eq!(root.get(&["policy", "show", "acme"])["signer"], "trusted");
    let policy = root.file("policy.json", "{\"signer\": \"any\"}");
    let set = |revision: &str| {
        let path = policy.to_str().unwrap();
        root.try_to(&["policy", "set", path, "acme", "--revision", revision])
            .status
    };
    assert_eq!((set("1"), set("0"), set("0"), set("1")), (1, 0, 1, 0));
    assert_eq!(root.get(&["policy", "show", "acme"])["signer"], "any");
    assert_eq!(
        root.get(&["policy", "show"])["signer"],
        "trusted",
        "the provider's is its own"
    );
    let wrong = root.file("wrong.json", "[]");
    assert_eq!(root.try_to(&["policy", "set", wrong.to_str().unwrap()]).status, 2);

    assert_eq!(root.get(&["catalog", "quota", "acme"])["quota"], Value::Null);
    assert_eq!(root.get(&["catalog", "quota", "acme", "2KiB"])["quota"], 2048);
    root.get(&["catalog", "create", "own", "--tenant", "acme"]);
    node.file("a.bin", 4096);
    let refused = root.try_to(&["push", "own/a", "1", &node.text("a.bin"), "--json"]);
    assert_eq!(refused.json()["error"]["code"], "no-room");
    assert_eq!(
        root.get(&["catalog", "quota", "acme", "none"])["quota"],
        Value::Null
    );
}
