//! Catalogs of a node, as content libraries subscribe to them: by curl, a password, and the references that they find.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says where"
)]

#[path = "connector/curl.rs"]
mod curl;
#[path = "connector/people.rs"]
mod people;

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use curl::{Answer, Curl};
use people::{PASSWORD, Person, Service};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
const OVF: &str = "<?xml version=\"1.0\"?>\n<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\" \
                   xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1\"><References><File ovf:id=\"d\" ovf:href=\"d.iso\"/></References>\
                   <VirtualSystem ovf:id=\"s\"><Info>A system</Info></VirtualSystem></Envelope>";

type Files<'a> = &'a [(&'a str, &'a [u8])];

/// A node with a catalog, and whoever fills it.
struct Node {
    service: Service,
    admin: Person,
    root: Curl,
    catalog: String,
    folder: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        let service = Service::start("node");
        let admin = Person::administrator(&service);
        let root = Curl::log_in(&service, "root");
        let made = root.post(
            "/api/v1/catalogs",
            &json!({ "name": "images", "description": "Of ours" }),
        );
        assert_eq!(made.status, 201, "{}", made.json());
        Self {
            catalog: id(&made),
            service,
            admin,
            root,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Brings a version, and gives its id.
    fn bring(&self, item: &str, kind: &str, version: &str, files: Files) -> String {
        bring(
            &self.root,
            &self.folder,
            &self.catalog,
            (item, kind, version),
            files,
        )
    }

    fn subscriber(&self, secret: &str) -> Subscriber {
        Subscriber {
            curl: Curl::showing(&self.service, &format!("user = \"vcsp:{secret}\"\n")),
            library: format!("/vcsp/{}/lib.json", self.catalog),
        }
    }

    /// A subscriber with a token of the administrator's that may read catalogs.
    fn subscribed(&self) -> Subscriber {
        self.subscriber(&token(&self.root, &["catalogs:read"]))
    }

    fn item(&self, name: &str) -> Value {
        let items = self.root.get("/api/v1/items").json();
        let found = items.as_array().unwrap().iter().find(|item| item["name"] == name);
        found.unwrap().clone()
    }

    fn patch(&self, item: &str, patch: &Value) {
        let item = self.item(item);
        let path = format!("/api/v1/items/{}", item["id"].as_str().unwrap());
        let revision = item["revision"].as_i64().unwrap();
        let changed = self.root.change("PATCH", &path, revision, Some(patch));
        assert_eq!(changed.status, 200, "{}", changed.json());
    }

    fn remove(&self, version: &str) {
        let path = format!("/api/v1/versions/{version}");
        let revision = self.root.get(&path).json()["revision"].as_i64().unwrap();
        assert_eq!(self.root.change("DELETE", &path, revision, None).status, 204);
    }
}

fn bring(
    curl: &Curl,
    folder: &tempfile::TempDir,
    catalog: &str,
    (item, kind, version): (&str, &str, &str),
    files: Files,
) -> String {
    let told: Vec<_> = files
        .iter()
        .map(|(name, bytes)| json!({ "name": name, "bytes": bytes.len() }))
        .collect();
    let wish = json!({ "item": item, "kind": kind, "version": version, "files": told });
    let announced = curl.post(&format!("/api/v1/catalogs/{catalog}/versions"), &wish);
    assert_eq!(announced.status, 201, "{}", announced.json());
    let version = id(&announced);
    for (name, bytes) in files {
        let source = folder.path().join("source");
        std::fs::write(&source, bytes).unwrap();
        let path = format!(
            "/api/v1/versions/{version}/files/{}",
            name.replace(' ', "%20").replace('#', "%23")
        );
        let sent = curl.ask(&path, &["-T", source.to_str().unwrap()]);
        assert_eq!(sent.status, 200, "{}", sent.json());
    }
    let end = Instant::now() + PATIENCE;
    loop {
        let now = curl.get(&format!("/api/v1/versions/{version}")).json();
        match now["state"].as_str() {
            Some("PUBLISHED") => return version,
            Some("VERIFYING") if Instant::now() < end => sleep(Duration::from_millis(20)),
            _ => panic!("{now}"),
        }
    }
}

fn id(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn token(curl: &Curl, scope: &[&str]) -> String {
    let made = curl.post(
        "/api/v1/tokens",
        &json!({ "name": "subscriber", "scope": scope, "days": 1 }),
    );
    assert_eq!(made.status, 201, "{}", made.json());
    made.json()["secret"].as_str().unwrap().to_owned()
}

fn sha256(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn number(value: &Value) -> i64 {
    value.as_str().unwrap().parse().unwrap()
}

/// A content library that knows the address of `lib.json` and a password, and nothing else of the node.
struct Subscriber {
    curl: Curl,
    library: String,
}

/// What a library had of an item: its document, and the bytes of its files.
type Synchronised = BTreeMap<String, (Value, BTreeMap<String, Vec<u8>>)>;

impl Subscriber {
    /// The address of a reference, which is relative to the library's own.
    fn of(&self, reference: &Value) -> String {
        let (folder, _) = self.library.rsplit_once('/').unwrap();
        let reference = reference.as_str().unwrap();
        assert!(
            !reference.starts_with('/') && !reference.contains(".."),
            "{reference}"
        );
        format!("{folder}/{reference}")
    }

    fn get(&self, path: &str) -> Answer {
        let answer = self.curl.get(path);
        assert_eq!(
            answer.status,
            200,
            "{path}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        answer
    }

    fn library(&self) -> Value {
        let answer = self.get(&self.library);
        assert_eq!(answer.field("content-type"), "application/json");
        answer.json()
    }

    fn items(&self) -> Vec<Value> {
        let listed = self.get(&self.of(&self.library()["itemsHref"])).json();
        listed["items"].as_array().unwrap().clone()
    }

    fn item(&self, name: &str) -> Value {
        self.items()
            .into_iter()
            .find(|item| item["name"] == name)
            .unwrap()
    }

    /// Fetches what a document of an item names, and compares.
    fn files(&self, item: &Value) -> BTreeMap<String, Vec<u8>> {
        let files = item["files"].as_array().unwrap().iter().map(|file| {
            let name = file["name"].as_str().unwrap().to_owned();
            let fetched = self.get(&self.of(&file["hrefs"][0]));
            assert_eq!(
                fetched.body.len() as u64,
                file["size"].as_u64().unwrap(),
                "{name}"
            );
            let etag = file["etag"].as_str().unwrap();
            assert_eq!(fetched.field("etag"), format!("\"{etag}\""), "{name}");
            assert_eq!(etag, format!("sha256-{}", sha256(&fetched.body)), "{name}");
            (name, fetched.body)
        });
        files.collect()
    }

    /// All that the library offers.
    fn synchronise(&self) -> Synchronised {
        let items = self.items().into_iter().map(|listed| {
            let item = self.get(&self.of(&listed["selfHref"])).json();
            assert_eq!(item, listed, "an item says of itself what the list says");
            let name = item["name"].as_str().unwrap().to_owned();
            let files = self.files(&item);
            (name, (item, files))
        });
        items.collect()
    }
}

fn files_of(brought: Files) -> BTreeMap<String, Vec<u8>> {
    let files = brought
        .iter()
        .map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()));
    files.collect()
}

#[test]
fn a_subscriber_that_knows_an_address_and_a_password_gets_every_file_as_it_was_brought() {
    let node = Node::new();
    let policy = json!({ "signer": "none" });
    let set = node
        .root
        .change("PUT", "/api/v1/policies/provider", 0, Some(&policy));
    assert_eq!(set.status, 200, "{}", set.json());
    let disk = vec![7; 200_000];
    let manifest = format!(
        "SHA256(web.ovf)= {}\nSHA256(d.iso)= {}\n",
        sha256(OVF.as_bytes()),
        sha256(&disk)
    );
    let package: Files = &[
        ("web.ovf", OVF.as_bytes()),
        ("d.iso", &disk),
        ("web.mf", manifest.as_bytes()),
    ];
    let image: Files = &[("tools.iso", b"an image")];
    let other: Files = &[("read me #1 ä?.txt", b"a text"), ("empty", b"")];
    let encoded: Files = &[("readme.txt", b"a text"), ("empty", b"")];
    node.bring("web", "package", "1.0", package);
    node.bring("tools", "file", "1.0", image);
    node.bring("notes", "file", "1.0", encoded);
    let pushed = node.folder.path().join(other[0].0);
    std::fs::write(&pushed, other[0].1).unwrap();
    node.admin.get(&[
        "push",
        "images/notes",
        "2.0",
        pushed.to_str().unwrap(),
        "--kind",
        "file",
    ]);

    let subscriber = node.subscribed();
    let library = subscriber.library();
    assert_eq!(library["vcspVersion"], "2");
    assert_eq!(library["id"], format!("urn:uuid:{}", node.catalog));
    assert_eq!(
        (&library["name"], &library["description"]),
        (&json!("images"), &json!("Of ours"))
    );
    assert_eq!(library["capabilities"]["transferOut"], json!(["httpGet"]));
    let had = subscriber.synchronise();
    let types: Vec<_> = had
        .iter()
        .map(|(name, (item, _))| (name.as_str(), item["type"].as_str().unwrap()))
        .collect();
    assert_eq!(
        types,
        [
            ("notes", "vcsp.other"),
            ("tools", "vcsp.iso"),
            ("web", "vcsp.ovf")
        ]
    );
    assert_eq!(had["web"].1, files_of(package));
    assert_eq!(had["tools"].1, files_of(image));
    assert_eq!(had["notes"].1, files_of(&other[..1]));
    for (name, (item, _)) in &had {
        let own = node.item(name);
        assert_eq!(item["id"], format!("urn:uuid:{}", own["id"].as_str().unwrap()));
        assert_eq!(item["created"], own["created"]);
    }

    // A disk whose transfer broke off goes on.
    let href = subscriber.of(&had["web"].0["files"][1]["hrefs"][0]);
    let part = subscriber.curl.ask(&href, &["--range", "150000-"]);
    assert_eq!((part.status, part.body.as_slice()), (206, &disk[150_000..]));
    for (path, length) in [
        (subscriber.library.as_str(), None),
        (href.as_str(), Some("200000")),
    ] {
        let head = subscriber.curl.ask(path, &["--head"]);
        assert_eq!(head.status, 200, "{path}");
        assert!(
            length.is_none_or(|length| head.field("content-length") == length),
            "{path}"
        );
    }
}

#[test]
fn versions_grow_with_what_is_offered_and_with_nothing_else() {
    let node = Node::new();
    node.bring("disk", "file", "1.0", &[("a.bin", b"one")]);
    node.bring("other", "file", "1.0", &[("b.bin", b"other")]);
    let subscriber = node.subscribed();
    let items = subscriber.of(&subscriber.library()["itemsHref"]);
    let seen = || {
        let library = subscriber.get(&subscriber.library);
        let listed = subscriber.get(&items);
        assert_eq!(listed.json()["version"], library.json()["version"]);
        assert_eq!(listed.field("etag"), library.field("etag"));
        let found = subscriber.items().into_iter().find(|item| item["name"] == "disk");
        let of = |name: &str| found.as_ref().map(|item| number(&item[name]));
        (
            (
                number(&library.json()["version"]),
                library.field("etag").to_owned(),
            ),
            (of("version"), of("contentVersion"), of("metadataVersion")),
        )
    };
    let known = |path: &str, etag: &str| {
        let answer = subscriber
            .curl
            .ask(path, &["--header", &format!("If-None-Match: {etag}")]);
        assert!(answer.status == 200 || answer.body.is_empty());
        answer.status
    };
    let ((first, etag), item) = seen();
    let own = subscriber.of(&subscriber.item("disk")["selfHref"]);
    let own_etag = subscriber.get(&own).field("etag").to_owned();
    for path in [&subscriber.library, &items] {
        assert_eq!(known(path, &etag), 304, "{path}");
    }
    assert_eq!(known(&own, &own_etag), 304);

    // Nothing of this is offered.
    node.bring("disk", "file", "0.9", &[("a.bin", b"older")]);
    node.patch("disk", &json!({ "labels": { "os": "none" } }));
    let wish =
        json!({ "item": "disk", "kind": "file", "version": "3", "files": [{ "name": "a.bin", "bytes": 1 }] });
    let announced = node
        .root
        .post(&format!("/api/v1/catalogs/{}/versions", node.catalog), &wish);
    assert_eq!(announced.status, 201);
    assert_eq!(seen(), ((first, etag.clone()), item));

    node.patch("disk", &json!({ "description": "With words" }));
    let ((second, etag_2), described) = seen();
    assert!(second > first && described.0 > item.0 && described.2 > item.2);
    assert_eq!(described.1, item.1, "its files are the same");
    assert_eq!(
        (known(&subscriber.library, &etag), known(&items, &etag)),
        (200, 200)
    );
    assert_eq!(known(&own, &own_etag), 200);
    assert_ne!(etag, etag_2);

    let two = node.bring("disk", "file", "2.0", &[("a.bin", b"two")]);
    let ((third, _), newer) = seen();
    assert!(third > second && newer.0 > described.0 && newer.1 > described.1);
    let generation = subscriber.item("disk")["files"][0]["generationNum"].as_i64();
    assert_eq!(generation, newer.1);

    // Back to the former one is news, too.
    node.remove(&two);
    let ((fourth, _), back) = seen();
    assert!(fourth > third && back.0 > newer.0 && back.1 > newer.1);
    assert_eq!(subscriber.synchronise()["disk"].1, files_of(&[("a.bin", b"one")]));

    let path = format!(
        "/api/v1/items/{}/versions",
        node.item("disk")["id"].as_str().unwrap()
    );
    for version in node.root.get(&path).json().as_array().unwrap() {
        node.remove(version["id"].as_str().unwrap());
    }
    let ((fifth, _), gone) = seen();
    assert!(
        fifth > fourth && gone.0.is_none(),
        "an item that offers nothing is none"
    );
    assert_eq!(subscriber.curl.get(&own).status, 404);
    let before = node
        .root
        .get(&format!("/api/v1/catalogs/{}", node.catalog))
        .json()["revision"]
        .as_i64()
        .unwrap();
    let patch = json!({ "description": "Other words" });
    let path = format!("/api/v1/catalogs/{}", node.catalog);
    assert_eq!(node.root.change("PATCH", &path, before, Some(&patch)).status, 200);
    assert!(seen().0.0 > fifth);
    assert_eq!(subscriber.library()["description"], "Other words");
}

#[test]
fn who_reads_while_a_version_is_published_has_all_of_the_former_one_or_all_of_the_new() {
    let node = Node::new();
    let one: Files = &[
        ("a.bin", b"one"),
        ("b.bin", b"one, too"),
        ("gone.bin", b"one alone"),
    ];
    let two: Files = &[
        ("a.bin", b"two"),
        ("b.bin", b"two, as well"),
        ("new.bin", b"two alone"),
    ];
    node.bring("disk", "file", "1.0", one);
    let subscriber = node.subscribed();
    let read = subscriber.item("disk");
    node.bring("disk", "file", "2.0", two);
    assert_eq!(subscriber.files(&read), files_of(one));
    assert_eq!(subscriber.synchronise()["disk"].1, files_of(two));
}

#[test]
fn a_library_of_more_items_than_are_read_at_once_is_listed_whole() {
    let node = Node::new();
    let subscriber = node.subscribed();
    assert_eq!(subscriber.synchronise(), Synchronised::new());
    let long = "x".repeat(150);
    let names: Vec<_> = (0..30).map(|number| format!("{long}-{number}.bin")).collect();
    let files: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| (name.as_str(), b"x".as_slice()))
        .collect();
    node.bring("many", "file", "1", &files);
    for number in 0..20 {
        node.bring(&format!("item-{number}"), "file", "1", &[("a.bin", &[number])]);
    }
    let items = subscriber.items();
    assert_eq!(items.len(), 21);
    let many = items.iter().find(|item| item["name"] == "many").unwrap();
    assert_eq!(many["files"].as_array().unwrap().len(), 30);
}

#[test]
fn nobody_gets_in_but_programs_that_may_read_catalogs_and_they_see_what_is_their_tenant_s() {
    let node = Node::new();
    let version = node.bring("disk", "file", "1.0", &[("a.bin", b"one")]);
    let other = node.bring("other", "file", "1.0", &[("a.bin", b"other")]);
    let subscriber = node.subscribed();
    let disk = subscriber.item("disk");
    let paths = [
        subscriber.library.clone(),
        subscriber.of(&json!("items.json")),
        subscriber.of(&disk["selfHref"]),
        subscriber.of(&disk["files"][0]["hrefs"][0]),
    ];
    let session = node.root.post(
        "/api/v1/session",
        &json!({ "name": "root", "password": PASSWORD }),
    );
    let session = session.json()["token"].as_str().unwrap().to_owned();
    let good = token(&node.root, &["catalogs:read"]);
    let narrow = token(&node.root, &["trust:read"]);
    let basic = |name: &str, secret: &str| format!("user = \"{name}:{secret}\"\n");
    let bearer = |secret: &str| format!("header = \"Authorization: Bearer {secret}\"\n");
    for (auth, status) in [
        (String::new(), 401),
        (basic("vcsp", "vcc_nothing"), 401),
        (basic("root", PASSWORD), 401),
        (basic("vcsp", &session), 401),
        ("header = \"Authorization: Basic !\"\n".to_owned(), 401),
        ("header = \"Authorization: Negotiate x\"\n".to_owned(), 401),
        (basic("vcsp", &narrow), 403),
        (bearer(&narrow), 403),
        (basic("vcsp", &good), 200),
        (basic("", &good), 200),
        (bearer(&good), 200),
        (bearer(&session), 200),
    ] {
        let curl = Curl::showing(&node.service, &auth);
        for path in &paths {
            let answer = curl.get(path);
            assert_eq!(answer.status, status, "{auth} {path}");
            let challenge = if status == 401 { "Basic realm=\"vcc\"" } else { "" };
            assert_eq!(answer.field("www-authenticate"), challenge, "{auth} {path}");
        }
    }
    let elsewhere = Curl::showing(&node.service, &basic("vcsp", &good)).get("/api/v1/catalogs");
    assert_eq!(
        (elsewhere.status, elsewhere.field("www-authenticate")),
        (401, "Bearer")
    );
    let written = subscriber
        .curl
        .ask(&paths[3], &["--request", "PUT", "--data", "x"]);
    assert_eq!(written.status, 405);

    // What is there is there under its own address alone.
    let (item, catalog) = (
        disk["selfHref"].as_str().unwrap().split('/').next().unwrap(),
        &node.catalog,
    );
    for path in [
        format!("/vcsp/{catalog}/{item}/{other}/a.bin"),
        format!("/vcsp/{item}/{item}/{version}/a.bin"),
        format!("/vcsp/{catalog}/{item}/{version}/b.bin"),
        format!("/vcsp/{catalog}/{item}/{version}/..%2Fa.bin"),
        format!("/vcsp/{catalog}/{catalog}/item.json"),
        format!("/vcsp/{item}/lib.json"),
        format!("/vcsp/{catalog}/"),
        "/vcsp/".to_owned(),
    ] {
        assert_eq!(subscriber.curl.get(&path).status, 404, "{path}");
    }
    let wish =
        json!({ "item": "disk", "kind": "file", "version": "2", "files": [{ "name": "a.bin", "bytes": 9 }] });
    let coming = id(&node
        .root
        .post(&format!("/api/v1/catalogs/{catalog}/versions"), &wish));
    let unpublished = format!("/vcsp/{catalog}/{item}/{coming}/a.bin");
    assert_eq!(subscriber.curl.get(&unpublished).status, 404);

    let tenant = id(&node.root.post("/api/v1/tenants", &json!({ "name": "a" })));
    let admin = json!({ "name": "ann", "role": "tenant-admin", "tenant": tenant, "password": PASSWORD });
    assert_eq!(node.root.post("/api/v1/users", &admin).status, 201);
    let ann = Curl::log_in(&node.service, "a/ann");
    let own = id(&ann.post("/api/v1/catalogs", &json!({ "name": "own" })));
    bring(
        &ann,
        &node.folder,
        &own,
        ("disk", "file", "1"),
        &[("a.bin", b"ann's")],
    );
    let stranger = node.subscriber(&token(&ann, &["catalogs:read"]));
    for path in &paths {
        assert_eq!(stranger.curl.get(path).status, 404, "{path}");
    }
    let at_home = Subscriber {
        library: format!("/vcsp/{own}/lib.json"),
        ..stranger
    };
    assert_eq!(at_home.synchronise()["disk"].1, files_of(&[("a.bin", b"ann's")]));
}

#[test]
fn a_node_that_was_put_back_to_a_backup_counts_on_from_where_no_subscriber_has_been() {
    let mut node = Node::new();
    node.bring("disk", "file", "1.0", &[("a.bin", b"one")]);
    let subscriber = node.subscribed();
    let state = node.service.state.path().to_str().unwrap().to_owned();
    let saved = node.folder.path().join("backup.tar").to_str().unwrap().to_owned();
    let done = node.admin.try_to(&["backup", "--state", &state, &saved]);
    assert_eq!(done.status, 0, "{}{}", done.out, done.err);
    for version in ["2.0", "3.0", "4.0"] {
        node.bring("disk", "file", version, &[("a.bin", version.as_bytes())]);
    }
    let (library, item) = (subscriber.library(), subscriber.item("disk"));
    node.service.kill();
    let done = node
        .admin
        .try_to(&["restore", "--replace", "--state", &state, &saved]);
    assert_eq!(done.status, 0, "{}{}", done.out, done.err);
    node.service.kill_and_start("node");
    let (restored, old) = (subscriber.library(), subscriber.item("disk"));
    assert!(number(&restored["version"]) > number(&library["version"]));
    for name in ["version", "contentVersion", "metadataVersion"] {
        assert!(number(&old[name]) > number(&item[name]), "{name}: {old}");
    }
}
