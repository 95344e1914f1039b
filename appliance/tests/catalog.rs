//! Catalogs of a node, as curl fills and reads them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says where"
)]

#[path = "connector/curl.rs"]
mod curl;
#[path = "connector/people.rs"]
mod people;

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use curl::{Answer, Curl};
use people::{PASSWORD, Person, Service};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// A node, its administrator, and a catalog of the provider's.
struct Node {
    service: Service,
    root: Curl,
    catalog: String,
    folder: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        let service = Service::start("node");
        Person::administrator(&service);
        let root = Curl::log_in(&service, "root");
        let made = root.post("/api/v1/catalogs", &json!({ "name": "images" }));
        assert_eq!(made.status, 201, "{}", made.json());
        Self {
            catalog: id(&made),
            service,
            root,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Noise in a file.
    fn file(&self, name: &str, bytes: usize) -> (PathBuf, Vec<u8>) {
        let mut state = name
            .bytes()
            .fold(bytes as u64, |state, byte| state * 257 + u64::from(byte));
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state ^ (state >> 29)).to_be_bytes()
        });
        let mut noise: Vec<u8> = noise.take(bytes / 8 + 1).flatten().collect();
        noise.truncate(bytes);
        let path = self.folder.path().join(name);
        std::fs::write(&path, &noise).unwrap();
        (path, noise)
    }

    fn announce(&self, version: &str, files: &Value) -> Answer {
        let wish = json!({ "item": "disk", "kind": "file", "version": version, "files": files });
        self.root
            .post(&format!("/api/v1/catalogs/{}/versions", self.catalog), &wish)
    }

    /// Brings one file as a version, whole.
    fn bring(&self, version: &str, path: &Path, bytes: usize) -> String {
        let announced = self.announce(version, &json!([{ "name": "a.bin", "bytes": bytes }]));
        assert_eq!(announced.status, 201, "{}", announced.json());
        let id = id(&announced);
        let sent = self.root.ask(&file_of(&id), &["-T", text(path)]);
        assert_eq!(sent.status, 200, "{}", sent.json());
        assert_eq!(settled(&self.root, &id)["state"], "PUBLISHED");
        id
    }

    fn item(&self) -> Value {
        self.root.get("/api/v1/items").json()[0].clone()
    }

    /// Files of the node's that are whole.
    fn blobs(&self) -> usize {
        let found = std::process::Command::new("find")
            .arg(self.service.state.path().join("blobs"))
            .args(["-type", "f"])
            .output()
            .unwrap();
        found.stdout.iter().filter(|byte| **byte == b'\n').count()
    }
}

/// Waits until a node has these chunk indexes and no others.
fn await_indexes(node: &Node, digests: &[&str]) {
    let folder = node.service.state.path().join("indexes/provider");
    let end = Instant::now() + PATIENCE;
    loop {
        let entries = folder.read_dir().into_iter().flatten();
        let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        if names == digests {
            return;
        }
        assert!(Instant::now() < end, "{names:?}");
        sleep(Duration::from_millis(50));
    }
}

