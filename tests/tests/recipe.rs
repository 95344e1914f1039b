//! What is wrong with a recipe is told with line and column before anything is written; what is right gives the same
//! bytes each time, and a build that is interrupted leaves nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation of a test is a panic"
)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use e2e::{artefacts, recipe};

/// Builds a recipe that must be refused at `place`, a part of it, and returns what was said.
fn refused(text: &str, place: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("disk.raw"), [1; 4096]).unwrap();
    let path = recipe::write(folder.path(), text);
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let said = artefacts::exits(
        artefacts::ova()
            .arg("build")
            .arg(&path)
            .arg("-o")
            .arg(out.join("x.ova")),
        2,
    );
    assert!(!said.contains("panicked"), "{said}");
    assert_empty(&out);
    let at = text
        .rfind(place)
        .unwrap_or_else(|| panic!("'{place}' is not in the recipe"));
    let line = text[..at].matches('\n').count() + 1;
    let column = at - text[..at].rfind('\n').map_or(0, |newline| newline + 1) + 1;
    assert!(
        said.contains(&format!("recipe.toml:{line}:{column}: ")),
        "{line}:{column} is not in: {said}"
    );
    said
}

fn assert_empty(folder: &Path) {
    let names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(names.is_empty(), "left behind: {names:?}");
}

fn with(more: &str) -> String {
    format!(
        "{}\n[[disk]]\nid = \"data\"\nraw = \"disk.raw\"\n{more}",
        recipe::HEAD
    )
}

#[test]
fn an_unknown_key_is_refused_at_its_place() {
    let said = refused(&with("compression = 9\n"), "compression");
    assert!(said.contains("compression"), "{said}");
    refused(&recipe::HEAD.replace("vendor", "vendors"), "vendors");
}

#[test]
fn a_value_of_the_wrong_type_is_refused_at_its_place() {
    refused(&recipe::HEAD.replace("cpus = 1", "cpus = \"one\""), "\"one\"");
    refused(&recipe::HEAD.replace("\"64 MiB\"", "64"), "64");
    refused(&recipe::HEAD.replace("\"64 MiB\"", "\"64 MB\""), "\"64 MB\"");
    refused(&recipe::HEAD.replace("cpus = 1", "cpus = 0"), "0");
}

#[test]
fn a_file_that_is_missing_is_refused_at_the_place_that_names_it() {
    let said = refused(&with("").replace("disk.raw", "nowhere.raw"), "\"nowhere.raw\"");
    assert!(said.contains("nowhere.raw"), "{said}");
    refused(&with("\n[[eula]]\nfile = \"nowhere.txt\"\n"), "\"nowhere.txt\"");
}

#[test]
fn a_default_outside_its_type_or_qualifiers_is_refused_at_its_place() {
    let rows = [
        ("uint8", "", "256"),
        ("sint8", "", "-129"),
        ("boolean", "", "maybe"),
        ("string", "MaxLen(3)", "four"),
        ("string", "MinLen(3)", "aa"),
        ("string", "ValueMap{\"a\",\"b\"}", "c"),
        ("uint16", "MaxValue(100)", "101"),
    ];
    for (kind, qualifiers, default) in rows {
        let property = format!(
            "\n[[property]]\nkey = \"k\"\ntype = \"{kind}\"\nqualifiers = '{qualifiers}'\ndefault = \"{default}\"\n"
        );
        refused(&with(&property), &format!("\"{default}\"\n"));
    }
}

#[test]
fn a_password_with_a_default_is_refused_and_the_default_is_not_repeated() {
    let property =
        "\n[[property]]\nkey = \"secret\"\ntype = \"string\"\npassword = true\ndefault = \"hunter2\"\n";
    let said = refused(&with(property), "\"hunter2\"");
    assert!(said.contains("password") && !said.contains("hunter2"), "{said}");
}

#[test]
fn a_network_that_is_not_described_is_refused_at_its_place() {
    let said = refused(&with("\n[[nic]]\nnetwork = \"LAN\"\n"), "\"LAN\"");
    assert!(said.contains("LAN"), "{said}");
}

#[test]
fn a_module_that_the_kernel_has_not_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = recipe::appliance(folder.path(), &[("\"vmxnet3\", ", "\"vmxnet3\", \"vmxnet99\", ")]);
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let said = artefacts::exits(
        artefacts::ova()
            .arg("build")
            .arg(&path)
            .arg("-o")
            .arg(out.join("x.ova")),
        2,
    );
    assert!(said.contains("vmxnet99") && !said.contains("panicked"), "{said}");
    assert_empty(&out);
}

#[test]
fn half_of_a_key_pair_or_a_foreign_key_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = recipe::raw(folder.path(), &[1; 4096], "");
    let others = folder.path().join("keys");
    artefacts::success(artefacts::ova().arg("keygen").arg(&others));
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let build = || {
        let mut command = artefacts::ova();
        command
            .arg("build")
            .arg(&path)
            .arg("-o")
            .arg(out.join("x.ova"))
            .arg("--sign")
            .arg(artefacts::key("key.pem"));
        command
    };
    artefacts::exits(&mut build(), 2);
    artefacts::exits(build().arg("--cert").arg(others.join("cert.pem")), 2);
    artefacts::exits(build().arg("--cert").arg(artefacts::key("key.pem")), 2);
    assert_empty(&out);
}

