//! What pages give away, to whom, and from where they take forms.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "connector/connector.rs"]
mod connector;
#[path = "connector/enrolled.rs"]
mod enrolled;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use connector::{Connector, PASSWORD};
use enrolled::{Listening, enrol};
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper::{HeaderMap, Request};
use hyper_util::service::TowerToHyperService;
use serde_json::json;

const OURS: (&str, &str) = ("sec-fetch-site", "same-origin");

struct Seen {
    status: u16,
    fields: HeaderMap,
    text: String,
}

impl Seen {
    fn place(&self) -> &str {
        self.fields["location"].to_str().unwrap()
    }

    fn cookie(&self) -> &str {
        let cookie = self.fields["set-cookie"].to_str().unwrap();
        cookie.split_once(';').unwrap().0
    }
}

async fn raw(own: &Connector, request: Request<Body>) -> (u16, HeaderMap, Vec<u8>) {
    let api = appliance::api::router(Arc::clone(&own.context));
    let pages = appliance::pages::over(Arc::clone(&own.context), api);
    let answer = TowerToHyperService::new(pages).call(request).await.unwrap();
    let (head, body) = answer.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (head.status.as_u16(), head.headers, bytes.to_vec())
}

async fn ask(own: &Connector, request: Request<Body>) -> Seen {
    let (status, fields, bytes) = raw(own, request).await;
    let text = String::from_utf8(bytes).unwrap();
    Seen { status, fields, text }
}

async fn fetch(own: &Connector, path: &str, cookie: &str) -> (u16, HeaderMap, Vec<u8>) {
    let request = Request::get(path).header("cookie", cookie);
    raw(own, request.body(Body::empty()).unwrap()).await
}

async fn get(own: &Connector, path: &str, cookie: &str) -> Seen {
    let request = Request::get(path).header("cookie", cookie);
    ask(own, request.body(Body::empty()).unwrap()).await
}

async fn send(own: &Connector, path: &str, cookie: &str, from: (&str, &str), form: &str) -> Seen {
    let request = Request::post(path)
        .header("host", "node.example:8443")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("cookie", cookie)
        .header(from.0, from.1);
    ask(own, request.body(Body::from(form.to_owned())).unwrap()).await
}

/// A server, and the cookie of its administrator.
async fn set_up() -> (Connector, String, String) {
    let (own, root) = Connector::set_up().await;
    let cookie = log_in(&own).await;
    (own, root, cookie)
}

/// The cookie of its administrator.
async fn log_in(own: &Connector) -> String {
    let form = format!("name=root&password={}", PASSWORD.replace(' ', "+"));
    let seen = send(own, "/login", "", OURS, &form).await;
    assert_eq!((seen.status, seen.place()), (303, "/"), "{}", seen.text);
    seen.cookie().to_owned()
}

#[tokio::test]
async fn before_the_set_up_there_is_only_the_wizard_and_afterwards_none() {
    let own = Connector::new().await;
    for path in ["/", "/nodes", "/login", "/audit", "/configuration"] {
        let seen = get(&own, path, "").await;
        assert_eq!((seen.status, seen.place()), (303, "/setup"), "{path}");
    }
    let code = own.context.setup_code().unwrap();
    let form = |again: &str| format!("code={code}&name=root&password=correct+horse&again={again}&ntp=");
    let seen = send(&own, "/setup", "", OURS, &form("other")).await;
    assert_eq!(seen.status, 422);
    assert!(seen.text.contains("The two passwords differ.") && !seen.text.contains("correct horse"));
    let seen = send(
        &own,
        "/setup",
        "",
        ("sec-fetch-site", "cross-site"),
        &form("correct+horse"),
    )
    .await;
    assert_eq!(seen.status, 403);
    let seen = send(&own, "/setup", "", OURS, &form("correct+horse")).await;
    assert_eq!((seen.status, seen.place()), (303, "/"), "{}", seen.text);
    let cookie = seen.fields["set-cookie"].to_str().unwrap();
    for part in [
        "__Host-vcc-",
        "; Path=/",
        "; Secure",
        "; HttpOnly",
        "; SameSite=Strict",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert_eq!(get(&own, "/setup", "").await.place(), "/");
    assert_eq!(
        send(&own, "/setup", "", OURS, &form("correct+horse"))
            .await
            .place(),
        "/login"
    );
}

#[tokio::test]
async fn a_form_from_elsewhere_is_refused_whoever_is_logged_in() {
    let (own, root, cookie) = set_up().await;
    for from in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "none"),
        ("origin", "https://evil.example"),
        ("origin", "https://node.example:9443"),
        ("origin", "http://node.example:8443"),
        ("origin", "null"),
        ("x-none", "1"),
    ] {
        let seen = send(
            &own,
            "/configuration",
            &cookie,
            from,
            "scope=all&version=0&notice=evil",
        )
        .await;
        assert_eq!(seen.status, 403, "{from:?}");
    }
    assert_eq!(
        own.get(&root, "/api/v1/configurations/all").await.body["version"],
        0
    );
    for (version, from) in [("0", OURS), ("1", ("origin", "https://node.example:8443"))] {
        let form = format!("scope=all&version={version}&notice=ours");
        let seen = send(&own, "/configuration", &cookie, from, &form).await;
        assert_eq!(seen.status, 303, "{from:?} {}", seen.text);
    }
    // The API takes no cookie: no page of others can use a session.
    let seen = get(&own, "/api/v1/users", &cookie).await;
    assert_eq!(seen.status, 401);
}

