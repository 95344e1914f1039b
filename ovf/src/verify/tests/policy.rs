use super::*;

#[test]
fn a_sealed_manifest_must_cover_everything_once_and_strongly() {
    let members = members_of(&signed());
    let text = String::from_utf8(members[1].1.clone()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let sha1 = format!("SHA1(small.ovf)= {}", DigestAlgorithm::Sha1.digest(&members[0].1));
    let rows = [
        (
            vec![lines[1], lines[2]],
            "manifest.descriptor-uncovered",
            Some("small.ovf"),
        ),
        (
            vec![lines[0], lines[1]],
            "manifest.uncovered",
            Some("small-disk2.vmdk"),
        ),
        (
            vec![lines[0], lines[1], lines[2], lines[2]],
            "manifest.duplicate",
            Some("small.mf"),
        ),
        (
            vec![&sha1, lines[1], lines[2]],
            "manifest.weak-digest",
            Some("small.ovf"),
        ),
        (
            vec![lines[0], lines[1], lines[2], "rubbish"],
            "manifest.malformed",
            Some("small.mf"),
        ),
    ];
    for (lines, code, member) in rows {
        let mut members = members.clone();
        seal(&mut members, (lines.join("\n") + "\n").as_bytes());
        let verdict = judge(pack(&members), &policy());
        let found = failures(&verdict);
        assert!(
            found.contains(&(code, member)),
            "{code} of {member:?}, found {found:?}"
        );
    }
    let mut members = members;
    seal(
        &mut members,
        format!("{sha1}\n{}\n{}\n", lines[1], lines[2]).as_bytes(),
    );
    let tolerant = Policy {
        tolerances: vec![Tolerance::Sha1],
        ..policy()
    };
    assert!(judge(pack(&members), &tolerant).is_accepted());
}

#[test]
fn the_policy_decides_what_an_unsigned_package_is() {
    let unsigned = archive(None);
    assert!(judge(unsigned.clone(), &Policy::at(NOW)).is_accepted());
    let required = Policy {
        require_signature: true,
        ..Policy::at(NOW)
    };
    assert_eq!(
        failures(&judge(unsigned.clone(), &required)),
        [("certificate.missing", None)]
    );
    // Roots alone require a signature: stripping it must not help.
    let rooted = Policy {
        roots: keys().roots(),
        ..Policy::at(NOW)
    };
    assert_eq!(
        failures(&judge(unsigned.clone(), &rooted)),
        [("certificate.missing", None)]
    );
    let mut members = members_of(&unsigned);
    members.remove(1);
    assert_eq!(
        failures(&judge(pack(&members), &Policy::at(NOW))),
        [("manifest.missing", None)]
    );
    let lax = Policy {
        require_manifest: false,
        ..Policy::at(NOW)
    };
    assert!(judge(pack(&members), &lax).is_accepted());
}

#[test]
fn the_verdict_as_json_has_stable_names() {
    let verdict = judge(
        archive(None),
        &Policy {
            require_signature: true,
            ..Policy::at(NOW)
        },
    );
    let json = serde_json::to_value(&verdict).unwrap();
    assert_eq!(json["accepted"], false);
    let failed: Vec<_> = json["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["outcome"] == "failed")
        .collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["code"], "certificate.missing");
    let codes: Vec<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
    assert!(verdict.checks().iter().all(|check| codes.contains(&check.code)));
}

#[test]
fn tolerances_are_found_by_their_names() {
    for tolerance in Tolerance::all() {
        assert_eq!(Tolerance::parse(tolerance.name()), Some(tolerance));
    }
    assert_eq!(Tolerance::parse("everything"), None);
}

#[test]
fn where_the_manifest_comes_last_only_digests_that_may_pass_are_computed() {
    let digests = |policy: &Policy| policy.digests();
    use DigestAlgorithm::{Sha1, Sha256, Sha384, Sha512};
    assert_eq!(digests(&Policy::at(NOW)), [Sha256, Sha384, Sha512]);
    let tolerant = Policy {
        tolerances: vec![Tolerance::Sha1],
        ..Policy::at(NOW)
    };
    assert_eq!(digests(&tolerant), [Sha1, Sha256, Sha384, Sha512]);
    let demanding = Policy {
        min_digest: Sha512,
        ..tolerant
    };
    assert_eq!(digests(&demanding), [Sha1, Sha512]);
}

#[test]
fn a_look_ahead_finds_the_digests_that_the_manifest_names() {
    let mut members = members_of(&archive(None));
    let look = |members: &Members| digests_named(&mut Source::stream(Cursor::new(pack(members)))).unwrap();
    assert_eq!(look(&members), [DigestAlgorithm::Sha256]);
    members[1..].rotate_left(1);
    assert_eq!(look(&members), [DigestAlgorithm::Sha256]);
    let mut source = Source::stream(Cursor::new(pack(&members)));
    assert!(verify_with(&mut source, &Policy::at(NOW), &look(&members)).is_accepted());
    // A look that was wrong refuses.
    let mut source = Source::stream(Cursor::new(pack(&members)));
    let verdict = verify_with(&mut source, &Policy::at(NOW), &[DigestAlgorithm::Sha512]);
    assert!(
        failures(&verdict)
            .iter()
            .all(|(code, _)| *code == "manifest.digest")
    );
    members.pop();
    assert!(look(&members).is_empty());
}
