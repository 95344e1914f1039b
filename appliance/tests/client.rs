//! The command line for administrators, against a server that runs as its users run it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "connector/people.rs"]
mod people;

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use appliance::machine::Machine;
use appliance::recovery;
use people::{PASSWORD, Person, Service, done};

/// A server, and its administrator.
fn server() -> (Service, Person) {
    let server = Service::start("server");
    let root = Person::administrator(&server);
    (server, root)
}

#[test]
fn the_memory_that_passwords_are_hashed_in_is_given_back() {
    let service = Service::start("node");
    let before = service.memory();
    // Two hashes, of 19 MiB each.
    Person::administrator(&service);
    let after = service.memory();
    assert!(after < before + 8192, "{before} KiB, then {after} KiB");
}

#[test]
fn a_session_is_its_owner_s_alone_and_is_over_after_logging_out() {
    let (server, _) = server();
    let person = Person::new();
    let none = person.try_to(&["user", "list"]);
    assert_eq!(none.status, 2);
    assert!(
        none.err.contains("nobody is logged in") && none.err.contains("hint: vcc login"),
        "{}",
        none.err
    );

    let password = person.file("pw", PASSWORD);
    let login = ["login", &server.address, "--fingerprint", &server.fingerprint];
    let done = person.call(&login, &[("--password-file", &password)]);
    assert_eq!((done.status, done.err.as_str()), (0, ""), "{}", done.out);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&person.session()), 0o600);
    assert!(
        !std::fs::read_to_string(person.session())
            .unwrap()
            .contains(PASSWORD)
    );
    assert_eq!(person.get(&["status"])["who"]["name"], "root");

    let kept = std::fs::read(person.session()).unwrap();
    assert_eq!(person.try_to(&["logout"]).status, 0);
    assert!(!person.session().exists());
    std::fs::write(person.session(), kept).unwrap();
    std::fs::set_permissions(person.session(), PermissionsExt::from_mode(0o600)).unwrap();
    let ended = person.try_to(&["user", "list", "--json"]);
    assert_eq!(ended.status, 2);
    assert_eq!(ended.json()["error"]["code"], "unauthenticated");
}

#[test]
fn nobody_logs_in_to_a_stranger_or_with_a_wrong_password_or_unasked() {
    let (server, _) = server();
    let person = Person::new();
    let password = person.file("pw", "not the right one");
    let login = |fingerprint: &[&str]| {
        let arguments = [&["login", &server.address, "--json"], fingerprint].concat();
        person.call(&arguments, &[("--password-file", &password)])
    };
    let digit = if server.fingerprint.starts_with('0') {
        "1"
    } else {
        "0"
    };
    let other = format!("{digit}{}", &server.fingerprint[1..]);
    let stranger = login(&["--fingerprint", &other]);
    assert_eq!(stranger.status, 1);
    assert_eq!(stranger.json()["error"]["code"], "vcc.stranger");
    assert!(stranger.out.contains(&server.fingerprint), "{}", stranger.out);

    // Nobody sits at this terminal who could compare.
    let unasked = login(&[]);
    assert_eq!(
        (unasked.status, unasked.json()["error"]["code"].as_str()),
        (2, Some("usage"))
    );

    let wrong = login(&["--fingerprint", &server.fingerprint]);
    assert_eq!(wrong.status, 1);
    assert_eq!(wrong.json()["error"]["problem"]["code"], "wrong-credentials");

    let closed = person.call(
        &["login", "127.0.0.1:1", "--fingerprint", &other],
        &[("--password-file", &password)],
    );
    assert_eq!(closed.status, 2);
    assert!(
        closed.err.contains("127.0.0.1:1: it can't be reached"),
        "{}",
        closed.err
    );
    assert!(!person.session().exists());
}