fn id(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn file_of(version: &str) -> String {
    format!("/api/v1/versions/{version}/files/a.bin")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A version once it has been judged.
fn settled(curl: &Curl, id: &str) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let version = curl.get(&format!("/api/v1/versions/{id}")).json();
        if !matches!(version["state"].as_str(), Some("RECEIVING" | "VERIFYING")) {
            return version;
        }
        assert!(Instant::now() < end, "{version}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_file_that_curl_sends_is_published_and_comes_back_whole_in_parts_and_with_its_digest() {
    let node = Node::new();
    let (path, bytes) = node.file("a", 3_000_000);
    let announced = node.announce("1.0", &json!([{ "name": "a.bin", "bytes": bytes.len() }]));
    let version = id(&announced);
    assert_eq!(
        node.root.get(&file_of(&version)).status,
        409,
        "nothing can be had yet"
    );
    assert_eq!(
        node.announce("1.0", &json!([{ "name": "b", "bytes": 1 }])).status,
        409
    );
    let sent = node.root.ask(&file_of(&version), &["-T", text(&path)]);
    assert_eq!((sent.status, sent.field("upload-offset")), (200, "3000000"));
    assert_eq!(sent.json()["digest"], sha256(&bytes));
    assert_eq!(settled(&node.root, &version)["state"], "PUBLISHED");
    assert_eq!(node.item()["version"], "1.0");

    let whole = node.root.get(&file_of(&version));
    assert_eq!((whole.status, whole.body == bytes), (200, true));
    assert_eq!(whole.field("etag"), format!("\"sha256-{}\"", sha256(&bytes)));
    assert!(whole.field("repr-digest").starts_with("sha-256=:"));
    assert_eq!(
        whole.field("content-disposition"),
        "attachment; filename=\"a.bin\""
    );
    let part = node.root.ask(&file_of(&version), &["--range", "1000000-1999999"]);
    assert_eq!(part.status, 206);
    assert!(part.body == bytes[1_000_000..2_000_000]);

    // As somebody who was cut off: what is there is gone on with.
    let half = node.folder.path().join("half");
    std::fs::write(&half, &bytes[..1_234_567]).unwrap();
    let mut resume = node.root.command(&file_of(&version));
    assert!(
        resume
            .args(["-C", "-", "-o", text(&half)])
            .status()
            .unwrap()
            .success()
    );
    assert!(std::fs::read(&half).unwrap() == bytes);
    let again = node.root.ask(&file_of(&version), &["-T", text(&path)]);
    assert_eq!(again.status, 409, "what is published never changes");
}

#[test]
fn a_large_file_gets_a_chunk_index_after_its_publication_also_when_it_was_lost_and_none_is_left_over() {
    let mut node = Node::new();
    let (small, bytes) = node.file("small", 1 << 19);
    node.bring("1.0", &small, bytes.len());
    let (large, bytes) = node.file("large", 2 << 20);
    let version = node.bring("1.1", &large, bytes.len());
    let digest = sha256(&bytes);
    await_indexes(&node, &[&digest]);

    let path = node.service.state.path().join("indexes/provider").join(&digest);
    let index = std::fs::read(&path).unwrap();
    std::fs::rename(&path, path.with_file_name("0".repeat(64))).unwrap();
    node.service.kill_and_start("node");
    await_indexes(&node, &[&digest]);
    assert!(std::fs::read(&path).unwrap() == index);

    let version = format!("/api/v1/versions/{version}");
    let revision = node.root.get(&version).json()["revision"].as_i64().unwrap();
    let removed = node.root.change("DELETE", &version, revision, None);
    assert_eq!(removed.status, 204);
    await_indexes(&node, &[]);
}

#[test]
fn an_upload_that_broke_off_goes_on_where_it_ended_also_after_the_node_was_killed() {
    let mut node = Node::new();
    let (path, bytes) = node.file("a", 20 << 20);
    let announced = node.announce(
        "1.0",
        &json!([{ "name": "a.bin", "bytes": bytes.len(), "digest": sha256(&bytes) }]),
    );
    assert_eq!(announced.status, 201, "{}", announced.json());
    let version = id(&announced);
    let offset = |node: &Node| -> usize {
        let end = Instant::now() + PATIENCE;
        loop {
            let head = node.root.ask(&file_of(&version), &["--head"]);
            if head.status == 204 {
                return head.field("upload-offset").parse().unwrap();
            }
            assert!(Instant::now() < end, "{}", head.status);
            sleep(Duration::from_millis(50));
        }
    };
    assert_eq!(offset(&node), 0);
    let mut slow = node.root.command(&file_of(&version));
    slow.args(["-T", text(&path), "--limit-rate", "2M", "--max-time", "3"]);
    assert!(!slow.status().unwrap().success());
    let first = offset(&node);
    assert!(first > 0 && first < bytes.len(), "{first}");
    let elsewhere = node
        .root
        .ask(&file_of(&version), &["-T", text(&path), "-C", "17"]);
    assert_eq!(
        (elsewhere.status, elsewhere.json()["code"].clone()),
        (409, json!("wrong-offset"))
    );
    assert_eq!(elsewhere.field("upload-offset"), first.to_string());

    let mut slow = node.root.command(&file_of(&version));
    let mut sending = slow
        .args(["-T", text(&path), "-C", &first.to_string(), "--limit-rate", "2M"])
        .spawn()
        .unwrap();
    sleep(Duration::from_secs(1));
    node.service.kill_and_start("node");
    assert!(!sending.wait().unwrap().success());
    let second = offset(&node);
    assert!(second >= first && second < bytes.len(), "{second}");
    let rest = node.root.ask(
        &file_of(&version),
        &["-T", text(&path), "-C", &second.to_string()],
    );
    assert_eq!(rest.status, 200, "{}", rest.json());
    assert_eq!(settled(&node.root, &version)["state"], "PUBLISHED");
    assert!(node.root.get(&file_of(&version)).body == bytes);
}

#[test]
fn a_source_that_changed_while_it_was_sent_is_refused_and_leaves_nothing() {
    let node = Node::new();
    let (path, mut bytes) = node.file("a", 2 << 20);
    let announced = node.announce(
        "1.0",
        &json!([{ "name": "a.bin", "bytes": bytes.len(), "digest": sha256(&bytes) }]),
    );
    let version = id(&announced);
    let half = (1 << 20).to_string();
    let first = node.folder.path().join("first");
    std::fs::write(&first, &bytes[..1 << 20]).unwrap();
    let range = format!("Content-Range: bytes 0-{}/{}", (1 << 20) - 1, bytes.len());
    let begun = node
        .root
        .ask(&file_of(&version), &["-T", text(&first), "--header", &range]);
    assert_eq!((begun.status, begun.field("upload-offset")), (200, half.as_str()));
    bytes[100] ^= 1;
    bytes[(1 << 20) + 100] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let rest = node
        .root
        .ask(&file_of(&version), &["-T", text(&path), "-C", &half]);
    assert_eq!(rest.status, 422);
    assert_eq!(rest.json()["code"], "digest-mismatch");
    let head = node.root.ask(&file_of(&version), &["--head"]);
    assert_eq!(head.field("upload-offset"), "0", "it begins anew");
    let longer = node.folder.path().join("longer");
    std::fs::write(&longer, vec![0; bytes.len() + 1]).unwrap();
    assert_eq!(
        node.root.ask(&file_of(&version), &["-T", text(&longer)]).status,
        422
    );
    assert_eq!(node.blobs(), 0);
}

#[test]
fn an_item_offers_its_newest_version_and_what_is_removed_takes_its_bytes_along() {
    let node = Node::new();
    let (path, bytes) = node.file("a", 10_000);
    let (other, _) = node.file("b", 10_000);
    let two = node.bring("2.0", &path, bytes.len());
    node.bring("1.9", &path, bytes.len());
    assert_eq!(node.item()["version"], "2.0", "an older one is no news");
    assert_eq!(node.blobs(), 1, "equal files take room once");
    let three = node.bring("10.0", &other, bytes.len());
    assert_eq!(node.item()["version"], "10.0");
    assert_eq!(node.blobs(), 2);
    let remove = |id: &str| {
        let path = format!("/api/v1/versions/{id}");
        let revision = node.root.get(&path).json()["revision"].as_i64().unwrap();
        assert_eq!(node.root.change("DELETE", &path, revision - 1, None).status, 412);
        assert_eq!(node.root.change("DELETE", &path, revision, None).status, 204);
        assert_eq!(node.root.get(&path).status, 404);
    };
    let blobs = node.service.state.path().join("blobs/provider");
    std::fs::rename(&blobs, node.folder.path().join("lost")).unwrap();
    let lost = node.root.get(&file_of(&three));
    assert_eq!(
        (lost.status, lost.json()["code"].clone()),
        (409, json!("not-expected"))
    );
    assert!(
        lost.json()["detail"]
            .as_str()
            .unwrap()
            .contains("not here any more")
    );
    std::fs::rename(node.folder.path().join("lost"), &blobs).unwrap();
    remove(&three);
    assert_eq!((node.item()["version"].clone(), node.blobs()), (json!("2.0"), 1));
    remove(&two);
    assert_eq!((node.item()["version"].clone(), node.blobs()), (json!("1.9"), 1));
    let listed = node.root.get(&format!(
        "/api/v1/items/{}/versions",
        node.item()["id"].as_str().unwrap()
    ));
    assert_eq!(listed.json().as_array().unwrap().len(), 1);
}

#[test]
fn there_is_room_or_there_is_none_before_the_first_byte() {
    let node = Node::new();
    let tenant = id(&node.root.post("/api/v1/tenants", &json!({ "name": "a" })));
    let path = format!("/api/v1/quotas/{tenant}");
    let limited = node.root.change("PUT", &path, 0, Some(&json!({ "quota": 1000 })));
    assert_eq!(limited.status, 200, "{}", limited.json());
    let admin = json!({ "name": "ann", "role": "tenant-admin", "tenant": tenant, "password": PASSWORD });
    assert_eq!(node.root.post("/api/v1/users", &admin).status, 201);
    let ann = Curl::log_in(&node.service, "a/ann");
    assert_eq!(
        ann.change("PUT", &path, 1, Some(&json!({ "quota": null })))
            .status,
        403
    );
    let catalog = id(&ann.post("/api/v1/catalogs", &json!({ "name": "own" })));
    let announce = |version: &str, bytes: i64| {
        let files = json!([{ "name": "a.bin", "bytes": bytes }]);
        let wish = json!({ "item": "disk", "kind": "file", "version": version, "files": files });
        ann.post(&format!("/api/v1/catalogs/{catalog}/versions"), &wish)
    };
    let first = announce("1", 600);
    assert_eq!(first.status, 201);
    let refused = announce("2", 600);
    assert_eq!(
        (refused.status, refused.json()["code"].clone()),
        (507, json!("no-room"))
    );
    assert!(
        refused.json()["detail"]
            .as_str()
            .unwrap()
            .contains("400 of 1000 are left")
    );
    assert_eq!(
        ann.get(&path).json(),
        json!({ "quota": 1000, "bytes": 600, "versions": 1 })
    );
    let version = format!("/api/v1/versions/{}", id(&first));
    assert_eq!(ann.change("DELETE", &version, 1, None).status, 204);
    assert_eq!(announce("2", 600).status, 201, "what comes no more keeps no room");
    let files = json!([{ "name": "a.bin", "bytes": 1_i64 << 45 }]);
    assert_eq!(node.announce("1", &files).status, 507, "the disk has an end, too");
}

#[test]
fn a_package_is_refused_with_its_reason_until_somebody_is_believed() {
    let node = Node::new();
    let descriptor = "<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\"/>";
    let files = json!([{ "name": "web.ovf", "bytes": descriptor.len() }]);
    let wish =
        |version: &str| json!({ "item": "web", "kind": "package", "version": version, "files": files });
    let path = format!("/api/v1/catalogs/{}/versions", node.catalog);
    let bring = |version: &str| {
        let announced = node.root.post(&path, &wish(version));
        assert_eq!(announced.status, 201, "{}", announced.json());
        let source = node.folder.path().join("web.ovf");
        std::fs::write(&source, descriptor).unwrap();
        let file = format!("/api/v1/versions/{}/files/web.ovf", id(&announced));
        assert_eq!(node.root.ask(&file, &["-T", text(&source)]).status, 200);
        settled(&node.root, &id(&announced))
    };
    let refused = bring("1");
    assert_eq!(refused["state"], "REJECTED");
    assert_eq!(refused["verdict"]["checks"][0]["code"], "trust.nobody");
    let policy = json!({ "signer": "none" });
    assert_eq!(
        node.root
            .change("PUT", "/api/v1/policies/provider", 0, Some(&policy))
            .status,
        200
    );
    // The label of what was refused is free again; and now it is the package itself that is judged.
    let refused = bring("1");
    assert_eq!(refused["state"], "REJECTED", "{refused}");
    let failed = |check: &&Value| check["outcome"] == "failed";
    let checks = refused["verdict"]["checks"].as_array().unwrap();
    assert!(checks.iter().find(failed).unwrap()["reason"].is_string());
    assert_eq!(node.blobs(), 0);
    for files in [
        json!([{ "name": "a.ovf", "bytes": 1 }, { "name": "b.ovf", "bytes": 1 }]),
        json!([{ "name": "a", "bytes": 1 }]),
    ] {
        let wish = json!({ "item": "web", "kind": "package", "version": "2", "files": files });
        assert_eq!(node.root.post(&path, &wish).status, 422);
    }
    let other =
        json!({ "item": "web", "kind": "file", "version": "2", "files": [{ "name": "a", "bytes": 1 }] });
    assert_eq!(node.root.post(&path, &other).status, 409, "it is a package");
}

#[test]
fn a_tenant_finds_nothing_of_another_s_catalogs_whatever_it_asks_for() {
    let node = Node::new();
    let (path, bytes) = node.file("a", 1000);
    let people: Vec<_> = ["a", "b"]
        .iter()
        .map(|name| {
            let tenant = id(&node.root.post("/api/v1/tenants", &json!({ "name": name })));
            let admin =
                json!({ "name": "ann", "role": "tenant-admin", "tenant": tenant, "password": PASSWORD });
            assert_eq!(node.root.post("/api/v1/users", &admin).status, 201);
            (Curl::log_in(&node.service, &format!("{name}/ann")), tenant)
        })
        .collect();
    let mut paths = Vec::new();
    for (ann, tenant) in &people {
        let catalog = ann.post("/api/v1/catalogs", &json!({ "name": "same" }));
        assert_eq!(
            (catalog.status, catalog.json()["tenant"].clone()),
            (201, json!(tenant))
        );
        let wish = json!({ "item": "disk", "kind": "file", "version": "1", "files": [{ "name": "a.bin", "bytes": bytes.len() }] });
        let version = id(&ann.post(&format!("/api/v1/catalogs/{}/versions", id(&catalog)), &wish));
        assert_eq!(ann.ask(&file_of(&version), &["-T", text(&path)]).status, 200);
        assert_eq!(settled(ann, &version)["state"], "PUBLISHED");
        let item = ann.get("/api/v1/items").json();
        assert_eq!(item.as_array().unwrap().len(), 1, "{item}");
        let item = item[0]["id"].as_str().unwrap().to_owned();
        paths.push([
            format!("/api/v1/catalogs/{}", id(&catalog)),
            format!("/api/v1/items/{item}"),
            format!("/api/v1/items/{item}/versions"),
            format!("/api/v1/versions/{version}"),
            file_of(&version),
            format!("/api/v1/policies/{tenant}"),
            format!("/api/v1/quotas/{tenant}"),
        ]);
    }
    assert_eq!(node.blobs(), 2, "tenants share no bytes");
    for (index, (ann, _)) in people.iter().enumerate() {
        let (own, other) = (&paths[index], &paths[1 - index]);
        for path in own {
            assert_eq!(ann.get(path).status, 200, "{path}");
        }
        for path in other
            .iter()
            .map(String::as_str)
            .chain(["/api/v1/policies/provider", "/api/v1/quotas/provider"])
        {
            assert_eq!(ann.get(path).status, 404, "{path}");
        }
        assert_eq!(ann.ask(&other[4], &["-T", text(&path)]).status, 404);
        assert_eq!(ann.change("DELETE", &other[3], 1, None).status, 404);
        let there = json!({ "name": "x", "tenant": people[1 - index].1 });
        assert_eq!(ann.post("/api/v1/catalogs", &there).status, 422);
        let searched = ann.get("/api/v1/items?q=disk").json();
        assert_eq!(searched.as_array().unwrap().len(), 1);
        let search = format!("/api/v1/items?catalog={}", other[0].rsplit('/').next().unwrap());
        assert_eq!(ann.get(&search).json(), json!([]));
    }
}

#[test]
fn items_are_found_by_words_and_labels_and_by_nothing_that_only_looks_like_them() {
    let node = Node::new();
    let (path, bytes) = node.file("a", 10);
    node.bring("1", &path, bytes.len());
    let item = node.item();
    let own = format!("/api/v1/items/{}", item["id"].as_str().unwrap());
    let patch = json!({ "description": "100% Debian_12", "labels": { "os": "debian", "arch": "amd64" } });
    let changed = node
        .root
        .change("PATCH", &own, item["revision"].as_i64().unwrap(), Some(&patch));
    assert_eq!(changed.status, 200, "{}", changed.json());
    for (search, found) in [
        ("q=DEBIAN", 1),
        ("q=100%25", 1),
        ("q=debian_1", 1),
        ("q=debian%251", 0),
        ("q=d_bian", 0),
        ("label=os%3Ddebian", 1),
        ("label=os%3Dubuntu", 0),
        ("label=os%3Ddebian&q=nothing", 0),
    ] {
        let answer = node.root.get(&format!("/api/v1/items?{search}"));
        assert_eq!(answer.json().as_array().unwrap().len(), found, "{search}");
    }
    assert_eq!(node.root.get("/api/v1/items?label=os").status, 422);
    assert_eq!(node.root.get("/api/v1/items?colour=red").status, 422);
    let catalog = format!("/api/v1/catalogs/{}", node.catalog);
    assert_eq!(
        node.root.change("DELETE", &catalog, 1, None).status,
        409,
        "it has items"
    );
}
