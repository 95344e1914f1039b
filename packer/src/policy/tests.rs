use super::*;

const NOW: i64 = 1_800_000_000;

fn read(text: &str) -> Result<Policy> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.toml");
    std::fs::write(&path, text).unwrap();
    open(&path, NOW)
}

#[test]
fn an_empty_policy_is_the_default_one() {
    let (policy, default) = (read("").unwrap(), Policy::at(NOW));
    assert_eq!(format!("{policy:?}"), format!("{default:?}"));
}

#[test]
fn every_key_reaches_the_policy() {
    let policy = read(
        r#"
        pins = ["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]
        require-signature = true
        require-manifest = false
        tolerate = ["spellings", "sha1"]
        min-key-bits = 3072
        min-digest = "sha384"
        at = "2026-01-01T00:00:00Z"
        [revocation]
        required = true
        max-age = "7d"
        "#,
    )
    .unwrap();
    assert_eq!(policy.pins.len(), 1);
    assert!(policy.require_signature && !policy.require_manifest && policy.revocation.required);
    assert_eq!(policy.tolerances.len(), Tolerance::harmless().count() + 1);
    assert_eq!(
        (policy.min_key_bits, policy.min_digest),
        (3072, DigestAlgorithm::Sha384)
    );
    assert_eq!(policy.now, 1_767_225_600);
    assert_eq!(policy.revocation.max_age, Some(7 * 86_400));
    assert!(read("tolerate = []").unwrap().tolerances.is_empty());
}

#[test]
fn what_is_wrong_is_told_with_line_and_column() {
    let rows = [
        ("rots = []", ":1:1: unknown field"),
        ("\n[revocation]\nold = 1", ":3:1: unknown field"),
        ("require-signature = 1", ":1:21:"),
        ("pins = [\"12\"]", ":1:9: a pin is"),
        (
            "tolerate = [\"sha1\", \"all\"]",
            ":1:21: 'all' is not a tolerance",
        ),
        ("min-key-bits = 1024", ":1:16: RSA keys"),
        ("min-digest = \"sha1\"", ":1:14: 'sha1' is not"),
        ("at = \"yesterday\"", ":1:6: 'yesterday' is not a time"),
        (
            "[revocation]\nmax-age = \"7 weeks\"",
            ":2:11: '7 weeks' is not an age",
        ),
        ("roots = [\"none.pem\"]", ":1:10:"),
    ];
    for (text, expected) in rows {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