#[tokio::test]
async fn texts_of_others_are_texts_on_a_page() {
    let (own, root, cookie) = set_up().await;
    let hostile = "<script>alert(1)</script>\"' onload=\"x";
    let wanted = json!({ "settings": { "notice": hostile } });
    let path = "/api/v1/configurations/all";
    assert_eq!(
        own.matching(&root, "PUT", path, "\"0\"", Some(&wanted))
            .await
            .status,
        200
    );
    let seen = get(&own, "/configuration", &cookie).await;
    assert!(
        seen.text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
        "{}",
        seen.text
    );
    assert!(!seen.text.contains("<script>alert") && !seen.text.contains("\" onload=\""));
    let seen = send(&own, "/login", "", OURS, "name=%3Cb%3E%22&password=x&next=%2F").await;
    assert_eq!(seen.status, 401);
    assert!(seen.text.contains("&lt;b&gt;&quot;"), "{}", seen.text);
}

#[tokio::test]
async fn a_login_leads_to_a_page_of_ours_and_nowhere_else() {
    let (own, _, _) = set_up().await;
    for next in [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/a?b=c",
        "/%2F",
    ] {
        let seen = get(&own, &format!("/login?next={}", next.replace('\\', "%5C")), "").await;
        assert!(
            seen.text.contains("name=\"next\" value=\"/\""),
            "{next}: {}",
            seen.text
        );
        let form = format!(
            "name=root&password={}&next={}",
            PASSWORD.replace(' ', "+"),
            next.replace('%', "%25")
        );
        assert_eq!(send(&own, "/login", "", OURS, &form).await.place(), "/", "{next}");
    }
    let form = format!("name=root&password={}&next=/nodes", PASSWORD.replace(' ', "+"));
    assert_eq!(send(&own, "/login", "", OURS, &form).await.place(), "/nodes");
}

#[tokio::test]
async fn pages_load_nothing_but_their_own_style_and_script_and_hold_none_themselves() {
    let (own, root, cookie) = set_up().await;
    let tenant = own.tenant(&root, "acme").await.0;
    for path in [
        "/",
        "/login",
        "/nodes",
        "/tasks",
        "/configuration",
        "/authority",
        "/audit",
        "/nodes/none",
        "/style.css",
    ] {
        let seen = get(&own, path, &cookie).await;
        let policy = seen.fields["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{path}: {policy}"
        );
        assert_eq!(seen.fields["x-frame-options"], "DENY", "{path}");
        assert_eq!(seen.fields["cache-control"], "no-store", "{path}");
        assert!(
            !seen.text.contains(" style=") && !seen.text.contains(" onclick="),
            "{path}"
        );
        let scripts: Vec<_> = seen.text.match_indices("<script").collect();
        assert!(scripts.len() <= 1, "{path}");
    }
    assert_eq!(get(&own, "/nodes/none", &cookie).await.status, 404);
    assert_eq!(get(&own, "/nodes/../users", &cookie).await.status, 404);
    assert!(!tenant.is_empty());
}

