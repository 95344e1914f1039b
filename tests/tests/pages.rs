//! The pages and the wizard, as somebody uses them in a browser.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use e2e::artefacts;
use e2e::authority::Authority;
use e2e::browser::Browser;
use e2e::clouds::Clouds;
use e2e::connector::{Connector, PASSWORD};
use e2e::web;

fn administrator(browser: &Browser, code: &str) {
    browser.fill("[name=code]", code);
    browser.fill("[name=name]", "root");
    browser.fill("[name=password]", PASSWORD);
    browser.fill("[name=again]", PASSWORD);
}

#[test]
fn two_people_set_a_server_and_a_node_up_compare_a_fingerprint_and_see_all_of_it_live() {
    let Some(browser) = Browser::open() else { return };
    let (server_state, node_state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Connector::start("server", server_state.path());
    let node = Connector::start("node", node_state.path());

    browser.go(&server.origin());
    assert!(browser.url().ends_with("/setup"));
    let shown = web::fingerprint(server.address.port());
    assert!(
        browser.text("footer").contains(&shown),
        "what the connection shows stands on the page"
    );
    browser.picture("wizard.png");
    administrator(&browser, "0000-0000-0000");
    browser.click("button.main");
    browser.wait_for(".alert", "credentials are wrong");
    // The form remembers all but the passwords.
    administrator(&browser, &server.code);
    browser.click("button.main");
    browser.wait_for("h1", "Overview");
    browser.go(&format!("{}/setup", server.origin()));
    browser.wait_for("h1", "Overview");

    browser.go(&format!("{}/nodes", server.origin()));
    browser.click("form[action='/nodes/code'] button");
    let code = browser.text("code.secret");

    browser.go(&node.origin());
    administrator(&browser, &node.code);
    browser.fill("[name=server]", &format!("localhost:{}", server.address.port()));
    browser.fill("[name=enrolment]", &code);
    browser.fill("[name=cloud]", "north");
    browser.fill("[name=node]", "north-1");
    browser.click("button.main");
    browser.wait_for("main", "PENDING");
    browser.go(&format!("{}/enrolment", node.origin()));
    let fingerprint = browser.text(".attention .fingerprint");
    browser.picture("enrolment.png");

    browser.go(&server.origin());
    browser.wait_for(".attention", "north-1 in north");
    browser.picture("overview.png");
    browser.click(".attention a");
    assert_eq!(browser.text(".attention .fingerprint"), fingerprint);
    browser.picture("approval.png");
    browser.click("[name=compared]");
    browser.click("button.main");
    browser.wait_for(".lead", "LIVE");

    browser.click("form[action$=order] button");
    browser.wait_for(".lead", "DONE");
    browser.wait_for("pre", "\"version\"");
    browser.picture("task.png");

    browser.go(&format!("{}/configuration?scope=cloud:north", server.origin()));
    browser.fill("[name=notice]", "In maintenance until ten");
    browser.click("button.main");
    browser.wait_for("section", "notice: In maintenance until ten");
    browser.picture("configuration.png");
    browser.go(&format!("{}/enrolment", node.origin()));
    browser.wait_for("main", "ACTIVE");
    let start = std::time::Instant::now();
    while browser.run("return document.querySelector('.notice')?.textContent ?? ''")
        != "In maintenance until ten"
    {
        assert!(start.elapsed().as_secs() < 120, "the notice has not come");
        browser.go(&format!("{}/enrolment", node.origin()));
    }
    browser.picture("node.png");

    browser.go(&format!("{}/audit", server.origin()));
    for deed in ["node.approve", "task.create", "configuration.change"] {
        assert!(browser.text("table").contains(deed), "{deed}");
    }
    browser.click("form.leave button");
    browser.wait_for("h1", "Log in");
    browser.go(&format!("{}/nodes", server.origin()));
    assert!(browser.url().ends_with("/login?next=/nodes"));
    // Nothing but refusals that were provoked: no script or style was kept from its work.
    let complaints: Vec<_> = browser
        .complaints()
        .into_iter()
        .filter(|line| !line.contains("401"))
        .collect();
    assert_eq!(complaints, Vec::<String>::new());
}

#[test]
fn a_transfer_is_ordered_watched_and_understood_on_pages() {
    let Some(browser) = Browser::open() else { return };
    let folder = tempfile::tempdir().unwrap();
    let clouds = Clouds::start(folder.path(), &["north", "south", "west"]);
    let certificate = std::fs::read_to_string(artefacts::key("ca.pem")).unwrap();
    for node in clouds.nodes.iter().take(2) {
        node.trust(&certificate);
    }
    let other = Authority::new(2048).expect("openssl makes certificates");
    clouds.nodes[2].trust(&std::fs::read_to_string(other.path("root.pem")).unwrap());
    let brought = clouds.nodes[0].bring("web", "package", "1.4.0", &[&artefacts::package()]);
    assert_eq!(brought["state"], "PUBLISHED", "{brought}");
    let server = &clouds.server;
    browser.go(&format!("{}/login", server.origin()));
    browser.fill("[name=name]", "root");
    browser.fill("[name=password]", PASSWORD);
    browser.click("button.main");
    browser.wait_for("h1", "Overview");
    let order = |destination: &str, rate: &str, route: &str| {
        browser.go(&format!("{}/transfers/new", server.origin()));
        for (name, value) in [
            ("source", "north"),
            ("catalog", "images"),
            ("item", "web"),
            ("destination", destination),
            ("rate", rate),
        ] {
            browser.fill(&format!("[name={name}]"), value);
        }
        browser.run(&format!(
            "document.querySelector('[name=route]').value = '{route}'"
        ));
        if rate == "1MiB" {
            browser.picture("transfer-order.png");
        }
        browser.click("button.main");
        browser.wait_for("h1", "images/web");
    };
    order("south", "1MiB", "auto");
    browser.wait_for("[aria-current=step]", "RECEIVING");
    browser.wait_for(".lead", "left");
    browser.picture("transfer-under-way.png");
    // The page shows by itself how it goes on.
    browser.wait_for("[aria-current=step]", "PUBLISHED");
    browser.wait_for("main", "Receipt");
    browser.picture("transfer-done.png");
    order("west", "", "auto");
    browser.wait_for("[aria-current=step]", "REJECTED");
    browser.wait_for("[role=alert]", "certificate.untrusted");
    browser.picture("transfer-refused.png");
    order("south", "", "carried");
    browser.wait_for("main", "vcc bundle create");
    browser.picture("transfer-by-hand.png");
    browser.click("button.danger");
    browser.wait_for("[aria-current=step]", "CANCELLED");
    browser.go(&format!("{}/transfers", server.origin()));
    for state in ["PUBLISHED", "REJECTED", "CANCELLED"] {
        browser.wait_for("table", state);
    }
    browser.picture("transfers.png");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_small_screen_scrolls_in_one_direction() {
    let Some(browser) = Browser::open() else { return };
    let state = tempfile::tempdir().unwrap();
    let server = Connector::start("server", state.path());
    browser.go(&server.origin());
    administrator(&browser, &server.code);
    browser.click("button.main");
    browser.wait_for("h1", "Overview");
    for page in [
        "/",
        "/nodes",
        "/tasks",
        "/transfers",
        "/transfers/new",
        "/configuration",
        "/authority",
        "/audit",
        "/support-bundle",
    ] {
        browser.go(&format!("{}{page}", server.origin()));
        let widths = "document.body.style.width = '320px'; return document.body.scrollWidth";
        let width = browser.run(widths).as_i64().unwrap();
        assert!(width <= 320, "{page} is {width} pixels wide");
    }
}
