//! Set-up, sessions, users, tokens, tenants and the audit log, as requests meet them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "connector/connector.rs"]
mod connector;

use std::collections::HashSet;
use std::time::Duration;

use appliance::audit;
use connector::{Connector, PASSWORD};
use serde_json::json;

#[tokio::test]
async fn until_the_code_of_the_console_was_given_only_the_open_routes_answer_and_afterwards_set_up_is_gone() {
    let own = Connector::new().await;
    for path in ["/healthz", "/readyz", "/metrics", "/api/v1/about"] {
        assert_eq!(own.get("", path).await.status, 200, "{path}");
    }
    for path in ["/api/v1/users", "/api/v1/openapi.json", "/", "/api/v1/session"] {
        let answer = own.get("", path).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (503, &json!("setup-required")),
            "{path}"
        );
    }
    let with = |code: &str, password: &str| json!({ "code": code, "administrator": { "name": "root", "password": password } });
    let code = own.context.setup_code().unwrap();
    let wrong = own
        .post("", "/api/v1/setup", &with("0000-0000-0000", PASSWORD))
        .await;
    assert_eq!(
        (wrong.status, &wrong.body["code"]),
        (401, &json!("wrong-credentials"))
    );
    assert_eq!(
        own.post("", "/api/v1/setup", &with(&code, "short")).await.status,
        422
    );
    // How an ordinary process is reached is not its own matter.
    let mut network = with(&code, PASSWORD);
    network["network"] = json!({ "dhcp": true });
    assert_eq!(own.post("", "/api/v1/setup", &network).await.status, 422);
    let mut extra = with(&code, PASSWORD);
    extra["more"] = json!(1);
    assert_eq!(own.post("", "/api/v1/setup", &extra).await.status, 422);
    let made = own
        .post("", "/api/v1/setup", &with(&code.to_lowercase(), PASSWORD))
        .await;
    assert_eq!((made.status, &made.body["role"]), (201, &json!("provider-admin")));
    assert_eq!(own.context.setup_code(), None);
    let again = own.post("", "/api/v1/setup", &with(&code, PASSWORD)).await;
    assert_eq!((again.status, &again.body["code"]), (410, &json!("setup-done")));
    assert_eq!(own.get("", "/api/v1/users").await.status, 401);
    assert_eq!(own.get("", "/api/v1/nothing").await.status, 404);
}

#[tokio::test]
async fn two_people_with_the_code_make_one_administrator() {
    let own = Connector::new().await;
    let code = own.context.setup_code().unwrap();
    let body = |name: &str| json!({ "code": code, "administrator": { "name": name, "password": PASSWORD } });
    let (a, b) = (body("a"), body("b"));
    let (a, b) = tokio::join!(
        own.post("", "/api/v1/setup", &a),
        own.post("", "/api/v1/setup", &b)
    );
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 410]);
}

#[tokio::test]
async fn wrong_guesses_at_a_password_have_to_wait_and_those_at_the_set_up_code_keep_nobody_out() {
    let own = Connector::new().await;
    let guess =
        json!({ "code": "0000-0000-0000", "administrator": { "name": "root", "password": PASSWORD } });
    for _ in 0..50 {
        assert_eq!(own.post("", "/api/v1/setup", &guess).await.status, 401);
    }
    own.finish().await;
    let guess = json!({ "name": "root", "password": "a wrong password" });
    for _ in 0..11 {
        assert_eq!(own.post("", "/api/v1/session", &guess).await.status, 401);
    }
    let answer = own.post("", "/api/v1/session", &guess).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.fields["retry-after"], "2");
    own.advance(Duration::from_secs(2));
    assert_eq!(own.post("", "/api/v1/session", &guess).await.status, 401);
    assert_eq!(
        own.post("", "/api/v1/session", &guess).await.fields["retry-after"],
        "4"
    );
    let nobody = json!({ "name": "no name", "password": "a wrong password" });
    for _ in 0..20 {
        assert_eq!(own.post("", "/api/v1/session", &nobody).await.status, 401);
    }
}

