//! A source that is not what it seems.

use std::sync::atomic::Ordering;

use appliance::digest::Digest;

use super::field::{Field, counted, honestly, rule};
use super::hostile::{Ask, Reply, Stock, index, signed_root};
use super::package::{Publisher, noise};
use super::pretended::Pretended;

const BYTES: usize = 3 << 20;

fn disk() -> Stock {
    Stock::of_files("1.0", &[("disk.img", &noise(1, BYTES))])
}

/// Bytes of a part of the disk, one of them another.
fn damaged(stock: &Stock, ask: &Ask, at: usize) -> Option<Reply> {
    let (first, last) = ask.range?;
    if !(first..=last).contains(&at) {
        return None;
    }
    let mut bytes = stock.bytes(ask.file()?).to_vec();
    bytes[at] ^= 1;
    Some(Reply::part(&bytes, ask))
}

#[tokio::test]
async fn a_chunk_that_is_wrong_once_is_fetched_again_and_one_that_is_wrong_each_time_names_the_source() {
    let field = Field::new().await;
    let at = 1_000_000;
    let refusal = field
        .is_refused("app", disk(), move |stock, ask| damaged(stock, ask, at))
        .await;
    assert_eq!(
        (rule(&refusal), &refusal["file"]),
        ("source.chunk", &"disk.img".into())
    );
    // The chunk in which the byte is, by where it begins.
    let start = usize::try_from(refusal["chunk"].as_u64().unwrap()).unwrap();
    assert!((at - (64 << 10)..=at).contains(&start), "{refusal}");

    let (seen, count) = counted();
    let ended = field
        .moves("app", disk(), move |stock, ask| {
            let damaged = damaged(stock, ask, at)?;
            (seen.fetch_add(1, Ordering::SeqCst) == 0).then_some(damaged)
        })
        .await;
    assert_eq!(ended["state"], "PUBLISHED", "{ended}");
    assert_eq!(count.load(Ordering::SeqCst), 2, "it was asked for again");
    assert_eq!(field.published("app").await, ["1.0"]);
}

#[tokio::test]
async fn an_index_that_lies_is_found_out_by_the_file_s_own_digest() {
    let field = Field::new().await;
    let other = noise(2, BYTES);
    let own = std::sync::Arc::clone(&field.hostile.own);
    let refusal = field
        .is_refused("app", disk(), move |stock, ask| {
            let offer = stock.offer();
            let (root, groups) = index(&other, offer.files[0].digest);
            match (ask.root(), ask.file()) {
                (Some(_), _) => Some(Reply::json(&signed_root(offer.digest(), &root, &own))),
                (_, Some(_)) => Some(Reply::part(&other, ask)),
                _ if ask.path.contains("/index/") => Some(Reply::ok(groups)),
                _ => None,
            }
        })
        .await;
    assert_eq!(
        (rule(&refusal), &refusal["file"]),
        ("source.digest", &"disk.img".into())
    );
}

#[tokio::test]
async fn an_index_of_another_file_or_version_or_by_another_node_is_none() {
    let field = Field::new().await;
    let accomplice = Pretended::enrol(&field.server.own, &field.server.root, "accomplice").await;
    let accomplice = std::sync::Arc::new(accomplice.credentials(&field.server.own));
    let own = &field.hostile.own;
    for (version, file, signer) in [
        (None, Some(Digest::of(b"another file")), own),
        (Some(Digest::of(b"another version")), None, own),
        (None, None, &accomplice),
    ] {
        let signer = std::sync::Arc::clone(signer);
        let refusal = field
            .is_refused("app", disk(), move |stock, ask| {
                let name = ask.root()?;
                let offer = stock.offer();
                let (root, _) = index(stock.bytes(name), file.unwrap_or(offer.files[0].digest));
                let version = version.unwrap_or(offer.digest());
                Some(Reply::json(&signed_root(version, &root, &signer)))
            })
            .await;
        assert_eq!(
            (rule(&refusal), &refusal["file"]),
            ("source.index", &"disk.img".into())
        );
    }
    // Signed by nobody whom the server knows; and no index at all.
    for answer in [
        Reply::json(&serde_json::json!({ "document": "", "signature": "", "certificate": "" })).body,
        b"nothing".to_vec(),
    ] {
        let refusal = field
            .is_refused("app", disk(), move |_, ask| {
                ask.root().map(|_| Reply::ok(answer.clone()))
            })
            .await;
        assert_eq!(rule(&refusal), "source.index", "{refusal}");
    }
}

