//! `vcc backup` and `vcc restore` as administrators call them, and files that are no backups.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "connector/people.rs"]
mod people;

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use appliance::backup::save;
use appliance::clock::Moment;
use appliance::digest::{hex, sha256};
use appliance::store::Store;
use people::{Done, Person, Service, VCC};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

/// A file of an archive: its name, its type and its bytes.
type Part = (String, tar::EntryType, Vec<u8>);

fn backup(person: &Person, state: &Path, file: &Path) -> Done {
    let state = state.to_str().unwrap();
    person.call(
        &["backup", "--json", "--state", state, file.to_str().unwrap()],
        &[],
    )
}

fn restore(person: &Person, state: &Path, file: &Path, more: &[&str]) -> Done {
    let (state, file) = (state.to_str().unwrap(), file.to_str().unwrap());
    person.try_to(&[&["restore", "--json", "--state", state, file], more].concat())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn code(done: &Done) -> String {
    done.json()["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// The backup of a server with an administrator, and where it is.
fn saved() -> (Service, Person, tempfile::TempDir, PathBuf) {
    let (service, folder) = (Service::start("server"), tempfile::tempdir().unwrap());
    let person = Person::administrator(&service);
    let file = folder.path().join("backup.tar");
    let done = backup(&person, service.state.path(), &file);
    assert_eq!(done.status, 0, "{}{}", done.out, done.err);
    (service, person, folder, file)
}

fn unpack(file: &Path) -> Vec<Part> {
    let mut archive = tar::Archive::new(std::fs::File::open(file).unwrap());
    let parts = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        (name, entry.header().entry_type(), bytes)
    });
    parts.collect()
}

fn pack(parts: &[Part], file: &Path) {
    let mut archive = tar::Builder::new(std::fs::File::create(file).unwrap());
    for (name, kind, bytes) in parts {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(*kind);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        // As bytes: the crate refuses names that leave a folder.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        if !kind.is_file() {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        archive.append(&header, bytes.as_slice()).unwrap();
    }
    archive.into_inner().unwrap();
}

/// The same, with a manifest that tells of what is there.
fn described(mut parts: Vec<Part>) -> Vec<Part> {
    let mut manifest: Value = serde_json::from_slice(&parts[0].2).unwrap();
    let members = parts[1..]
        .iter()
        .map(|(name, _, bytes)| json!({ "name": name, "size": bytes.len(), "sha256": hex(&sha256(bytes)) }));
    manifest["members"] = members.collect();
    parts[0].2 = manifest.to_string().into_bytes();
    parts
}

#[test]
fn a_server_that_runs_is_backed_up_and_restored_with_its_users() {
    let (mut service, person, folder, file) = saved();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(folder.path()), ["backup.tar"]);
    let before = std::fs::read(&file).unwrap();
    let again = backup(&person, service.state.path(), &file);
    assert_eq!((again.status, code(&again).as_str()), (1, "vcc.taken"));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(
        backup(&person, folder.path(), &folder.path().join("none")).status,
        1
    );
    let unwritable = backup(&person, service.state.path(), Path::new("/proc/backup.tar"));
    assert_eq!(unwritable.status, 2, "{}", unwritable.out);

    let running = restore(&person, service.state.path(), &file, &["--replace"]);
    assert_eq!((running.status, code(&running).as_str()), (1, "vcc.state-locked"));
    person.get(&["tenant", "add", "after-the-backup"]);
    service.kill();
    let there = restore(&person, service.state.path(), &file, &[]);
    assert_eq!((there.status, code(&there).as_str()), (1, "vcc.taken"));
    let replaced = restore(&person, service.state.path(), &file, &["--replace"]);
    assert_eq!(replaced.status, 0, "{}{}", replaced.out, replaced.err);
    let former = replaced.json()["replaced"].as_str().unwrap().to_owned();
    assert!(Path::new(&former).join("vcc.db").exists(), "{former}");
    service.kill_and_start("server");
    // The session is older than the backup, and as good as it was then.
    assert_eq!(person.get(&["tenant", "list"]), json!([]));
    let verified = person.try_to(&["audit", "verify"]);
    assert_eq!(verified.status, 0, "{}{}", verified.out, verified.err);
    let new = folder.path().join("new");
    assert_eq!(restore(&person, &new, &file, &[]).status, 0);
    assert_eq!(
        restore(&person, &new, &folder.path().join("none"), &["--replace"]).status,
        2
    );
}

#[test]
fn another_users_state_is_left_alone() {
    let (_service, person, folder, file) = saved();
    let state = folder.path().join("state");
    assert_eq!(restore(&person, &state, &file, &[]).status, 0);
    if std::os::unix::fs::chown(&state, Some(12_345), None).is_err() {
        eprintln!("skipped: giving a directory away takes the superuser");
        return;
    }
    let before = names(&state);
    let second = folder.path().join("second.tar");
    for done in [
        restore(&person, &state, &file, &["--replace"]),
        backup(&person, &state, &second),
    ] {
        assert_eq!(
            (done.status, code(&done).as_str()),
            (1, "vcc.state-owner"),
            "{}",
            done.out
        );
    }
    assert!(names(&state) == before && !second.exists());
}

