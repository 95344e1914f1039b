//! Pages of a node's catalogs, as a browser is shown them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says where"
)]

#[path = "connector/curl.rs"]
mod curl;
#[path = "connector/people.rs"]
mod people;

use curl::{Answer, Curl};
use people::{PASSWORD, Person, Service};
use serde_json::json;

const OURS: &str = "Sec-Fetch-Site: same-origin";

/// Somebody with a browser, whose session is a cookie alone.
struct Browser {
    curl: Curl,
    jar: String,
    _folder: tempfile::TempDir,
}

impl Browser {
    fn log_in(service: &Service, name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let browser = Self {
            curl: Curl::log_in(service, name),
            jar: folder.path().join("jar").to_str().unwrap().to_owned(),
            _folder: folder,
        };
        let (name, password) = (format!("name={name}"), format!("password={PASSWORD}"));
        let form = ["--data-urlencode", &name, "--data-urlencode", &password];
        let more = ["--cookie-jar", &browser.jar, "--header", OURS];
        let seen = browser.curl.ask("/login", &[&form[..], &more].concat());
        assert_eq!((seen.status, seen.field("location")), (303, "/"));
        browser
    }

    fn get(&self, path: &str) -> Answer {
        self.curl.ask(path, &["--cookie", &self.jar])
    }

    fn page(&self, path: &str) -> String {
        let seen = self.get(path);
        let text = String::from_utf8(seen.body.clone()).unwrap();
        assert_eq!(seen.status, 200, "{path}: {text}");
        let policy = seen.field("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert!(!text.contains(" style=") && !text.contains(" onclick="), "{path}");
        text
    }

    fn send(&self, path: &str, form: &str, from: &str) -> Answer {
        let sent = ["--cookie", &self.jar, "--data", form, "--header", from];
        self.curl.ask(path, &sent)
    }
}

/// A node with a catalog of the provider's, its administrator, and somebody of a tenant.
struct Node {
    service: Service,
    root: Person,
    browser: Browser,
}

impl Node {
    fn new() -> Self {
        let service = Service::start("node");
        let root = Person::administrator(&service);
        root.get(&[
            "catalog",
            "create",
            "images",
            "--description",
            "<b>What we run</b>",
        ]);
        Self {
            browser: Browser::log_in(&service, "root"),
            service,
            root,
        }
    }

    /// Brings a file, and gives the version's id.
    fn push(&self, item: &str, name: &str, bytes: &[u8]) -> String {
        let path = self.root.home.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let done = self
            .root
            .try_to(&["push", item, "1.0", path.to_str().unwrap(), "--json"]);
        done.json()["id"].as_str().unwrap().to_owned()
    }

    fn item(&self, name: &str) -> String {
        let items = self.root.get(&["catalog", "items", "--search", name]);
        items[0]["id"].as_str().unwrap().to_owned()
    }

