//! Whom the destination believes, whatever source and server say.

use serde_json::{Value, json};

use super::field::{Field, honestly, rule};
use super::hostile::Stock;
use super::package::{Authority, Publisher, noise};

const DISK: usize = 1 << 20;

fn package(publisher: &Publisher, label: &str) -> Stock {
    Stock::of_package(label, publisher, label, &noise(3, DISK))
}

/// What is refused before any of the disk comes.
async fn foreseen(field: &Field, stock: Stock) -> Value {
    let refusal = field.is_refused("web", stock, honestly).await;
    assert!(
        !field.fetched().contains(&"web-disk.vmdk".to_owned()),
        "the disk came for nothing"
    );
    refusal
}

#[tokio::test]
async fn a_publisher_whom_the_destination_doesn_t_believe_is_refused_before_any_of_the_disk_comes() {
    let field = Field::new().await;
    let (known, stranger) = (Publisher::new("Known"), Publisher::new("Known"));
    assert_eq!(
        rule(&foreseen(&field, package(&stranger, "1.0")).await),
        "trust.nobody"
    );
    field.believes("known", &known.certificate).await;
    assert_eq!(
        rule(&foreseen(&field, package(&stranger, "1.0")).await),
        "certificate.untrusted"
    );
    let moved = field.moves("web", package(&known, "1.0"), honestly).await;
    assert_eq!(moved["state"], "PUBLISHED", "{moved}");
}

#[tokio::test]
async fn what_was_changed_after_it_was_signed_is_refused_by_file() {
    let field = Field::new().await;
    let publisher = Publisher::new("Publisher");
    field.believes("publisher", &publisher.certificate).await;
    for (name, expected) in [
        ("web-disk.vmdk", "manifest.digest"),
        ("web.ovf", "manifest.digest"),
        ("web.mf", "certificate.signature"),
    ] {
        let mut stock = package(&publisher, "1.0");
        let bytes = stock.bytes_mut(name);
        match name {
            "web.mf" => {
                let text = String::from_utf8(bytes.clone()).unwrap();
                *bytes = text.replace("= ", "=").into_bytes();
            }
            "web.ovf" => bytes.extend_from_slice(b"<!-- more -->"),
            _ => bytes[1000] ^= 1,
        }
        let refusal = foreseen(&field, stock).await;
        assert_eq!(rule(&refusal), expected, "{refusal}");
    }
    // Without what says who signed it.
    for gone in ["web.cert", "web.mf"] {
        let mut stock = package(&publisher, "1.0");
        stock.files.retain(|(name, _)| name != gone);
        let refusal = foreseen(&field, stock).await;
        let missing = format!(
            "{}.missing",
            if gone == "web.mf" {
                "manifest"
            } else {
                "certificate"
            }
        );
        assert_eq!(rule(&refusal), missing, "{refusal}");
    }
}

#[tokio::test]
async fn an_archive_whose_manifest_comes_last_and_is_bad_stays_in_quarantine_until_it_is_refused() {
    let field = Field::new().await;
    let publisher = Publisher::new("Publisher");
    field.believes("publisher", &publisher.certificate).await;
    let mut stock = package(&publisher, "1.0");
    stock.bytes_mut("web-disk.vmdk")[1000] ^= 1;
    let refusal = field.is_refused("web", stock.in_an_archive(), honestly).await;
    assert_eq!(
        (rule(&refusal), &refusal["file"]),
        ("manifest.digest", &json!("web-disk.vmdk"))
    );
    let mut stock = package(&publisher, "1.0").in_an_archive();
    let length = stock.bytes("web.ova").len();
    // The certificate is the last but for the end of the archive.
    stock.bytes_mut("web.ova")[length - 1024 - 1000] ^= 1;
    field.is_refused("web", stock, honestly).await;
    let good = package(&publisher, "1.0").in_an_archive();
    let moved = field.moves("web", good, honestly).await;
    assert_eq!(moved["state"], "PUBLISHED", "{moved}");
}

#[tokio::test]
async fn a_certificate_that_was_taken_back_or_has_ended_signs_nothing_any_more() {
    let field = Field::new().await;
    let authority = Authority::new("Authority");
    field.believes("authority", &authority.certificate).await;
    let [good, revoked] = [2, 3].map(|number| authority.publisher("Publisher", number, 300));
    let ended = authority.publisher("Publisher", 4, -1);
    let moved = field.moves("web", package(&revoked, "1.0"), honestly).await;
    assert_eq!(
        moved["state"], "PUBLISHED",
        "nobody has taken it back yet: {moved}"
    );
    let list = authority.takes_back(&[3]);
    field
        .asks(&json!({ "revocation_lists": [list], "require_revocation_list": true }))
        .await;
    for (publisher, expected) in [(&revoked, "certificate.revoked"), (&ended, "certificate.expired")] {
        let ended = field.moves("web", package(publisher, "2.0"), honestly).await;
        assert_eq!(ended["state"], "REJECTED", "{ended}");
        assert_eq!(rule(&ended["refusal"]), expected, "{ended}");
        assert!(!field.fetched().contains(&"web-disk.vmdk".to_owned()));
        assert_eq!(field.files("quarantine").len(), 0);
    }
    let moved = field.moves("web", package(&good, "2.0"), honestly).await;
    assert_eq!(moved["state"], "PUBLISHED", "{moved}");
    // A list that is too old says nothing, and one is asked for.
    field
        .asks(&json!({ "revocation_lists": [authority.takes_back(&[3])], "require_revocation_list": true, "revocation_list_max_age": 60 }))
        .await;
    let ended = field.moves("web", package(&good, "3.0"), honestly).await;
    assert_eq!(rule(&ended["refusal"]), "crl.stale", "{ended}");
    field.asks(&json!({ "require_revocation_list": true })).await;
    let ended = field.moves("web", package(&good, "3.0"), honestly).await;
    assert_eq!(rule(&ended["refusal"]), "crl.missing", "{ended}");
}

#[tokio::test]
async fn keys_change_with_an_overlap_in_which_both_are_good() {
    let field = Field::new().await;
    let (old, new) = (Publisher::new("Publisher"), Publisher::new("Publisher"));
    let believed = field.believes("old", &old.certificate).await;
    let state = async |publisher, label| {
        let ended = field.moves("web", package(publisher, label), honestly).await;
        ended["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(&old, "1.0").await, "PUBLISHED");
    assert_eq!(state(&new, "2.0").await, "REJECTED");
    field.believes("new", &new.certificate).await;
    assert_eq!(state(&new, "2.0").await, "PUBLISHED");
    assert_eq!(state(&old, "3.0").await, "PUBLISHED");
    let node = &field.south.node;
    let path = format!("/api/v1/trust-roots/{believed}");
    let gone = node.own.ask(&node.root, "DELETE", &path, ("", ""), None).await;
    assert_eq!(gone.status, 204, "{}", gone.body);
    assert_eq!(state(&old, "4.0").await, "REJECTED");
    assert_eq!(state(&new, "4.0").await, "PUBLISHED");
}
