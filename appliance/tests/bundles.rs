//! Versions that people carry from cloud to cloud in sealed bundles: the destination asks and verifies what it does of any transfer.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says where"
)]

#[path = "connector/clouds.rs"]
mod clouds;
#[path = "connector/curl.rs"]
mod curl;
#[path = "connector/package.rs"]
mod package;
#[path = "connector/people.rs"]
mod people;

use std::path::PathBuf;

use clouds::{Clouds, Member};
use curl::Curl;
use package::{Publisher, noise};
use people::{Done, PASSWORD};
use serde_json::{Value, json};

const DISK: usize = 5 << 20;

/// Two clouds, and somebody on the way between them.
struct World {
    clouds: Clouds,
    publisher: Publisher,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self {
            clouds: Clouds::start(&["north", "south"]),
            publisher: Publisher::new("Publisher"),
            folder: tempfile::tempdir().unwrap(),
        };
        world.believe(world.north());
        world
    }

    fn north(&self) -> &Member {
        &self.clouds.nodes[0]
    }

    fn south(&self) -> &Member {
        &self.clouds.nodes[1]
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The north has a version of a signed package.
    fn has(&self, version: &str, seed: u64) -> Vec<u8> {
        let disk = noise(seed, DISK);
        let main = self.publisher.package(&self.path(version), version, &disk);
        self.north().push("web", version, &main, &[]);
        disk
    }

    fn believe(&self, node: &Member) {
        node.believes("publisher", &self.publisher.certificate);
    }

    /// The server grants a transfer that people carry; its id, and its grant in a file.
    fn granted(&self, name: &str, version: &str) -> String {
        let mut wish = Clouds::wish("web");
        wish["route"] = json!("carried");
        wish["version"] = json!(version);
        let id = self.clouds.ordered(&wish);
        self.clouds.waits(&id, |transfer| transfer["state"] == "GRANTED");
        let file = self.text(name);
        self.clouds
            .server
            .person
            .get(&["transfer", "grant", &id, "-o", &file]);
        id
    }

    fn create(&self, bundle: &str, grant: &str) -> Done {
        let (bundle, grant, key) = (self.text(bundle), self.text(grant), self.text("key"));
        self.north().person.try_to(&[
            "bundle",
            "create",
            &bundle,
            "--grant",
            &grant,
            "--key-file",
            &key,
            "--json",
        ])
    }

    fn bring(&self, node: &Member, bundle: &str, key: &str, more: &[&str]) -> Done {
        let (bundle, key) = (self.text(bundle), self.text(key));
        let asked = ["bundle", "bring", &bundle, "--key-file", &key, "--json"];
        node.person.try_to(&[&asked, more].concat())
    }

    fn receipt(&self, name: &str) -> Done {
        let file = self.text(name);
        self.clouds
            .server
            .person
            .try_to(&["transfer", "receipt", &file, "--json"])
    }

    fn signed(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    fn keeps_nothing(&self) {
        let kept = || {
            let folders = ["quarantine", "blobs"];
            folders.map(|folder| self.south().files(folder)).concat()
        };
        // It is taken away after that was decided.
        let start = std::time::Instant::now();
        while !kept().is_empty() {
            assert!(start.elapsed() < clouds::PATIENCE, "{:?}", kept());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_eq!(self.south().published("web"), [] as [String; 0]);
    }
}

fn is(done: &Done, status: i32) -> Value {
    assert_eq!(done.status, status, "{}{}", done.out, done.err);
    done.json()
}

#[test]
fn a_version_goes_by_hand_where_no_connection_leads_and_its_receipt_comes_back() {
    let mut world = World::new();
    let disk = world.has("1.0", 1);
    world.believe(world.south());
    let id = world.granted("grant", "1.0");
    // Neither reaches the server, or each other, from here on.
    world.clouds.server.service.kill();
    let made = is(&world.create("bundle", "grant"), 0);
    assert_eq!(made["transfer"], id.as_str());
    assert_eq!(made["key_is_new"], true);
    assert!(!world.path("bundle.files").exists());
    let shown = world.text("bundle");
    let shown = world.south().person.get(&[
        "bundle",
        "show",
        &shown,
        "--key-file",
        &world.text("key"),
        "--check",
    ]);
    assert_eq!(shown["grant"]["transfer"], id.as_str());
    let receipt = world.text("receipt");
    let brought = is(
        &world.bring(world.south(), "bundle", "key", &["--receipt", &receipt]),
        0,
    );
    assert_eq!(brought["phase"], "PUBLISHED", "{brought}");
    assert_eq!(world.south().published("web"), ["1.0"]);
    let pulled = world.south().pulled("web").unwrap();
    assert!(pulled["web-disk.vmdk"] == disk);
    // Once more, it is there.
    let again = is(&world.bring(world.south(), "bundle", "key", &[]), 0);
    assert_eq!(
        (&again["phase"], &again["receipt"]),
        (&brought["phase"], &brought["receipt"])
    );
    assert_eq!(world.south().published("web"), ["1.0"]);

    world.clouds.server.service.start_again("server");
    let told = is(&world.receipt("receipt"), 0);
    assert_eq!(
        (&told["state"], &told["route"]),
        (&json!("PUBLISHED"), &json!("carried"))
    );
    assert_eq!(told["receipt"]["outcome"], "PUBLISHED");
    let again = is(&world.receipt("receipt"), 0);
    assert_eq!(again["revision"], told["revision"]);
    let audit = world.south().curl.get("/api/v1/audit?limit=100").json();
    let entries = audit.as_array().unwrap().iter();
    let deeds: Vec<_> = entries
        .filter(|entry| entry["object"] == id.as_str())
        .map(|entry| entry["action"].as_str().unwrap().to_owned())
        .collect();
    for deed in ["transfer.bring", "transfer.receive"] {
        assert_eq!(deeds.iter().filter(|one| *one == deed).count(), 1, "{deeds:?}");
    }
    let refused = world
        .clouds
        .server
        .curl
        .get(&format!("/api/v1/transfers/{id}/grant"));
    assert_eq!(refused.status, 409, "what has ended is carried no more");
}

#[test]
fn a_server_that_still_hears_its_node_learns_by_itself_what_became_of_a_bundle() {
    let world = World::new();
    world.has("1.0", 1);
    let id = world.granted("grant", "1.0");
    is(&world.create("bundle", "grant"), 0);
    // Nobody believes the publisher there.
    let receipt = world.text("receipt");
    let brought = is(
        &world.bring(world.south(), "bundle", "key", &["--receipt", &receipt]),
        1,
    );
    assert_eq!(brought["refusal"]["rule"], "trust.nobody", "{brought}");
    world.keeps_nothing();
    let ended = world.clouds.ended(&id);
    assert_eq!(
        (&ended["state"], &ended["refusal"]["rule"]),
        (&json!("REJECTED"), &json!("trust.nobody"))
    );
    // What it has heard already changes nothing, and says how it ended.
    assert_eq!(is(&world.receipt("receipt"), 1)["state"], "REJECTED");
    // Believed and granted anew, the same bundle is good with the newer grant.
    world.believe(world.south());
    world.clouds.server.person.get(&["transfer", "retry", &id]);
    world.clouds.waits(&id, |transfer| transfer["state"] == "GRANTED");
    is(&world.bring(world.south(), "bundle", "key", &[]), 1);
    let newer = world.text("newer");
    world
        .clouds
        .server
        .person
        .get(&["transfer", "grant", &id, "-o", &newer]);
    let brought = is(
        &world.bring(world.south(), "bundle", "key", &["--grant", &newer]),
        0,
    );
    assert_eq!(brought["phase"], "PUBLISHED", "{brought}");
    assert_eq!(world.clouds.ended(&id)["state"], "PUBLISHED");
    // The grant of before is used, whatever came of it.
    let used = is(&world.bring(world.south(), "bundle", "key", &[]), 1);
    assert!(
        used["error"]["message"].as_str().unwrap().contains("grant.used"),
        "{used}"
    );
}

#[test]
fn a_bundle_that_was_tampered_with_or_cut_shows_nothing_and_a_whole_one_goes_on() {
    let world = World::new();
    world.has("1.0", 1);
    world.believe(world.south());
    world.granted("grant", "1.0");
    is(&world.create("bundle", "grant"), 0);
    let good = std::fs::read(world.path("bundle")).unwrap();
    assert!(good.len() > DISK);
    std::fs::write(world.path("other-key"), "0123456789abcdef".repeat(4)).unwrap();
    let code = |done: &Done, code: &str| assert_eq!(is(done, 1)["error"]["code"], code);
    code(
        &world.bring(world.south(), "bundle", "other-key", &[]),
        "vcc.mismatch",
    );
    std::fs::write(world.path("cut"), &good[..good.len() / 2]).unwrap();
    code(&world.bring(world.south(), "cut", "key", &[]), "vcc.incomplete");
    std::fs::write(world.path("none"), b"PK\x03\x04 not a bundle at all").unwrap();
    code(&world.bring(world.south(), "none", "key", &[]), "vcc.malformed");
    world.keeps_nothing();
    // Its head is good, and what is changed is found where it comes to that.
    let mut changed = good.clone();
    changed[good.len() - 1000] ^= 1;
    std::fs::write(world.path("changed"), &changed).unwrap();
    code(&world.bring(world.south(), "changed", "key", &[]), "vcc.mismatch");
    assert_eq!(world.south().files("blobs").len(), 0);
    assert_eq!(world.south().published("web"), [] as [String; 0]);
    let arrival = is(&world.bring(world.south(), "bundle", "key", &[]), 0);
    assert_eq!(arrival["phase"], "PUBLISHED");
}

#[test]
fn an_older_version_by_hand_is_refused_as_any_other_and_its_receipt_says_so() {
    let world = World::new();
    world.has("1.0", 1);
    world.has("2.0", 2);
    world.believe(world.south());
    world.granted("old", "1.0");
    is(&world.create("old-bundle", "old"), 0);
    let mut wish = Clouds::wish("web");
    wish["version"] = json!("2.0");
    world.clouds.moves(&wish, "PUBLISHED");
    let receipt = world.text("receipt");
    let refused = is(
        &world.bring(world.south(), "old-bundle", "key", &["--receipt", &receipt]),
        1,
    );
    assert_eq!(
        (&refused["phase"], &refused["refusal"]["rule"]),
        (&json!("REJECTED"), &json!("rollback.version"))
    );
    assert!(
        refused.get("version").is_none(),
        "no byte was asked for: {refused}"
    );
    assert_eq!(world.south().published("web"), ["2.0"]);
    assert_eq!(
        is(&world.receipt("receipt"), 1)["refusal"]["rule"],
        "rollback.version"
    );
}

#[test]
fn nobody_else_s_grant_or_file_and_no_other_tenant_gets_a_bundle_in() {
    let world = World::new();
    for node in &world.clouds.nodes {
        for tenant in ["acme", "globex"] {
            let made = node
                .curl
                .post("/api/v1/tenants", &json!({ "name": tenant }))
                .json();
            let admin =
                json!({ "name": "ann", "role": "tenant-admin", "tenant": made["id"], "password": PASSWORD });
            assert_eq!(node.curl.post("/api/v1/users", &admin).status, 201);
        }
    }
    let tool = world.path("tool.bin");
    std::fs::write(&tool, noise(3, 100_000)).unwrap();
    let of = |node: &Member, tenant: &str| Curl::log_in(&node.service, &format!("{tenant}/ann"));
    let (owner, stranger) = (of(world.south(), "acme"), of(world.south(), "globex"));
    let source = of(world.north(), "acme");
    let catalog = source
        .post("/api/v1/catalogs", &json!({ "name": "images" }))
        .json();
    let new = json!({ "item": "tool", "kind": "file", "version": "1.0", "files": [{ "name": "tool.bin", "bytes": 100_000 }] });
    let path = format!("/api/v1/catalogs/{}/versions", catalog["id"].as_str().unwrap());
    let version = source.post(&path, &new).json();
    let id = version["id"].as_str().unwrap().to_owned();
    let put = source.ask(
        &format!("/api/v1/versions/{id}/files/tool.bin"),
        &["--upload-file", tool.to_str().unwrap()],
    );
    assert!(put.status < 300, "{}", put.json());
    let place = json!({ "tenant": "acme", "catalog": "images", "item": "tool" });
    let wish = json!({
        "source": "north", "destination": "south", "from": place, "to": place, "route": "carried",
    });
    let transfer = world.clouds.ordered(&wish);
    world
        .clouds
        .waits(&transfer, |transfer| transfer["state"] == "GRANTED");
    let grant = world.text("grant");
    world
        .clouds
        .server
        .person
        .get(&["transfer", "grant", &transfer, "-o", &grant]);
    is(&world.create("bundle", "grant"), 0);

    let version = source.get(&format!("/api/v1/versions/{id}")).json();
    let file = &version["files"][0];
    let offer = json!({
        "label": "1.0", "kind": "file",
        "files": [{ "name": "tool.bin", "bytes": 100_000, "digest": file["digest"] }],
    });
    let asked = |grant: &Value, offer: &Value| json!({ "grant": grant, "offer": offer });
    let signed = world.signed("grant");
    let bring = |curl: &Curl, body: &Value| {
        let answer = curl.post("/api/v1/arrivals", body);
        (answer.status, answer.json())
    };
    let good = asked(&signed, &offer);
    assert_eq!(bring(&stranger, &good).0, 404);
    assert_eq!(
        bring(&of(world.north(), "acme"), &good).0,
        403,
        "it is for another node"
    );
    let mut forged = signed.clone();
    forged["document"] = json!(forged["document"].as_str().unwrap().replacen('A', "B", 1));
    assert_eq!(bring(&owner, &asked(&forged, &offer)).0, 403);
    for (field, value) in [
        ("label", json!("2.0")),
        ("kind", json!("package")),
        ("files", json!([])),
        (
            "files",
            json!([{ "name": "tool.bin", "bytes": 100_000, "digest": "a".repeat(64) }]),
        ),
        (
            "files",
            json!([{ "name": "../tool", "bytes": 100_000, "digest": file["digest"] }]),
        ),
    ] {
        let mut other = offer.clone();
        other[field] = value;
        assert_eq!(bring(&owner, &asked(&signed, &other)).0, 422, "{other}");
    }
    let path = format!("/api/v1/arrivals/{transfer}");
    assert_eq!(owner.get("/api/v1/arrivals/none").status, 404);
    let (status, begun) = bring(&owner, &good);
    assert_eq!(status, 200, "{begun}");
    assert_eq!(begun["phase"], "RECEIVING", "{begun}");
    assert_eq!((owner.get(&path).status, stranger.get(&path).status), (200, 404));
    // Other bytes than those that were granted don't become a file.
    std::fs::write(world.path("other.bin"), noise(4, 100_000)).unwrap();
    let here = format!(
        "/api/v1/versions/{}/files/tool.bin",
        begun["version"].as_str().unwrap()
    );
    let wrong = owner.ask(&here, &["--upload-file", &world.text("other.bin")]);
    assert_eq!(wrong.status, 422, "{}", wrong.json());
    assert_eq!(owner.get(&path).json()["phase"], "RECEIVING");
    // It was begun by one and is gone on with by another: the provider's administrator, with the bundle.
    assert_eq!(
        is(&world.bring(world.south(), "bundle", "key", &[]), 0)["phase"],
        "PUBLISHED"
    );
    assert_eq!(stranger.get(&path).status, 404);
    assert_eq!(stranger.get("/api/v1/items?q=tool").json(), json!([]));
    assert_eq!(owner.get("/api/v1/items?q=tool").json()[0]["version"], "1.0");
    // A receipt of ours, and not for it.
    let receipt = owner.get(&path).json()["receipt"].clone();
    let mut wrong = receipt.clone();
    wrong["document"] = signed["document"].clone();
    let told = format!("/api/v1/transfers/{transfer}/receipt");
    world.clouds.ended(&transfer);
    assert_eq!(world.clouds.server.curl.post(&told, &receipt).status, 200);
    assert_eq!(world.clouds.server.curl.post(&told, &wrong).status, 409);
}