#[test]
fn a_code_of_the_console_gives_an_administrator_another_password_and_a_session() {
    let (mut server, root) = server();
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("machine.json");
    let mut machine = Machine::default();
    machine.state.mounted = true;
    machine.write(&report).unwrap();
    server.kill_and_start_on("server", &report);
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let code = recovery::issue(folder.path(), now.try_into().unwrap()).unwrap();

    let person = Person::new();
    let new = person.file("pw", "quite another password");
    let reset = |code: &str| {
        let code = person.file("code", code);
        let arguments = [
            "reset-password",
            &server.address,
            "--fingerprint",
            &server.fingerprint,
        ];
        person.call(&arguments, &[("--code-file", &code), ("--password-file", &new)])
    };
    let wrong = reset("0000-0000-0000");
    assert_eq!(wrong.status, 1);
    assert!(
        wrong.err.contains("menu on the console makes another"),
        "{}",
        wrong.err
    );
    assert!(!person.session().exists());
    let done = reset(&code.to_string());
    assert_eq!(done.status, 0, "{}", done.err);
    assert!(done.out.contains("root has another password"), "{}", done.out);
    assert_eq!(person.get(&["status"])["who"]["name"], "root");
    assert_eq!(
        root.try_to(&["user", "list"]).status,
        2,
        "the old session has ended"
    );
    assert_eq!(reset(&code.to_string()).status, 1, "a code is good once");
}

#[test]
fn a_certificate_is_believed_by_its_issuer_and_is_a_stranger_s_without() {
    let (server, root) = server();
    let other = Service::start("node");
    let password = root.file("pw", PASSWORD);
    let session = root.home.path().join("other.json");
    let login = |of: &Service| {
        let issuer = of.state.path().join("identity/cert.pem");
        let files: [(&str, &Path); 3] = [
            ("--password-file", &password),
            ("--ca-file", &issuer),
            ("--session", &session),
        ];
        root.call(&["login", &server.address], &files)
    };
    let known = login(&server);
    assert_eq!(known.status, 0, "{}", known.err);
    let stranger = login(&other);
    assert_eq!(stranger.status, 1, "{}", stranger.err);
    assert!(stranger.err.contains("(vcc.stranger)"), "{}", stranger.err);
}