#[tokio::test]
async fn strangers_who_log_in_all_at_once_hold_few_places_and_are_told_to_come_again() {
    let (own, _) = Connector::set_up().await;
    let ask = async |number: usize| {
        let guess = json!({ "name": format!("made-up-{number}"), "password": "a wrong password" });
        let answer = own.post("", "/api/v1/session", &guess).await;
        (answer.status, answer.body["code"].as_str().unwrap().to_owned())
    };
    let (a, b, c, d, e, f) = tokio::join!(ask(1), ask(2), ask(3), ask(4), ask(5), ask(6));
    let told = [a, b, c, d, e, f];
    let turned_away = told.iter().filter(|(status, _)| *status == 429).count();
    assert_eq!(turned_away, 2, "{told:?}");
    assert!(told.contains(&(429, "too-many-logins".to_owned())), "{told:?}");
    assert!(!own.log_in("root").await.is_empty());
}

#[tokio::test]
async fn a_session_ends_by_itself_and_at_once_by_logging_out_or_another_password() {
    let (own, root) = Connector::set_up().await;
    let who = own.get(&root, "/api/v1/session").await;
    assert_eq!(
        (who.status, &who.body["name"], &who.body["role"]),
        (200, &json!("root"), &json!("provider-admin"))
    );
    for wrong in ["", "vcc_wrong", &root[..root.len() - 1]] {
        let answer = own.get(wrong, "/api/v1/session").await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.fields["www-authenticate"], "Bearer");
    }
    // Used, it lives on; unused for an hour, or twelve hours old, it ends.
    for _ in 0..13 {
        own.advance(Duration::from_secs(50 * 60));
        assert_eq!(own.get(&root, "/api/v1/session").await.status, 200);
    }
    own.advance(Duration::from_secs(70 * 60));
    assert_eq!(own.get(&root, "/api/v1/session").await.status, 401);

    let (first, second) = (own.log_in("root").await, own.log_in("root").await);
    assert_eq!(
        own.ask(&first, "DELETE", "/api/v1/session", ("", ""), None)
            .await
            .status,
        204
    );
    assert_eq!(own.get(&first, "/api/v1/session").await.status, 401);
    let id = own.get(&second, "/api/v1/session").await.body["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let change = json!({ "password": "another password" });
    let path = format!("/api/v1/users/{id}");
    assert_eq!(
        own.matching(&second, "PATCH", &path, "\"1\"", Some(&change))
            .await
            .status,
        200
    );
    assert_eq!(own.get(&second, "/api/v1/session").await.status, 401);
    let old = json!({ "name": "root", "password": PASSWORD });
    assert_eq!(own.post("", "/api/v1/session", &old).await.status, 401);
}

#[tokio::test]
async fn nobody_s_change_is_lost_and_the_last_administrator_stays() {
    let (own, root) = Connector::set_up().await;
    let user = json!({ "name": "second", "role": "auditor", "password": PASSWORD });
    let made = own.post(&root, "/api/v1/users", &user).await;
    assert_eq!(
        (made.status, made.fields["etag"].to_str().unwrap()),
        (201, "\"1\"")
    );
    assert_eq!(own.post(&root, "/api/v1/users", &user).await.status, 409);
    let path = format!("/api/v1/users/{}", made.body["id"].as_str().unwrap());
    let promote = json!({ "role": "provider-admin" });
    assert_eq!(
        own.ask(&root, "PATCH", &path, ("", ""), Some(&promote))
            .await
            .status,
        428
    );
    assert_eq!(
        own.matching(&root, "PATCH", &path, "\"7\"", Some(&promote))
            .await
            .status,
        412
    );
    let changed = own.matching(&root, "PATCH", &path, "\"1\"", Some(&promote)).await;
    assert_eq!(
        (changed.status, changed.fields["etag"].to_str().unwrap()),
        (200, "\"2\"")
    );
    assert_eq!(
        own.matching(&root, "DELETE", &path, "\"1\"", None).await.status,
        412
    );
    assert_eq!(
        own.matching(&root, "DELETE", &path, "\"2\"", None).await.status,
        204
    );
    assert_eq!(own.get(&root, &path).await.status, 404);

    let who = own.get(&root, "/api/v1/session").await;
    let own_path = format!("/api/v1/users/{}", who.body["id"].as_str().unwrap());
    assert_eq!(
        own.matching(&root, "DELETE", &own_path, "\"1\"", None)
            .await
            .status,
        409
    );
    let demote = json!({ "role": "auditor" });
    assert_eq!(
        own.matching(&root, "PATCH", &own_path, "\"1\"", Some(&demote))
            .await
            .status,
        409
    );
}

