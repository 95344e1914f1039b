//! What `ova verify` says of a package.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::Value;

use crate::artefacts;

/// A refusal: the rule's code, and the member if the rule is about one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: String,
    pub member: Option<String>,
}

/// Verifies under a trust anchor; nothing is returned for an accepted package.
///
/// The exit code and the two renderings must agree, and a refusal must name its rule in both.
pub fn refusals(package: &Path, anchor: &Path) -> Vec<Refusal> {
    let output = artefacts::output(
        artefacts::ova()
            .args(["--json", "verify"])
            .arg(package)
            .arg("--trust")
            .arg(anchor),
    );
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(!err.contains("panicked"), "{err}");
    let verdict: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    let accepted = verdict["accepted"]
        .as_bool()
        .unwrap_or_else(|| panic!("no verdict: {out}"));
    assert_eq!(output.status.code(), Some(i32::from(!accepted)), "{out}{err}");
    let checks = verdict["checks"].as_array().unwrap();
    let failed = checks.iter().filter(|check| check["outcome"] == "failed");
    let refusals: Vec<Refusal> = failed.map(refusal).collect();
    assert_eq!(refusals.is_empty(), accepted, "{out}");
    if !accepted {
        check_text(package, anchor, &refusals);
    }
    refusals
}

/// The verdict as JSON under these arguments; it must agree with the exit code.
pub fn verdict<S: AsRef<OsStr>>(package: &Path, arguments: &[S]) -> Value {
    let mut command = artefacts::ova();
    command.args(["--json", "verify"]).arg(package).args(arguments);
    let output = artefacts::output(&mut command);
    let out = String::from_utf8_lossy(&output.stdout);
    let verdict: Value = serde_json::from_str(&out)
        .unwrap_or_else(|error| panic!("{error}: {out}{}", String::from_utf8_lossy(&output.stderr)));
    let accepted = verdict["accepted"] == true;
    assert_eq!(output.status.code(), Some(i32::from(!accepted)), "{out}");
    verdict
}

/// The codes of the rules that a package fails under these arguments, each once.
pub fn codes<S: AsRef<OsStr>>(package: &Path, arguments: &[S]) -> Vec<String> {
    let verdict = verdict(package, arguments);
    let checks = verdict["checks"].as_array().unwrap().iter();
    let failed = checks.filter(|check| check["outcome"] == "failed");
    let mut codes: Vec<_> = failed.map(|check| refusal(check).code).collect();
    codes.dedup();
    codes
}

fn refusal(check: &Value) -> Refusal {
    let reason = check["reason"].as_str().unwrap_or_default();
    assert!(!reason.is_empty(), "a refusal without a reason: {check}");
    Refusal {
        code: check["code"].as_str().unwrap().to_owned(),
        member: check["member"].as_str().map(str::to_owned),
    }
}

fn check_text(package: &Path, anchor: &Path, refusals: &[Refusal]) {
    let text = artefacts::exits(
        artefacts::ova()
            .arg("verify")
            .arg(package)
            .arg("--trust")
            .arg(anchor),
        1,
    );
    for refusal in refusals {
        assert!(text.contains(&refusal.code), "{} is not in\n{text}", refusal.code);
        if let Some(member) = &refusal.member {
            assert!(text.contains(member.as_str()), "{member} is not in\n{text}");
        }
    }
}