#[test]
fn what_is_no_whole_backup_is_refused_and_changes_nothing() {
    let (_service, person, folder, file) = saved();
    let (whole, parts) = (std::fs::read(&file).unwrap(), unpack(&file));
    let (hostile, state) = (folder.path().join("hostile.tar"), folder.path().join("state"));
    assert_eq!(restore(&person, &state, &file, &[]).status, 0);
    let before = (names(&state), std::fs::read(state.join("vcc.db")).unwrap());
    let refused = |what: &str| {
        let done = restore(&person, &state, &hostile, &["--replace"]);
        assert_eq!(done.status, 1, "{what}: {}{}", done.out, done.err);
        let now = (names(&state), std::fs::read(state.join("vcc.db")).unwrap());
        assert!(now == before, "{what}");
        done.json()["error"]["message"].as_str().unwrap().to_owned()
    };
    for length in (0..20).map(|part| part * (whole.len() - 2048) / 20) {
        std::fs::write(&hostile, &whole[..length]).unwrap();
        refused(&format!("cut at {length}"));
    }
    for member in 0..parts.len() {
        let mut changed = parts.clone();
        let middle = changed[member].2.len() / 2;
        changed[member].2[middle] ^= 1;
        pack(&changed, &hostile);
        refused(&format!("a changed byte of {}", parts[member].0));
        changed = parts.clone();
        changed[member].1 = tar::EntryType::Symlink;
        changed[member].2.clear();
        pack(&changed, &hostile);
        refused(&format!("a link for {}", parts[member].0));
        changed = parts.clone();
        changed[member].0 = "../../etc/passwd".to_owned();
        pack(&changed, &hostile);
        refused(&format!("another name than {}", parts[member].0));
    }
    let mut more = parts.clone();
    more.push(("lock".to_owned(), tar::EntryType::Regular, b"x".to_vec()));
    pack(&more, &hostile);
    assert!(refused("a member more").contains("goes on"));
    pack(&described(more), &hostile);
    assert!(refused("a member more that is told of").contains("'lock'"));
    let mut long = parts.clone();
    long[2].2 = vec![b'x'; 65 << 10];
    pack(&described(long), &hostile);
    assert!(refused("a key that is too long").contains("longer"));
    let mut strange = parts.clone();
    strange[2].2 = parts[4].2.clone();
    pack(&described(strange), &hostile);
    assert!(refused("another's key").contains("key.pem"));
    let mut damaged = parts;
    let database = &mut damaged.last_mut().unwrap().2;
    let middle = database.len() / 2;
    database[middle..middle + 4096].fill(0xff);
    pack(&described(damaged), &hostile);
    assert!(refused("a damaged database").contains("vcc.db"));
}

#[tokio::test]
async fn a_database_with_tables_or_triggers_of_another_is_refused() {
    let (_service, person, folder, file) = saved();
    let parts = unpack(&file);
    let (hostile, state) = (folder.path().join("hostile.tar"), folder.path().join("state"));
    for statement in [
        "CREATE TRIGGER evil AFTER INSERT ON audit BEGIN DELETE FROM audit; END",
        "CREATE VIEW evil AS SELECT * FROM users",
        "CREATE TABLE evil (id TEXT)",
        "DROP INDEX audit_of",
        "UPDATE settings SET value = '999' WHERE name = 'version'",
    ] {
        let path = folder.path().join("vcc.db");
        std::fs::write(&path, &parts.last().unwrap().2).unwrap();
        let options = SqliteConnectOptions::new().filename(&path);
        let mut database = options.connect().await.unwrap();
        sqlx::query(statement).execute(&mut database).await.unwrap();
        database.close().await.unwrap();
        let mut changed = parts.clone();
        changed.last_mut().unwrap().2 = std::fs::read(&path).unwrap();
        pack(&described(changed), &hostile);
        let done = restore(&person, &state, &hostile, &[]);
        assert_eq!(
            (done.status, code(&done).as_str()),
            (1, "vcc.state-corrupt"),
            "{statement}: {}",
            done.out
        );
        assert_eq!(names(&state), ["lock"]);
    }
}

/// What in a state directory tells whose it is: its identity, its authority and its database.
async fn owners(state: &Path) -> [Vec<u8>; 3] {
    let read = |name: &str| std::fs::read(state.join(name)).unwrap();
    let options = SqliteConnectOptions::new().filename(state.join("vcc.db"));
    let mut database = options.connect().await.unwrap();
    let row = sqlx::query("SELECT id FROM users").fetch_one(&mut database).await;
    let user: String = row.unwrap().get("id");
    let row = sqlx::query("SELECT key FROM authorities")
        .fetch_one(&mut database)
        .await;
    let authority: String = row.unwrap().get("key");
    database.close().await.unwrap();
    [
        read("identity/key.pem"),
        authority.into_bytes(),
        user.into_bytes(),
    ]
}

#[tokio::test]
async fn a_restore_that_is_killed_leaves_the_one_state_or_the_other() {
    let (_one, person, folder, first) = saved();
    let (_two, _other, _other_folder, second) = saved();
    let state = folder.path().join("state");
    assert_eq!(restore(&person, &state, &first, &[]).status, 0);
    let mut now = owners(&state).await;
    let (mut kept, mut came) = (0, 0);
    for round in 0..40_u64 {
        let next = if round % 2 == 0 { &second } else { &first };
        let mut child = std::process::Command::new(VCC)
            .args(["restore", "--replace", "--state"])
            .args([&state, next])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(round * 2));
        child.kill().unwrap();
        child.wait().unwrap();
        // Whoever opens the directory finishes what was decided.
        drop(Store::open(&state).unwrap());
        let found = owners(&state).await;
        let differs = found.iter().zip(&now).filter(|(found, now)| found != now).count();
        assert!(differs == 0 || differs == 3, "round {round}: {differs} of 3");
        (kept, came) = match differs {
            0 => (kept + 1, came),
            _ => (kept, came + 1),
        };
        now = found;
        save(&state, &folder.path().join(format!("{round}.tar")), Moment(0))
            .await
            .unwrap();
    }
    assert!(kept > 0, "{kept} {came}");
    assert!(names(&state).iter().all(|name| !name.starts_with("restor")));
}