#[tokio::test]
async fn a_tenant_sees_its_own_and_makes_nobody_who_may_do_more() {
    let (own, root) = Connector::set_up().await;
    let ((a, admin_a), (b, admin_b)) = (own.tenant(&root, "a").await, own.tenant(&root, "b").await);
    let users = own.get(&admin_a, "/api/v1/users").await;
    let names: Vec<_> = users
        .body
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["name"].clone())
        .collect();
    assert_eq!(names, ["a-admin"]);
    let all = own.get(&root, "/api/v1/users").await;
    assert_eq!(all.body.as_array().unwrap().len(), 3);
    let of_b = all
        .body
        .as_array()
        .unwrap()
        .iter()
        .find(|user| user["name"] == "b-admin")
        .unwrap();
    let path = format!("/api/v1/users/{}", of_b["id"].as_str().unwrap());
    for (method, status) in [("GET", 404), ("DELETE", 404)] {
        assert_eq!(
            own.matching(&admin_a, method, &path, "\"1\"", None).await.status,
            status
        );
    }
    let user = |role: &str, tenant: Option<&str>| json!({ "name": "x", "role": role, "tenant": tenant, "password": PASSWORD });
    assert_eq!(
        own.post(&admin_a, "/api/v1/users", &user("tenant-user", Some(&b)))
            .await
            .status,
        403
    );
    assert_eq!(
        own.post(&admin_a, "/api/v1/users", &user("provider-admin", None))
            .await
            .status,
        422
    );
    assert_eq!(
        own.post(&root, "/api/v1/users", &user("provider-admin", Some(&a)))
            .await
            .status,
        422
    );
    assert_eq!(
        own.post(&root, "/api/v1/users", &user("tenant-user", None))
            .await
            .status,
        422
    );
    assert_eq!(
        own.post(&root, "/api/v1/users", &user("tenant-user", Some("none")))
            .await
            .status,
        422
    );
    let made = own
        .post(&admin_a, "/api/v1/users", &user("tenant-user", None))
        .await;
    assert_eq!((made.status, &made.body["tenant"]), (201, &json!(a)));
    let tenants = own.get(&admin_a, "/api/v1/tenants").await;
    assert_eq!(tenants.body.as_array().unwrap().len(), 1);
    assert_eq!(tenants.body[0]["id"], json!(a));
    let auditor = json!({ "name": "a-auditor", "role": "auditor", "password": PASSWORD });
    assert_eq!(own.post(&admin_a, "/api/v1/users", &auditor).await.status, 201);
    let worker = own.log_in("a/x").await;
    assert_eq!(own.get(&worker, "/api/v1/users").await.status, 403);

    let audit = own.get(&admin_b, "/api/v1/audit").await;
    for entry in audit.body.as_array().unwrap() {
        assert_eq!(entry["tenant"], json!(b));
    }
    let auditor = json!({ "name": "auditor", "role": "auditor", "tenant": a, "password": PASSWORD });
    assert_eq!(own.post(&root, "/api/v1/users", &auditor).await.status, 201);
    let auditor = own.log_in("a/auditor").await;
    assert_eq!(own.get(&auditor, "/api/v1/users").await.status, 200);
    assert_eq!(
        own.get(&auditor, "/api/v1/nodes").await.status,
        403,
        "nodes are the provider's"
    );
    let checkpoint = "/api/v1/audit/checkpoint";
    assert_eq!(
        own.get(&auditor, checkpoint).await.status,
        403,
        "it counts all entries"
    );
    assert_eq!(own.get(&root, checkpoint).await.status, 200);
    let path = format!("/api/v1/tenants/{a}");
    assert_eq!(
        own.matching(&root, "DELETE", &path, "\"1\"", None).await.status,
        409,
        "it has users"
    );
}