#[tokio::test]
async fn groups_that_are_not_what_the_index_names_are_refused() {
    let field = Field::new().await;
    for change in [
        |groups: &mut Vec<u8>| groups[3] ^= 1,
        |groups: &mut Vec<u8>| groups.truncate(groups.len() - 36),
        |groups: &mut Vec<u8>| groups.clear(),
    ] {
        let refusal = field
            .is_refused("app", disk(), move |stock, ask| {
                if !ask.path.contains("/index/") {
                    return None;
                }
                let (_, mut groups) = index(stock.bytes("disk.img"), stock.offer().files[0].digest);
                change(&mut groups);
                Some(Reply::ok(groups))
            })
            .await;
        assert_eq!(
            (rule(&refusal), &refusal["file"]),
            ("source.index", &"disk.img".into()),
            "{refusal}"
        );
    }
}

#[tokio::test]
async fn another_offer_than_the_granted_one_is_refused_before_any_file_is_asked_for() {
    let field = Field::new().await;
    for other in [
        Stock::of_files("1.0", &[("disk.img", &noise(2, BYTES))]),
        Stock::of_files("1.0", &[("other.img", &noise(1, BYTES))]),
        Stock::of_files("1.0", &[]),
    ] {
        let offer = other.offer();
        let refusal = field
            .is_refused("app", disk(), move |_, ask| {
                (ask.path == "/api/v1/peer/version").then(|| Reply::json(&offer))
            })
            .await;
        assert_eq!(rule(&refusal), "source.other-package");
        assert_eq!(field.hostile.asked().len(), 1);
    }
    // The same files under a name that nobody granted: the server was told another label than the destination.
    let mut renamed = disk().offer();
    renamed.label = "9.0".to_owned();
    let refusal = field
        .is_refused("app", disk(), move |_, ask| {
            (ask.path == "/api/v1/peer/version").then(|| Reply::json(&renamed))
        })
        .await;
    assert_eq!(rule(&refusal), "source.other-package");
}

#[tokio::test]
async fn answers_that_break_off_once_are_gone_on_with() {
    let field = Field::new().await;
    let (seen, _) = counted();
    let ended = field
        .moves("app", disk(), move |stock, ask| {
            let mut part = Reply::part(stock.bytes(ask.file()?), ask);
            part.body.truncate(part.length / 2);
            (seen.fetch_add(1, Ordering::SeqCst) < 2).then_some(part)
        })
        .await;
    assert_eq!(ended["state"], "PUBLISHED", "{ended}");
}

#[tokio::test]
async fn answers_that_break_off_each_time_end_the_transfer_by_a_rule() {
    let field = Field::new().await;
    let publisher = Publisher::new("Publisher");
    let stock = Stock::of_package("1.0", &publisher, "1.0", b"disk");
    let ended = field
        .moves("web", stock, |stock, ask| {
            let mut part = Reply::part(stock.bytes(ask.file()?), ask);
            part.body.truncate(part.length / 2);
            (ask.file() == Some("web.mf")).then_some(part)
        })
        .await;
    assert_eq!(ended["state"], "FAILED", "{ended}");
    assert_eq!(rule(&ended["refusal"]), "vcc.unreachable", "{ended}");
    assert_eq!(field.published("web").await, [] as [String; 0]);
}

