//! What is wrong with a descriptor or package is told by rule, place and remedy, for people, programs and
//! code-hosting sites.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use e2e::{artefacts, recipe};
use serde_json::Value;

/// Runs `ova validate` and expects an exit code.
fn validate(arguments: &[&str], code: i32) -> String {
    let output = artefacts::ova().arg("validate").args(arguments).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

fn findings(report: &str) -> Vec<(String, Option<u64>, Option<String>)> {
    let report: Value = serde_json::from_str(report).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let row = |it: &Value| {
        let member = it["member"].as_str().map(str::to_owned);
        (
            it["rule"].as_str().unwrap().to_owned(),
            it["line"].as_u64(),
            member,
        )
    };
    findings.map(row).collect()
}

/// An unsigned package, its descriptor's text, and the folder it lies in.
struct Package {
    folder: tempfile::TempDir,
    ova: String,
    descriptor: String,
}

impl Package {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ova = recipe::build(&recipe::raw(folder.path(), &[7; 65536], ""));
        artefacts::success(
            std::process::Command::new("tar")
                .arg("-xf")
                .arg(&ova)
                .arg("-C")
                .arg(folder.path()),
        );
        let is_descriptor = |path: &std::path::PathBuf| path.extension().is_some_and(|it| it == "ovf");
        let mut files = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let descriptor = files.find(is_descriptor).unwrap();
        Self {
            ova: ova.to_str().unwrap().to_owned(),
            descriptor: descriptor.to_str().unwrap().to_owned(),
            folder,
        }
    }

    fn change_descriptor(&self, old: &str, new: &str) {
        let text = std::fs::read_to_string(&self.descriptor).unwrap();
        assert_eq!(text.matches(old).count(), 1, "{old} in {text}");
        std::fs::write(&self.descriptor, text.replace(old, new)).unwrap();
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

#[test]
fn our_own_package_keeps_every_rule_of_every_profile_however_it_is_given() {
    let package = Package::new();
    let profiles = [
        "--profile",
        "esxi",
        "--profile",
        "virtualbox",
        "--profile",
        "libvirt",
    ];
    for input in [
        &package.ova,
        &package.descriptor,
        package.path().to_str().unwrap(),
    ] {
        let said = validate(&[&[input][..], &profiles, &["--fail-on", "note"]].concat(), 0);
        assert!(said.ends_with("0 errors, 0 warnings, 0 notes\n"), "{said}");
    }
}

#[test]
fn a_descriptor_alone_is_not_asked_for_its_files_and_a_folder_is() {
    let package = Package::new();
    let disk = std::fs::read_dir(package.path())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let disk = disk
        .filter(|path| path.extension().is_some_and(|it| it == "vmdk"))
        .last()
        .unwrap();
    std::fs::remove_file(disk).unwrap();
    validate(&[&package.descriptor], 0);
    let found = findings(&validate(
        &[package.path().to_str().unwrap(), "--format", "json"],
        1,
    ));
    assert!(
        found.iter().any(|(rule, ..)| rule == "package.missing"),
        "{found:?}"
    );
}

#[test]
fn findings_name_rule_line_and_remedy_and_json_says_the_same() {
    let package = Package::new();
    package.change_descriptor("ovf:id=\"96\"", "ovf:id=\"ninety\"");
    let text = validate(&[&package.descriptor], 1);
    assert!(text.contains(": error descriptor.value: "), "{text}");
    let found = findings(&validate(&["--json", &package.descriptor], 1));
    let descriptor = std::fs::read_to_string(&package.descriptor).unwrap();
    let line = descriptor[..descriptor.find("ninety").unwrap()].lines().count();
    assert_eq!(found, [("descriptor.value".to_owned(), Some(line as u64), None)]);
}

#[test]
fn a_pipe_is_validated_as_the_file_is() {
    let package = Package::new();
    for input in [&package.ova, &package.descriptor] {
        let bytes = std::fs::read(input).unwrap();
        let mut child = artefacts::ova()
            .args(["validate", "-", "--json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(findings(&String::from_utf8(output.stdout).unwrap()), []);
    }
}

#[test]
fn an_escaping_name_is_a_warning_in_a_lone_descriptor_and_refused_in_a_package() {
    let package = Package::new();
    let text = std::fs::read_to_string(&package.descriptor).unwrap();
    let start = text.find("ovf:href=\"").unwrap() + "ovf:href=\"".len();
    std::fs::write(
        &package.descriptor,
        [&text[..start], "../../", &text[start..]].concat(),
    )
    .unwrap();
    let found = findings(&validate(&[&package.descriptor, "--json"], 0));
    assert_eq!(found[0].0, "references.href");
    let found = findings(&validate(&[package.path().to_str().unwrap(), "--json"], 1));
    assert!(
        found.iter().any(|(rule, ..)| rule == "package.member-name"),
        "{found:?}"
    );
}

#[test]
fn sarif_names_every_rule_that_it_uses_and_where() {
    let package = Package::new();
    package.change_descriptor("ovf:id=\"96\"", "ovf:id=\"ninety\"");
    let report: Value =
        serde_json::from_str(&validate(&[&package.descriptor, "--format", "sarif"], 1)).unwrap();
    assert_eq!(report["version"], "2.1.0");
    let run = &report["runs"][0];
    let result = &run["results"][0];
    assert_eq!(result["ruleId"], "descriptor.value");
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "descriptor.value");
    let place = &result["locations"][0]["physicalLocation"];
    assert!(place["region"]["startLine"].as_u64().unwrap() > 1);
    assert!(
        place["artifactLocation"]["uri"]
            .as_str()
            .unwrap()
            .ends_with(".ovf")
    );
}

#[test]
fn a_profile_adds_its_importers_rules() {
    let package = Package::new();
    package.change_descriptor("vmx-13", "virtualbox-2.2");
    validate(&[&package.descriptor], 0);
    let found = findings(&validate(
        &[&package.descriptor, "--profile", "esxi", "--json"],
        1,
    ));
    assert_eq!(found[0].0, "esxi.hardware-family");
}

#[test]
fn every_rule_explains_itself() {
    let rules: Value = serde_json::from_str(&validate(&["--rules", "--json"], 0)).unwrap();
    let rules = rules.as_array().unwrap();
    assert!(rules.len() > 60, "{}", rules.len());
    let said = validate(&["--explain", "disk.order"], 0);
    assert!(said.contains("bad") && said.contains("DSP0243"), "{said}");
    validate(&["--explain", "no.such-rule"], 2);
}