#[tokio::test]
async fn a_token_does_what_its_scope_says_and_ends_when_it_should() {
    let (own, root) = Connector::set_up().await;
    let robot = json!({ "name": "backup", "role": "robot" });
    let robot = own.post(&root, "/api/v1/users", &robot).await.body["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let login = json!({ "name": "backup", "password": "" });
    assert_eq!(own.post("", "/api/v1/session", &login).await.status, 401);
    let token =
        |scope: &[&str], owner: &str| json!({ "name": "nightly", "owner": owner, "scope": scope, "days": 2 });
    let made = own
        .post(&root, "/api/v1/tokens", &token(&["users:read"], &robot))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let secret = made.body["secret"].as_str().unwrap();
    assert_eq!(own.get(secret, "/api/v1/users").await.status, 200);
    assert_eq!(own.get(secret, "/api/v1/audit").await.status, 403);
    assert_eq!(
        own.post(secret, "/api/v1/tokens", &token(&["users:read"], &robot))
            .await
            .status,
        403
    );
    let listed = own.get(&root, "/api/v1/tokens").await;
    assert!(!listed.body.to_string().contains(secret) && listed.body[0]["name"] == "nightly");

    let (_, admin) = own.tenant(&root, "a").await;
    assert_eq!(
        own.post(&admin, "/api/v1/tokens", &token(&["tenants:write"], &robot))
            .await
            .status,
        403
    );
    assert_eq!(
        own.post(&admin, "/api/v1/tokens", &token(&["users:read"], &robot))
            .await
            .status,
        404
    );
    let path = format!("/api/v1/tokens/{}", made.body["id"].as_str().unwrap());
    assert_eq!(own.ask(&admin, "DELETE", &path, ("", ""), None).await.status, 404);
    own.advance(Duration::from_secs(48 * 3600 - 1));
    assert_eq!(own.get(secret, "/api/v1/users").await.status, 200);
    own.advance(Duration::from_secs(1));
    assert_eq!(own.get(secret, "/api/v1/users").await.status, 401);

    let root = own.log_in("root").await;
    let made = own
        .post(&root, "/api/v1/tokens", &token(&["users:read"], &robot))
        .await;
    let path = format!("/api/v1/tokens/{}", made.body["id"].as_str().unwrap());
    assert_eq!(own.ask(&root, "DELETE", &path, ("", ""), None).await.status, 204);
    assert_eq!(
        own.get(made.body["secret"].as_str().unwrap(), "/api/v1/users")
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn lists_come_in_pages_that_follow_each_other() {
    let (own, root) = Connector::set_up().await;
    for number in 0..5 {
        let tenant = json!({ "name": format!("tenant {number}").replace(' ', "-") });
        assert_eq!(own.post(&root, "/api/v1/tenants", &tenant).await.status, 201);
    }
    let (mut path, mut names) = ("/api/v1/tenants?limit=2".to_owned(), Vec::new());
    loop {
        let page = own.get(&root, &path).await;
        names.extend(
            page.body
                .as_array()
                .unwrap()
                .iter()
                .map(|tenant| tenant["name"].as_str().unwrap().to_owned()),
        );
        let Some(link) = page.fields.get("link") else {
            break;
        };
        let link = link.to_str().unwrap();
        path = link[1..link.find('>').unwrap()].to_owned();
    }
    assert_eq!(
        names,
        ["tenant-0", "tenant-1", "tenant-2", "tenant-3", "tenant-4"]
    );
    for wrong in ["limit=0", "limit=501", "limit=x", "other=1"] {
        assert_eq!(
            own.get(&root, &format!("/api/v1/tenants?{wrong}")).await.status,
            422,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn what_was_done_is_written_down_unbroken_and_no_secret_is_in_it() {
    let (own, root) = Connector::set_up().await;
    let wrong = json!({ "name": "root", "password": "a wrong password" });
    assert_eq!(own.post("", "/api/v1/session", &wrong).await.status, 401);
    own.tenant(&root, "a").await;
    let entries = own.get(&root, "/api/v1/audit").await.body;
    let told: Vec<_> = entries
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            format!(
                "{} {} {}",
                entry["actor"].as_str().unwrap(),
                entry["action"].as_str().unwrap(),
                entry["outcome"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "a/a-admin session.create done",
            "root user.create done",
            "root tenant.create done",
            "root session.create refused",
            "root session.create done",
            "set-up user.create done"
        ]
    );
    assert!(!entries.to_string().contains("password") && !entries.to_string().contains("vcc_"));
    let mut db = own.context.ground().unwrap().database.begin().await.unwrap();
    assert_eq!(audit::verify(&mut db).await.unwrap().0, 6);
}

#[tokio::test]
async fn the_api_s_own_description_has_every_route_and_every_route_answers_as_described() {
    let (own, root) = Connector::set_up().await;
    let document = own.get("", "/api/v1/openapi.json").await.body;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let (mut routes, mut names) = (0, HashSet::new());
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            routes += 1;
            assert!(
                names.insert(operation["operationId"].to_string()),
                "{method} {path}"
            );
            // An answer without end.
            if path == "/api/v1/events" {
                continue;
            }
            let target = path.replace("{id}", "none").replace("{scope}", "none");
            let answer = own
                .ask(
                    &root,
                    &method.to_uppercase(),
                    &target,
                    ("if-match", "\"1\""),
                    Some(&json!({})),
                )
                .await;
            assert_ne!(answer.status, 405, "{method} {path}");
            assert!(
                operation["responses"].get(answer.status.to_string()).is_some(),
                "{method} {path}: {}",
                answer.status
            );
        }
    }
    assert_eq!(routes, 61);
}

#[tokio::test]
async fn what_was_begun_goes_on_to_its_end_where_nobody_waits_any_more() {
    let own = Connector::new().await;
    let ground = own.context.ground().unwrap();
    let code = own.context.setup_code().unwrap();
    let body = json!({ "code": code, "administrator": { "name": "root", "password": PASSWORD } });
    let held = ground.database.begin().await.unwrap();
    let asked = own.post("", "/api/v1/setup", &body);
    assert!(
        tokio::time::timeout(Duration::from_millis(500), asked)
            .await
            .is_err()
    );
    drop(held);
    for _ in 0..600 {
        if ground.setup.is_done() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(own.post("", "/api/v1/setup", &body).await.status, 410);
    own.log_in("root").await;
}

#[tokio::test]
async fn a_database_that_fails_while_the_service_runs_is_told_by_readyz_until_it_is_back() {
    let own = Connector::new().await;
    let database = async || {
        own.context.look_at_database().await;
        let ready = own.get("", "/readyz").await;
        let checks = ready.body["checks"].as_array().unwrap().clone();
        let found = checks.into_iter().find(|check| check["name"] == "database");
        (ready.status, found)
    };
    assert_eq!(database().await.1, None);
    let state = own.context.state_directory().unwrap();
    let (here, away) = (state.join("vcc.db"), state.join("away"));
    std::fs::rename(&here, &away).unwrap();
    for another in [false, true] {
        if another {
            std::fs::copy(&away, &here).unwrap();
        }
        let (status, check) = database().await;
        let check = check.unwrap();
        assert_eq!((status, &check["status"]), (503, &json!("fail")), "{check}");
        assert!(
            check["reason"].as_str().unwrap().contains("not the file in use"),
            "{check}"
        );
    }
    std::fs::rename(&away, &here).unwrap();
    assert_eq!(database().await.1, None);
}