#[tokio::test]
async fn whoever_may_not_see_something_is_not_shown_it() {
    let (own, root, cookie) = set_up().await;
    own.tenant(&root, "acme").await;
    let form = format!("name=acme%2Facme-admin&password={}", PASSWORD.replace(' ', "+"));
    let tenant = send(&own, "/login", "", OURS, &form).await;
    let tenant = tenant.cookie();
    let seen = get(&own, "/", tenant).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert!(!seen.text.contains("href=\"/nodes\""), "{}", seen.text);
    for path in [
        "/nodes",
        "/tasks",
        "/configuration",
        "/authority",
        "/authority/force",
    ] {
        assert_eq!(get(&own, path, tenant).await.status, 403, "{path}");
    }
    for path in ["/nodes/code", "/authority/rotate", "/authority/force"] {
        assert_eq!(send(&own, path, tenant, OURS, "").await.status, 403, "{path}");
    }
    // Who is logged out is nobody.
    assert_eq!(send(&own, "/logout", &cookie, OURS, "").await.place(), "/login");
    assert_eq!(get(&own, "/nodes", &cookie).await.place(), "/login?next=/nodes");
}

#[tokio::test]
async fn a_page_that_nobody_looks_at_keeps_no_session_alive() {
    let (own, _, cookie) = set_up().await;
    let refresh = || {
        let request = Request::get("/")
            .header("cookie", &cookie)
            .header("vcc-unattended", "1");
        ask(&own, request.body(Body::empty()).unwrap())
    };
    for _ in 0..5 {
        own.advance(Duration::from_secs(5 * 60));
        assert_eq!(refresh().await.status, 200);
    }
    assert_eq!(get(&own, "/", &cookie).await.status, 200, "somebody is there");
    for _ in 0..11 {
        own.advance(Duration::from_secs(5 * 60));
        assert_eq!(refresh().await.status, 200);
    }
    own.advance(Duration::from_secs(6 * 60));
    let seen = refresh().await;
    assert_eq!((seen.status, seen.place()), (303, "/login"));
}

#[tokio::test]
async fn an_administrator_fetches_the_support_bundle_with_a_browser_and_the_audit_log_tells() {
    let (own, root, cookie) = set_up().await;
    let seen = get(&own, "/", &cookie).await;
    assert!(seen.text.contains("href=\"/support-bundle\""), "{}", seen.text);
    let seen = get(&own, "/support-bundle", &cookie).await;
    assert!(
        seen.text.contains("href=\"/support-bundle/file\""),
        "{}",
        seen.text
    );
    let seen = fetch(&own, "/support-bundle/file", &cookie).await;
    assert_eq!((seen.0, &seen.2[..2]), (200, &[0x1f, 0x8b][..]));
    assert_eq!(seen.1["content-type"], "application/gzip");
    assert_eq!(
        seen.1["content-disposition"],
        "attachment; filename=\"support-bundle.tar.gz\""
    );
    let log = own.get(&root, "/api/v1/audit").await.body;
    assert_eq!(log[0]["action"], "support-bundle.read", "{log}");

    let seen = get(&own, "/support-bundle", "").await;
    assert_eq!(seen.place(), "/login?next=/support-bundle");
    own.tenant(&root, "acme").await;
    let form = format!("name=acme%2Facme-admin&password={}", PASSWORD.replace(' ', "+"));
    let tenant = send(&own, "/login", "", OURS, &form).await;
    for path in ["/support-bundle", "/support-bundle/file"] {
        assert_eq!(get(&own, path, tenant.cookie()).await.status, 403, "{path}");
    }
    assert!(
        !get(&own, "/", tenant.cookie())
            .await
            .text
            .contains("/support-bundle")
    );

    // The console tells the API's address.
    let typed = Request::get("/api/v1/support-bundle").header("accept", "text/html,*/*;q=0.8");
    let seen = ask(&own, typed.body(Body::empty()).unwrap()).await;
    assert_eq!((seen.status, seen.place()), (303, "/support-bundle"));
    assert_eq!(get(&own, "/api/v1/support-bundle", &cookie).await.status, 401);
}

#[tokio::test]
async fn a_node_that_was_sent_away_shows_why_and_takes_another_code() {
    let state = tempfile::tempdir().unwrap();
    let server = Listening::start().await;
    let (node, id) = enrol(&server, state.path()).await;
    let path = format!("/api/v1/nodes/{id}/revoke");
    server.own.post(&server.root, &path, &json!({})).await;
    node.wait_for("REVOKED").await;
    let cookie = log_in(&node.own).await;
    for page in ["/", "/enrolment"] {
        let seen = get(&node.own, page, &cookie).await;
        assert!(
            seen.text.contains("administrator has sent this node away"),
            "{}",
            seen.text
        );
    }
    assert!(
        get(&node.own, "/enrolment", &cookie)
            .await
            .text
            .contains("name=\"code\"")
    );
}