#[tokio::test]
async fn parts_that_were_not_asked_for_name_the_source() {
    let field = Field::new().await;
    type Change = fn(&mut Reply, &Ask);
    let changes: [Change; 3] = [
        // More bytes than were asked for.
        |reply, _| {
            reply.body.push(0);
            reply.length += 1;
        },
        // Those of another place.
        |reply, ask| {
            let (first, last) = ask.range.unwrap();
            reply.fields = format!("Content-Range: bytes {}-{}/{BYTES}\r\n", first + 1, last + 1);
        },
        // All, or what is said to be that.
        |reply, _| (reply.status, reply.fields) = ("200 OK", String::new()),
    ];
    for change in changes {
        let refusal = field
            .is_refused("app", disk(), move |stock, ask| {
                let mut part = Reply::part(stock.bytes(ask.file()?), ask);
                change(&mut part, ask);
                Some(part)
            })
            .await;
        assert_eq!(
            (rule(&refusal), &refusal["file"]),
            ("source.part", &"disk.img".into()),
            "{refusal}"
        );
        assert!(refusal["chunk"].is_u64(), "{refusal}");
    }
}

#[tokio::test]
async fn names_that_lead_elsewhere_or_differ_in_capitals_and_files_without_end_are_no_version() {
    let field = Field::new().await;
    let many: Vec<_> = (0..300).map(|number| format!("file-{number}")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    for (files, says) in [
        (&[("../../etc/passwd", &b"x"[..])][..], "../../etc/passwd"),
        (&[("/etc/passwd", b"x")], "/etc/passwd"),
        (&[("folder/file", b"x")], "folder"),
        (&[("disk.img", b"x"), ("Disk.IMG", b"y")], "Disk.IMG"),
        (&[("a\u{0}b", b"x")], ""),
        (&[("", b"x")], ""),
        (&[], "1 to 256 files"),
        (&many, "1 to 256 files"),
    ] {
        let stock = Stock::of_files("1.0", files);
        let refusal = field.is_refused("app", stock, honestly).await;
        assert_eq!(rule(&refusal), "source.other-package", "{files:?}");
        assert!(refusal["reason"].as_str().unwrap().contains(says), "{refusal}");
        assert_eq!(field.hostile.asked().len(), 1, "no file is asked for");
    }
}

#[tokio::test]
async fn answers_that_are_longer_than_they_may_be_are_refused_unread() {
    let field = Field::new().await;
    for (wanted, length, rule_of_it) in [
        ("/version", 2 << 20, "source.other-package"),
        ("/index", 20 << 20, "source.index"),
    ] {
        let refusal = field
            .is_refused("app", disk(), move |_, ask| {
                ask.path.ends_with(wanted).then(|| Reply::ok(vec![b' '; length]))
            })
            .await;
        assert_eq!(rule(&refusal), rule_of_it);
    }
}

#[tokio::test]
async fn a_source_that_drips_is_given_up_and_known_by_its_rule() {
    let field = Field::new().await;
    let stock = Stock::of_files("1.0", &[("disk.img", &vec![0; 32 << 20])]);
    field
        .hostile
        .offers(stock, |stock, ask| match (ask.file(), ask.root()) {
            (Some(name), _) => Some(Reply {
                drips: true,
                ..Reply::part(stock.bytes(name), ask)
            }),
            (_, Some(_)) => Some(Reply::missing()),
            _ => None,
        });
    // Eight are tried at once, so that enough have failed after a minute.
    let mut wish = field.wish("app");
    wish["parallel"] = 8.into();
    let ended = field.ended(&field.begins(&wish).await).await;
    assert_eq!(ended["state"], "FAILED", "{ended}");
    assert_eq!(rule(&ended["refusal"]), "vcc.unreachable");
    assert!(
        ended["message"].as_str().unwrap().contains("too slowly"),
        "{ended}"
    );
    assert!(ended["wire"].as_u64().unwrap() < 100_000, "{ended}");
    assert_eq!(field.published("app").await, [] as [String; 0]);
}
