use super::*;
use crate::manifest::Spelling;

/// The signed package with its manifest, sealed again, and its certificate file in another spelling.
fn respelled(manifest: impl Fn(&str) -> String, certificate: impl Fn(&str) -> String) -> Vec<u8> {
    let mut members = members_of(&signed());
    let text = String::from_utf8(members[1].1.clone()).unwrap();
    seal(&mut members, manifest(&text).as_bytes());
    let text = String::from_utf8(members[2].1.clone()).unwrap();
    members[2].1 = certificate(&text).into_bytes();
    pack(&members)
}

fn same(text: &str) -> String {
    text.to_owned()
}

/// One spelling, by default let pass and told, under a strict policy refused.
fn assert_named(package: &[u8], spelling: Spelling, code: &str) {
    let verdict = judge(package.to_vec(), &policy());
    let name = spelling.name();
    assert!(verdict.is_accepted(), "{name}: {:?}", failures(&verdict));
    assert_eq!(verdict.tolerated(), [name]);
    let strict = Policy {
        tolerances: Vec::new(),
        ..policy()
    };
    let member = if code == "manifest.spelling" {
        "small.mf"
    } else {
        "small.cert"
    };
    let verdict = judge(package.to_vec(), &strict);
    assert_eq!(failures(&verdict), [(code, Some(member))], "{name}");
}

#[test]
fn each_spelling_of_the_manifest_passes_by_its_name_alone() {
    type Change = fn(&str) -> String;
    let rows: [(Spelling, Change); 9] = [
        (Spelling::SpaceBeforeParenthesis, |it| it.replace('(', " (")),
        (Spelling::SpacesAroundEquals, |it| it.replace("= ", " = ")),
        (Spelling::TrailingSpace, |it| it.replacen('\n', " \n", 1)),
        (Spelling::CarriageReturn, |it| it.replace('\n', "\r\n")),
        (Spelling::BlankLine, |it| it.replace('\n', "\n\n")),
        (Spelling::NoFinalLineEnd, |it| it.trim_end().to_owned()),
        (Spelling::AlgorithmName, |it| it.replace("SHA256", "SHA2-256")),
        (Spelling::HexCase, |it| {
            let upper = it.lines().map(|line| line.split_once("= ").unwrap());
            upper
                .map(|(name, hex)| format!("{name}= {}\n", hex.to_uppercase()))
                .collect()
        }),
        (Spelling::WrappedValue, |it| {
            let (line, rest) = it.split_once('\n').unwrap();
            let (start, end) = line.split_at(line.len() - 20);
            format!("{start}\n{end}\n{rest}")
        }),
    ];
    for (spelling, change) in rows {
        assert_named(&respelled(change, same), spelling, "manifest.spelling");
    }
}

#[test]
fn each_spelling_of_the_certificate_file_passes_by_its_name_alone() {
    use base64::Engine as _;
    type Change = fn(&str) -> String;
    let rows: [(Spelling, Change); 5] = [
        (Spelling::SpaceBeforeParenthesis, |it| it.replacen('(', " (", 1)),
        (Spelling::CarriageReturn, |it| it.replace('\n', "\r\n")),
        (Spelling::NameCase, |it| it.replace("small.mf", "Small.MF")),
        (Spelling::WrappedValue, |it| {
            let (start, end) = it.split_at(64);
            let (middle, end) = end.split_at(64);
            format!("{start}\n{middle}\n{end}")
        }),
        (Spelling::Base64Signature, |it| {
            let (line, rest) = it.split_once('\n').unwrap();
            let (name, hex) = line.split_once("= ").unwrap();
            let bytes: Vec<u8> = (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
                .collect();
            let text = base64::engine::general_purpose::STANDARD.encode(bytes);
            format!("{name}= {text}\n{rest}")
        }),
    ];
    for (spelling, change) in rows {
        assert_named(&respelled(same, change), spelling, "certificate.spelling");
    }
}

#[test]
fn a_tolerance_lets_nothing_else_pass() {
    let package = respelled(|it| it.replace('\n', "\r\n").replace('(', " ("), same);
    let policy = Policy {
        tolerances: vec![Tolerance::Spelling(Spelling::CarriageReturn)],
        ..policy()
    };
    let verdict = judge(package, &policy);
    assert_eq!(failures(&verdict), [("manifest.spelling", Some("small.mf"))]);
    assert_eq!(verdict.tolerated(), ["carriage-return"]);
}

#[test]
fn the_canonical_package_makes_use_of_no_tolerance() {
    let strict = Policy {
        tolerances: Vec::new(),
        ..policy()
    };
    let verdict = judge(signed(), &strict);
    assert!(verdict.is_accepted() && verdict.tolerated().is_empty());
}