    fn tenant(&self) -> Browser {
        self.root.get(&["tenant", "add", "acme"]);
        let password = self.root.file("ann", PASSWORD);
        let add = ["user", "add", "ann", "--role", "tenant-admin", "--tenant", "acme"];
        assert_eq!(self.root.call(&add, &[("--password-file", &password)]).status, 0);
        Browser::log_in(&self.service, "acme/ann")
    }
}

#[test]
fn what_catalogs_offer_is_found_shown_and_taken_in_parts() {
    let node = Node::new();
    let bytes: Vec<u8> = (0..=250).cycle().take(2_000_000).collect();
    let version = node.push("images/disk", "a b#.bin", &bytes);
    let browser = &node.browser;
    let page = browser.page("/catalogs");
    assert!(
        page.contains("href=\"/catalogs\" aria-current=\"page\""),
        "{page}"
    );
    assert!(
        page.contains("&lt;b&gt;What we run&lt;/b&gt;") && !page.contains("<b>What"),
        "{page}"
    );
    let item = format!("/items/{}", node.item("disk"));
    assert!(page.contains(&item) && page.contains("<td>1.0</td>"), "{page}");
    assert!(browser.page("/catalogs?q=DIS").contains(&item));
    let page = browser.page("/catalogs?q=%22%3E%3Ci%3E");
    assert!(
        !page.contains(&item) && !page.contains("<i>") && page.contains("Nothing is found."),
        "{page}"
    );

    let page = browser.page(&item);
    let file = format!("/versions/{version}/files/a%20b%23.bin");
    assert!(page.contains("PUBLISHED") && page.contains(&file), "{page}");
    let whole = browser.get(&file);
    assert!(whole.status == 200 && whole.body == bytes);
    assert!(whole.field("content-disposition").starts_with("attachment"));
    assert_eq!(whole.field("x-content-type-options"), "nosniff");
    let part = browser
        .curl
        .ask(&file, &["--cookie", &browser.jar, "--range", "1000-1999"]);
    assert_eq!(
        (part.status, part.field("content-range")),
        (206, "bytes 1000-1999/2000000")
    );
    assert!(part.body == bytes[1000..2000]);
    let tag = format!("If-None-Match: {}", whole.field("etag"));
    let known = browser
        .curl
        .ask(&file, &["--cookie", &browser.jar, "--header", &tag]);
    assert_eq!(known.status, 304);
    assert_eq!(browser.get("/versions/none/files/a").status, 404);
    // Who has no cookie is nobody, whatever else he shows.
    let nobody = browser.curl.ask(&file, &[]);
    assert_eq!(nobody.status, 303);
    assert!(nobody.field("location").starts_with("/login"));
}

#[test]
fn a_version_that_was_refused_says_why_and_one_is_removed_when_somebody_is_sure() {
    let node = Node::new();
    let version = node.push("images/web", "web.ova", b"no package");
    let browser = &node.browser;
    let item = format!("/items/{}", node.item("web"));
    let page = browser.page(&item);
    for part in [
        "REJECTED",
        "trust.nobody",
        "has named no certificate that it believes",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("/files/"), "nothing can be had: {page}");

    let remove = format!("/versions/{version}/remove");
    let value = |name: &str| {
        let start = page.find(&format!("name=\"{name}\" value=\"")).unwrap();
        page[start..].split('"').nth(3).unwrap().to_owned()
    };
    let form = format!("item={}&revision={}", value("item"), value("revision"));
    assert_eq!(browser.send(&remove, &form, OURS).status, 422, "nobody is sure");
    let sure = format!("{form}&sure=yes");
    assert_eq!(
        browser
            .send(&remove, &sure, "Origin: https://evil.example")
            .status,
        403
    );
    let late = format!("item={}&revision=1&sure=yes", value("item"));
    assert_eq!(browser.send(&remove, &late, OURS).status, 412);
    assert!(browser.page(&item).contains("REJECTED"));
    let removed = browser.send(&remove, &sure, OURS);
    assert_eq!((removed.status, removed.field("location")), (303, item.as_str()));
    assert!(browser.page(&item).contains("There is no version."));
}

#[test]
fn a_tenant_is_shown_what_is_its_own_and_nothing_else() {
    let node = Node::new();
    let ann = node.tenant();
    let version = node.push("images/disk", "a.bin", b"bytes");
    let item = format!("/items/{}", node.item("disk"));
    let page = ann.page("/catalogs");
    assert!(
        !page.contains("images") && page.contains("There is no catalog yet."),
        "{page}"
    );
    for path in [
        item.as_str(),
        &format!("/versions/{version}/files/a.bin"),
        "/trust?of=provider",
    ] {
        assert_eq!(ann.get(path).status, 404, "{path}");
    }
    let form = "item=x&revision=3&sure=yes";
    assert_eq!(
        ann.send(&format!("/versions/{version}/remove"), form, OURS)
            .status,
        404
    );
    assert_eq!(node.browser.get(&item).status, 200);

    let certificate = node.service.state.path().join("identity/cert.pem");
    let add = [
        "trust",
        "add",
        certificate.to_str().unwrap(),
        "--name",
        "publisher",
        "--tenant",
        "acme",
    ];
    node.root.get(&add);
    let policy = node
        .root
        .file("policy.json", &json!({ "min_key_bits": 3072 }).to_string());
    node.root
        .get(&["policy", "set", policy.to_str().unwrap(), "acme"]);
    let page = ann.page("/trust");
    assert!(
        page.contains("<td>publisher</td>") && page.contains("3072 at least"),
        "{page}"
    );
    let page = node.browser.page("/trust");
    assert!(
        !page.contains("<td>publisher</td>") && page.contains("every package is refused"),
        "{page}"
    );
    assert!(page.contains(">acme</a>"), "{page}");
}