#[test]
fn a_build_that_is_interrupted_or_killed_leaves_no_file_even_a_hidden_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = recipe::raw(folder.path(), &[], "");
    // Nothing that compresses well, so that there is a middle to be interrupted in.
    let mut random = File::open("/dev/urandom").unwrap();
    let mut disk = File::create(folder.path().join("disk.raw")).unwrap();
    std::io::copy(&mut std::io::Read::take(&mut random, 512 << 20), &mut disk).unwrap();
    for signal in ["-INT", "-TERM", "-KILL"] {
        let out = folder.path().join("out");
        std::fs::create_dir(&out).unwrap();
        // A test that runs in the background of a shell inherits an ignored SIGINT.
        let mut build = Command::new("env");
        build
            .arg("--default-signal=INT")
            .arg(artefacts::ova().get_program())
            .arg("build")
            .arg(&path)
            .arg("-o")
            .arg(out.join("x.ova"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut build = build.spawn().unwrap();
        wait_half_written(&mut build, &out);
        artefacts::success(Command::new("kill").args([signal, &build.id().to_string()]));
        assert!(!build.wait().unwrap().success());
        assert_empty(&out);
        std::fs::remove_dir(&out).unwrap();
    }
}

/// Waits until some open file below `out`, with a name or without, has a megabyte in it.
fn wait_half_written(build: &mut Child, out: &Path) {
    let end = Instant::now() + Duration::from_secs(120);
    let folder = PathBuf::from(format!("/proc/{}/fd", build.id()));
    loop {
        let files = std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        let written = |fd: &PathBuf| {
            let ours = std::fs::read_link(fd).is_ok_and(|target| target.starts_with(out));
            ours && std::fs::metadata(fd).is_ok_and(|file| file.len() > 1 << 20)
        };
        if files.into_iter().any(|fd| written(&fd)) {
            return;
        }
        assert!(
            build.try_wait().unwrap().is_none(),
            "the build was over before it could be interrupted"
        );
        assert!(Instant::now() < end, "the build wrote nothing");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn an_output_that_cannot_be_written_is_told_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = recipe::raw(folder.path(), &[1; 4096], "");
    let nowhere = folder.path().join("no/such/folder/x.ova");
    let said = artefacts::exits(artefacts::ova().arg("build").arg(&path).arg("-o").arg(nowhere), 2);
    assert!(said.contains("no/such/folder"), "{said}");
}

#[test]
fn the_appliance_built_again_in_other_surroundings_has_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/much/deeper/folder");
    std::fs::create_dir_all(&deep).unwrap();
    let again = deep.join("vcc-node.ova");
    let script = "umask 077; cd /; exec \"$@\"";
    let mut build = Command::new("bash");
    build
        .args(["-c", script, "bash"])
        .arg(artefacts::ova().get_program());
    build
        .arg("build")
        .arg(artefacts::workspace().join("appliance/vcc-node.toml"))
        .arg("-o")
        .arg(&again);
    build
        .arg("--sign")
        .arg(artefacts::key("key.pem"))
        .arg("--cert")
        .arg(artefacts::key("cert.pem"));
    build
        .env("TZ", "Pacific/Kiritimati")
        .env("LC_ALL", "C")
        .env("SOURCE_DATE_EPOCH", "1");
    artefacts::success(&mut build);
    artefacts::success(Command::new("cmp").arg(artefacts::package()).arg(&again));
    let bill = |package: &Path| package.with_extension("cdx.json");
    artefacts::success(
        Command::new("cmp")
            .arg(bill(&artefacts::package()))
            .arg(bill(&again)),
    );
}

#[test]
fn a_password_is_not_taken_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let property = "\n[[property]]\nkey = \"secret\"\ntype = \"string\"\npassword = true\n";
    let package = recipe::build(&recipe::raw(folder.path(), &[1; 4096], property));
    let said = run_refused(&package, &["--prop", "secret=hunter2"]);
    assert!(
        said.contains("--prop-file") && !said.contains("hunter2"),
        "{said}"
    );
}

#[test]
fn a_property_that_is_unknown_or_outside_its_type_is_refused_before_the_machine_starts() {
    let said = run_refused(&artefacts::package(), &["--prop", "colour=red"]);
    assert!(said.contains("colour"), "{said}");
    let said = run_refused(&artefacts::package(), &["--prop", "role=king"]);
    assert!(said.contains("role"), "{said}");
    let long = format!("hostname={}", "a".repeat(64));
    let said = run_refused(&artefacts::package(), &["--prop", &long]);
    assert!(said.contains("hostname"), "{said}");
}

#[test]
fn a_machine_is_not_gone_on_with_over_another_packages_disk() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let layer = state.join("data.qcow2");
    std::fs::write(folder.path().join("other.raw"), [0; 4096]).unwrap();
    artefacts::success(
        Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b", "../other.raw"])
            .arg(&layer)
            .arg("1M"),
    );
    let before = std::fs::read(&layer).unwrap();
    let package = recipe::build(&recipe::raw(folder.path(), &[1; 4096], ""));
    let said = run_refused(&package, &["--state", state.to_str().unwrap()]);
    assert!(
        said.contains("data.qcow2") && said.contains("another package"),
        "{said}"
    );
    assert_eq!(std::fs::read(&layer).unwrap(), before);
}

fn run_refused(package: &Path, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let console = folder.path().join("console");
    let mut command = artefacts::ova();
    command
        .arg("run")
        .arg(package)
        .args(arguments)
        .arg("--console")
        .arg(&console)
        .stdin(Stdio::null());
    let said = artefacts::exits(&mut command, 2);
    assert!(!console.exists(), "the machine was started");
    said
}
