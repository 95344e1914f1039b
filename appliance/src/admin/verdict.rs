//! What was found about a version, for people.

use serde_json::Value;

use super::table::{Table, text};

/// Who signed it, and each check that it failed or that was waived, one a line; nothing where nothing was found yet.
pub(crate) fn findings(version: &Value) -> String {
    let verdict = &version["verdict"];
    let signer = match verdict["signer"].is_null() {
        true => String::new(),
        false => format!(
            "signed by {}, key {}\n",
            text(verdict, "signer.subject"),
            text(verdict, "signer.key_fingerprint")
        ),
    };
    let checks = verdict["checks"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let told = |check: &&Value| check["outcome"] == "failed" || check["outcome"] == "tolerated";
    let told: Vec<_> = checks.iter().filter(told).cloned().collect();
    if told.is_empty() {
        return signer;
    }
    let columns = [
        ("RULE", "code"),
        ("OUTCOME", "outcome"),
        ("FILE", "member"),
        ("REASON", "reason"),
    ];
    format!("{signer}{}", Table::of(&told, &columns))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_failed_is_told_with_its_rule_and_file_and_what_passed_is_not() {
        let version = json!({ "verdict": { "accepted": false, "signer": { "subject": "CN=A", "key_fingerprint": "ab" }, "checks": [
            { "code": "manifest.digest", "outcome": "failed", "member": "a.vmdk", "reason": "another digest" },
            { "code": "package.order", "outcome": "ok", "reason": "in order" },
        ] } });
        let lines = [
            "signed by CN=A, key ab",
            "RULE             OUTCOME  FILE    REASON",
            "manifest.digest  failed   a.vmdk  another digest",
            "",
        ];
        assert_eq!(findings(&version), lines.join("\n"));
        assert_eq!(findings(&json!({ "state": "RECEIVING" })), "");
    }
}