#[test]
fn users_tenants_and_tokens_are_made_and_a_token_does_without_a_session() {
    let (server, root) = server();
    root.get(&["tenant", "add", "acme"]);
    let taken = root.try_to(&["tenant", "add", "acme"]);
    assert_eq!(taken.status, 1);

    let mut command = root.command(&["user", "add", "bob", "--role", "tenant-admin", "--tenant", "acme"]);
    let mut typed = command
        .args(["--password-file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = typed.stdin.take().unwrap();
    writeln!(input, "{PASSWORD}").unwrap();
    drop(input);
    assert!(typed.wait().unwrap().success());

    root.get(&["user", "add", "robo", "--role", "robot"]);
    let listed = root.try_to(&["user", "list"]);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let rows: Vec<_> = listed.out.lines().map(words).collect();
    assert_eq!(rows[0], ["LOGIN", "ROLE", "TENANT", "CREATED", "ID"]);
    assert!(rows.iter().any(|row| row[..2] == ["acme/bob", "tenant-admin"]));

    let token = root.home.path().join("token");
    let made = root.call(
        &[
            "token",
            "add",
            "nightly",
            "--owner",
            "robo",
            "--scope",
            "users:read",
        ],
        &[("--output", &token)],
    );
    assert_eq!((made.status, made.out.as_str()), (0, ""), "{}", made.err);
    let secret = std::fs::read_to_string(&token).unwrap();
    assert!(!made.err.contains(secret.trim()));

    let robot = Person::new();
    let as_robot = |arguments: &[&str]| {
        let mut command = robot.command(arguments);
        command
            .env("VCC_SERVER", &server.address)
            .env("VCC_FINGERPRINT", &server.fingerprint)
            .env("VCC_TOKEN_FILE", &token);
        done(command)
    };
    let seen = as_robot(&["user", "show", "acme/bob", "--json"]);
    assert_eq!(seen.json()["name"], "bob", "{}", seen.err);
    let refused = as_robot(&["user", "delete", "bob", "--yes"]);
    assert_eq!(refused.status, 1);
    assert!(refused.err.contains("users:write"), "{}", refused.err);

    assert_eq!(
        root.try_to(&["token", "revoke", "nightly"]).status,
        2,
        "nobody was asked"
    );
    assert_eq!(root.try_to(&["token", "revoke", "nightly", "--yes"]).status, 0);
    assert_eq!(as_robot(&["user", "list"]).status, 2);
    assert_eq!(
        root.try_to(&["tenant", "delete", "acme", "--yes"]).status,
        1,
        "bob is there"
    );
    assert_eq!(root.try_to(&["user", "delete", "bob", "--yes"]).status, 0);
    assert_eq!(root.try_to(&["tenant", "delete", "acme", "--yes"]).status, 0);
}

#[test]
fn settings_change_one_by_one_and_only_as_of_the_version_that_was_seen() {
    let (_server, root) = server();
    let set = root.get(&["config", "set", "cloud:east", "ntp=a.example, b.example:1123"]);
    assert_eq!(
        (&set["version"], &set["settings"]["ntp"][1]),
        (&1.into(), &"b.example:1123".into())
    );
    let more = root.get(&["config", "set", "cloud:east", "notice=Closed", "--version", "1"]);
    assert_eq!(more["settings"]["ntp"][0], "a.example", "it stays");
    let late = root.try_to(&["config", "set", "cloud:east", "--unset", "ntp", "--version", "1"]);
    assert_eq!(late.status, 1);
    assert!(late.err.contains("(precondition-failed)"), "{}", late.err);
    let wrong = root.try_to(&["config", "set", "cloud:east", "ntp=no server"]);
    assert_eq!(wrong.status, 1, "{}", wrong.err);
    root.get(&["config", "set", "all", "notice=Open"]);
    let listed = root.get(&["config", "list"]);
    let scopes: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|wanted| &wanted["scope"])
        .collect();
    assert_eq!(
        scopes,
        ["all", "cloud:east"],
        "a cloud without nodes has its settings, too"
    );
    root.get(&["config", "delete", "cloud:east", "--yes"]);
    let versions = root.get(&["config", "versions", "cloud:east"]);
    assert_eq!(versions.as_array().unwrap().len(), 3);
    assert_eq!(versions[0]["settings"], serde_json::json!({}));

    let own = root.get(&["config", "set", "own", "notice=Hello"]);
    assert_eq!(own["settings"]["notice"], "Hello");
    assert_eq!(root.get(&["status"])["about"]["notice"], "Hello");
    assert_eq!(root.get(&["config", "status"]), serde_json::json!([]));
    assert_eq!(root.try_to(&["config", "show", "cloud:a/b"]).status, 2);
}

#[test]
fn what_terminals_obey_is_shown_harmless() {
    let (_server, root) = server();
    let notice = "notice=a\u{202e}b\u{200b}";
    let shown = root.try_to(&["config", "set", "cloud:hostile", notice]);
    assert_eq!(shown.status, 0, "{}", shown.err);
    assert!(shown.out.contains("a\u{fffd}b\u{fffd}"), "{}", shown.out);
    let json = root.try_to(&["config", "show", "cloud:hostile", "--json"]);
    assert!(json.out.contains("a\\u202eb\\u200b"), "{}", json.out);
    assert_eq!(json.json()["settings"]["notice"], "a\u{202e}b\u{200b}");
    let unknown = root.try_to(&["user", "show", "\u{1b}[2Jx"]);
    assert_eq!(unknown.status, 1);
    assert!(unknown.err.contains("'\u{fffd}[2Jx'") && !unknown.err.contains('\u{1b}'));
}

#[test]
fn the_audit_log_is_listed_and_its_chain_verified() {
    let (_server, root) = server();
    root.get(&["config", "set", "cloud:audited", "notice=a"]);
    let entries = root.get(&["audit", "list", "--limit", "1"]);
    let entry = &entries[0];
    let verified = root.get(&["audit", "verify"]);
    assert!(verified["number"].as_i64() >= entry["number"].as_i64());
    let number = entry["number"].to_string();
    let verify = ["audit", "verify", "--number", &number, "--digest"];
    let noted = [&verify[..], &[entry["digest"].as_str().unwrap()]].concat();
    assert_eq!(root.try_to(&noted).status, 0);
    let other = [&verify[..], &["ab"]].concat();
    assert_eq!(root.try_to(&other).status, 1, "the log is another than was noted");
}

#[test]
fn a_checkpoint_that_was_kept_is_compared_with_the_log_and_says_whose_it_is() {
    let (_server, root) = server();
    let kept = root.try_to(&["audit", "checkpoint"]);
    assert_eq!(kept.status, 0, "{}", kept.err);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept.json");
    let verify = || root.try_to(&["audit", "verify", "--checkpoint", path.to_str().unwrap()]);
    std::fs::write(&path, &kept.out).unwrap();
    root.get(&["config", "set", "cloud:later", "notice=a"]);
    let verified = verify();
    assert_eq!(verified.status, 0, "{}", verified.err);

    let mut forged: serde_json::Value = serde_json::from_str(&kept.out).unwrap();
    forged["digest"] = "0".repeat(64).into();
    std::fs::write(&path, forged.to_string()).unwrap();
    let refused = verify();
    assert_eq!(refused.status, 1);
    assert!(
        refused.err.contains("isn't what its certificate's key signed"),
        "{}",
        refused.err
    );

    let (_another_server, another) = server();
    std::fs::write(&path, another.try_to(&["audit", "checkpoint"]).out).unwrap();
    let refused = verify();
    assert_eq!(refused.status, 1);
    assert!(
        refused.err.contains("is of the log of connector"),
        "{}",
        refused.err
    );
    std::fs::write(&path, "{}").unwrap();
    assert_eq!(verify().status, 2);
}

#[test]
fn a_support_bundle_is_kept_for_its_owner_alone_and_replaces_nothing_unasked() {
    let (_server, root) = server();
    let folder = root.home.path();
    let here = |arguments: &[&str]| {
        let mut command = root.command(&[&["support-bundle"], arguments].concat());
        command.current_dir(folder);
        done(command)
    };
    let fetched = here(&["--json"]);
    assert_eq!(fetched.status, 0, "{}", fetched.out);
    let path = folder.join("support-bundle.tar.gz");
    let bytes = std::fs::read(&path).unwrap();
    let told = fetched.json();
    assert_eq!(told["file"], "support-bundle.tar.gz");
    assert_eq!(told["bytes"], bytes.len());
    let listed = std::process::Command::new("sha256sum")
        .arg(&path)
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.starts_with(told["sha256"].as_str().unwrap()), "{told}");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    std::fs::write(&path, "mine").unwrap();
    for arguments in [&[][..], &["-o", "support-bundle.tar.gz"]] {
        let refused = here(arguments);
        assert_eq!(refused.status, 1, "{}", refused.err);
        assert!(
            refused.err.contains("hint: --force replaces it"),
            "{}",
            refused.err
        );
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    assert_eq!(here(&["--force"]).status, 0);
    assert_ne!(std::fs::read(&path).unwrap(), b"mine");
    assert_eq!(here(&["-o", "none/bundle"]).status, 2);
    assert_eq!(here(&["-o", "-", "--json"]).status, 2);

    let mut piped = root.command(&["support-bundle", "-o", "-"]);
    let piped = piped.output().unwrap();
    assert!(piped.status.success() && piped.stdout.starts_with(&[0x1f, 0x8b]));
    let kept: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    let is_bundle = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("support-bundle");
    let bundles = kept
        .iter()
        .filter(|entry| is_bundle(&entry.as_ref().unwrap().file_name()));
    assert_eq!(bundles.count(), 1, "nothing is left beside it");
}

#[test]
fn events_are_told_as_they_come() {
    let (_server, root) = server();
    root.get(&["config", "set", "cloud:eventful", "notice=a"]);
    let event = root.get(&["events", "--after", "0", "--count", "1"]);
    assert_eq!(
        (&event["number"], &event["kind"]),
        (&1.into(), &"configuration".into())
    );

    let mut following = root
        .command(&["events", "--follow", "--count", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Whether it listens already nobody tells; sooner or later it does.
    let mut told = following.stdout.take().unwrap();
    while following.try_wait().unwrap().is_none() {
        root.get(&["config", "set", "cloud:followed", "notice=b"]);
    }
    let mut line = String::new();
    told.read_to_string(&mut line).unwrap();
    assert!(
        line.contains("configuration") && line.lines().count() == 1,
        "{line}"
    );
}

#[test]
fn completions_and_manual_pages_are_made() {
    let person = Person::new();
    for shell in ["bash", "zsh", "fish"] {
        let made = person.try_to(&["completions", shell]);
        assert!(made.status == 0 && made.out.contains("approve"), "{shell}");
    }
    let pages = person.home.path().join("man");
    assert_eq!(person.call(&["man"], &[]).status, 2);
    assert_eq!(person.try_to(&["man", pages.to_str().unwrap()]).status, 0);
    assert!(pages.join("vcc.1").exists() && pages.join("vcc-node-approve.1").exists());
}