#[tokio::test]
async fn a_cloud_without_nodes_has_its_settings_on_the_page() {
    let (own, root, cookie) = set_up().await;
    let wanted = json!({ "settings": { "notice": "soon" } });
    let path = "/api/v1/configurations/cloud:nobody-yet";
    let answer = own.matching(&root, "PUT", path, "\"0\"", Some(&wanted)).await;
    assert_eq!(answer.status, 200);
    let seen = get(&own, "/configuration", &cookie).await;
    let link = "href=\"/configuration?scope=cloud:nobody-yet\"";
    assert_eq!(seen.text.matches(link).count(), 1, "{}", seen.text);
}

#[tokio::test]
async fn a_forced_step_of_a_rotation_names_whom_it_leaves_behind_and_is_confirmed() {
    let state = tempfile::tempdir().unwrap();
    let server = Listening::start().await;
    let (node, id) = enrol(&server, state.path()).await;
    node.end().await;
    let own = &server.own;
    let cookie = log_in(own).await;
    let name = server.nodes().await[0]["name"].as_str().unwrap().to_owned();

    let seen = get(own, "/authority", &cookie).await;
    assert!(seen.text.contains("no other is on its way"), "{}", seen.text);
    let first = own.get(&server.root, "/api/v1/authority").await.body;
    assert!(seen.text.contains(first["key"].as_str().unwrap()));
    assert_eq!(get(own, "/authority/force", &cookie).await.place(), "/authority");
    let seen = send(own, "/authority/rotate", &cookie, OURS, "sure=yes").await;
    assert_eq!((seen.status, seen.place()), (303, "/authority"));

    let seen = get(own, "/authority", &cookie).await;
    assert!(seen.text.contains("It waits for one node"), "{}", seen.text);
    assert!(seen.text.contains(&format!("<li>{name}</li>")) && !seen.text.contains("/authority/rotate"));
    let seen = get(own, "/authority/force", &cookie).await;
    assert!(seen.text.contains("Use the next key now?"), "{}", seen.text);
    assert!(seen.text.contains(&format!("<li>{name}</li>")), "{}", seen.text);

    let form = |step: &str, seen: &str, sure: &str| {
        format!("step={step}&waiting=1&seen=%5B%22{seen}%22%5D&sure={sure}")
    };
    for refused in [
        form("SWITCH", "another", "yes"),
        form("RETIRE", &name, "yes"),
        form("SWITCH", &name, ""),
    ] {
        let seen = send(own, "/authority/force", &cookie, OURS, &refused).await;
        assert_eq!(seen.status, 409, "{refused}");
        assert!(seen.text.contains(&format!("<li>{name}</li>")), "{}", seen.text);
    }
    let seen = send(
        own,
        "/authority/force",
        &cookie,
        OURS,
        &form("SWITCH", &name, "yes"),
    )
    .await;
    assert_eq!(seen.status, 303, "{}", seen.text);
    let now = own.get(&server.root, "/api/v1/authority").await.body;
    assert_eq!((&now["former"], now.get("next")), (&first["key"], None));
    assert!(server.audited("node.leave-behind", &id).await);
    let seen = get(own, "/authority", &cookie).await;
    assert!(seen.text.contains("The next key is in use."), "{}", seen.text);
}

#[tokio::test]
async fn what_is_no_scope_never_becomes_another_one() {
    let (own, root, cookie) = set_up().await;
    for scope in ["cloud:eu@north", "all", "node:a.b"] {
        let seen = get(&own, &format!("/configuration?scope={scope}"), &cookie).await;
        assert!(matches!(seen.status, 200 | 404), "{scope}: {}", seen.status);
        assert!(
            seen.status == 404 || seen.text.contains(&format!("value=\"{scope}\"")),
            "{scope}"
        );
    }
    for scope in [
        "cloud",
        "everything",
        "cloud:a/b",
        "cloud%3Aa%20b",
        "cloud:%C3%A4",
    ] {
        let seen = get(&own, &format!("/configuration?scope={scope}"), &cookie).await;
        assert_eq!(seen.status, 404, "{scope}");
        let form = format!("scope={scope}&version=0&notice=oops");
        let seen = send(&own, "/configuration", &cookie, OURS, &form).await;
        assert_eq!(seen.status, 404, "{scope}");
    }
    let all = own.get(&root, "/api/v1/configurations/all").await.body;
    assert_eq!(all["version"], 0, "{all}");
}
