//! A server that orders what it may not, and whoever brings a destination's or a source's words of before.

use appliance::digest::Digest;
use appliance::task::Kind;
use appliance::transfer::{Grant, Outcome, Purpose, Receipt, Signed};
use serde_json::{Value, json};
use uuid::Uuid;

use super::enrolled::Listening;
use super::field::{Field, honestly, rule};
use super::hostile::{Reply, Stock};
use super::package::noise;
use super::pretended::Pretended;

fn stock(label: &str) -> Stock {
    Stock::of_files(label, &[("app.img", &noise(7, 100_000))])
}

/// A task that was refused: by which rule.
fn refused(task: &Value) -> &str {
    assert_eq!(task["state"], "FAILED", "{task}");
    assert!(task["result"]["receipt"].is_null(), "{task}");
    rule(&task["result"]["refusal"])
}

#[tokio::test]
async fn a_grant_that_is_not_good_for_this_destination_is_refused_before_the_source_hears_of_it() {
    let field = Field::new().await;
    field.hostile.offers(stock("1.0"), honestly);
    let good = field.grant("app");
    let stranger = Listening::start().await;
    let own = |grant: &Grant| Field::sign(&field.server.own, grant);
    let mut elsewhere = good.clone();
    elsewhere.destination.node = Uuid::new_v4();
    let mut reversed = good.clone();
    std::mem::swap(&mut reversed.source, &mut reversed.destination);
    let mut relays = elsewhere.clone();
    relays.relay = Some(field.south.id);
    let mut to_itself = good.clone();
    to_itself.source.node = field.south.id;
    let mut ended = good.clone();
    ended.expires = ended.issued;
    let mut forged = own(&good);
    forged.document = own(&elsewhere).document;
    let by_a_node = Signed::bytes(
        Purpose::Grant,
        &serde_json::to_vec(&good).unwrap(),
        field.hostile.own.certificate(),
        |bytes| field.hostile.own.sign(bytes),
    );
    let as_a_receipt = Signed {
        signature: field
            .source
            .sign(&receipt(&own(&good), &good, field.south.id, Outcome::Published))
            .signature,
        ..own(&good)
    };
    for (grant, expected) in [
        (Field::sign(&stranger.own, &good), "grant.signature"),
        (by_a_node.unwrap(), "grant.signature"),
        (forged, "grant.signature"),
        (as_a_receipt, "grant.signature"),
        (own(&elsewhere), "grant.other-node"),
        (own(&reversed), "grant.other-node"),
        (own(&relays), "grant.other-node"),
        (own(&to_itself), "grant.other-node"),
        (own(&ended), "grant.expired"),
    ] {
        let task = field.receives(&grant).await;
        assert_eq!(refused(&task), expected, "{task}");
        field.has_nothing_of("app").await;
    }
    assert!(field.hostile.asked().is_empty());
    // The one that all of them were made of is good.
    let task = field.receives(&own(&good)).await;
    assert_eq!(task["result"]["phase"], "PUBLISHED", "{task}");
}

#[tokio::test]
async fn a_grant_is_good_once_however_the_transfer_ended() {
    let field = Field::new().await;
    field.hostile.offers(stock("2.0"), honestly);
    let own = |grant: &Grant| Field::sign(&field.server.own, grant);
    let good = Grant {
        number: 5,
        ..field.grant("app")
    };
    let first = field.receives(&own(&good)).await;
    assert_eq!(first["result"]["phase"], "PUBLISHED", "{first}");
    let asked = field.hostile.asked().len();

    // The same again: what became of it is told, and nothing is done.
    let again = field.receives(&own(&good)).await;
    assert_eq!(again["result"], first["result"]);
    // Another for the same transfer, whatever its number says.
    for number in [4, 5, 6] {
        let other = Grant {
            number,
            bytes: good.bytes + 1,
            ..good.clone()
        };
        assert_eq!(refused(&field.receives(&own(&other)).await), "grant.used");
    }
    assert_eq!(
        field.hostile.asked().len(),
        asked,
        "the source heard nothing of it"
    );
    assert_eq!(field.published("app").await, ["2.0"]);

    // After a refusal likewise, unless the server signed another after it, which is judged anew.
    let bad = Grant {
        number: 7,
        label: "1.0".to_owned(),
        transfer: Uuid::new_v4(),
        ..good.clone()
    };
    let first = field.receives(&own(&bad)).await;
    assert_eq!(first["result"]["phase"], "REJECTED", "{first}");
    assert_eq!(rule(&first["result"]["refusal"]), "rollback.version");
    let again = field.receives(&own(&bad)).await;
    assert_eq!(again["result"], first["result"]);
    let before = Grant {
        number: 6,
        bytes: 1,
        ..bad.clone()
    };
    assert_eq!(refused(&field.receives(&own(&before)).await), "grant.used");
    let elsewhere = Grant {
        number: 8,
        destination: appliance::transfer::Party {
            place: serde_json::from_value(json!({ "tenant": "acme", "catalog": "images", "item": "app" }))
                .unwrap(),
            ..bad.destination.clone()
        },
        ..bad.clone()
    };
    assert_eq!(refused(&field.receives(&own(&elsewhere)).await), "tenant.unknown");
    let next = Grant {
        number: 8,
        ..bad.clone()
    };
    let judged = field.receives(&own(&next)).await;
    assert_eq!(rule(&judged["result"]["refusal"]), "rollback.version");
    assert_ne!(judged["result"]["receipt"], first["result"]["receipt"]);
    assert_eq!(field.published("app").await, ["2.0"]);
}

fn receipt(signed: &Signed, grant: &Grant, node: Uuid, outcome: Outcome) -> Receipt {
    Receipt {
        transfer: grant.transfer,
        grant: signed.digest(Purpose::Grant).unwrap(),
        node,
        outcome,
        place: grant.destination.place.clone(),
        label: grant.label.clone(),
        digest: grant.digest,
        release: None,
        signer: None,
        policy: Digest::of(b""),
        refusal: None,
        at: grant.issued,
    }
}

#[tokio::test]
async fn a_source_keeps_its_version_unless_the_destination_itself_vouches_for_having_it() {
    let field = Field::new().await;
    field.hostile.offers(stock("1.0"), honestly);
    let own = |grant: &Grant| Field::sign(&field.server.own, grant);
    let task = field.receives(&own(&field.grant("app"))).await;
    assert_eq!(task["result"]["phase"], "PUBLISHED", "{task}");
    // The node that has it now is the source of what follows.
    let node = &field.south.node;
    let item = node.own.get(&node.root, "/api/v1/items?q=app").await.body;
    let path = format!("/api/v1/items/{}/versions", item[0]["id"].as_str().unwrap());
    let version = node.own.get(&node.root, &path).await.body[0].clone();
    let to = Pretended::enrol(&field.server.own, &field.server.root, "to").await;
    let accomplice = Pretended::enrol(&field.server.own, &field.server.root, "accomplice").await;
    let destination: Uuid = to.id.parse().unwrap();
    let mut grant = field.grant("app");
    grant.source.node = field.south.id;
    grant.destination.node = destination;
    grant.version = version["id"].as_str().unwrap().parse().unwrap();
    grant.moves = true;
    let copy = Grant {
        moves: false,
        ..grant.clone()
    };
    let other = Grant {
        transfer: Uuid::new_v4(),
        ..grant.clone()
    };
    let mut of_a_tenant = grant.clone();
    of_a_tenant.source.place =
        serde_json::from_value(json!({ "tenant": "acme", "catalog": "images", "item": "app" })).unwrap();
    let says = |grant: &Grant, outcome| receipt(&own(grant), grant, destination, outcome);
    let good = says(&grant, Outcome::Published);
    let another_package = Receipt {
        digest: Digest::of(b"another"),
        ..good.clone()
    };
    for (grant, receipt, why) in [
        (&grant, accomplice.sign(&good), "another node's"),
        (&grant, field.source.sign(&good), "another node's"),
        (
            &grant,
            to.sign(&says(&grant, Outcome::Rejected)),
            "what was refused",
        ),
        (
            &grant,
            to.sign(&says(&other, Outcome::Published)),
            "another transfer's",
        ),
        (&grant, to.sign(&another_package), "another package's"),
        (&copy, to.sign(&says(&copy, Outcome::Published)), "a copy"),
        (
            &of_a_tenant,
            to.sign(&says(&of_a_tenant, Outcome::Published)),
            "a tenant's, whose it isn't",
        ),
        (&grant, own(&grant), "the grant"),
    ] {
        let details = json!({ "grant": own(grant), "receipt": receipt });
        let task = field.does(Kind::Release, &details).await;
        assert_eq!(task["state"], "FAILED", "{why}: {task}");
        assert_eq!(field.published("app").await, ["1.0"], "{why}");
    }
    let details = json!({ "grant": own(&grant), "receipt": to.sign(&good) });
    let task = field.does(Kind::Release, &details).await;
    assert_eq!(task["state"], "DONE", "{task}");
    assert_eq!(field.published("app").await, [] as [String; 0]);
}

#[tokio::test]
async fn what_is_stopped_while_it_comes_leaves_nothing_and_is_never_published_afterwards() {
    let field = Field::new().await;
    let (seen, count) = super::field::counted();
    field.hostile.offers(stock("1.0"), move |stock, ask| {
        let name = ask.file()?;
        seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Some(Reply {
            drips: true,
            ..Reply::part(stock.bytes(name), ask)
        })
    });
    let id = field.begins(&field.wish("app")).await;
    while count.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let path = format!("/api/v1/transfers/{id}/cancel");
    let answer = field.server.own.post(&field.server.root, &path, &json!({})).await;
    assert!(answer.status < 300, "{}", answer.body);
    assert_eq!(field.ended(&id).await["state"], "CANCELLED");
    field.has_nothing_of("app").await;
}

#[tokio::test]
async fn what_is_stopped_while_it_is_judged_is_not_published_after_that() {
    let mut field = Field::new().await;
    // Nobody judges for a while.
    field.keeping.abort();
    field.hostile.offers(stock("1.0"), honestly);
    let id = field.begins(&field.wish("app")).await;
    let judged = field
        .waits(&id, |transfer| transfer["message"] == "is judged")
        .await;
    assert_eq!(judged["state"], "RECEIVING", "{judged}");
    let path = format!("/api/v1/transfers/{id}/cancel");
    let answer = field.server.own.post(&field.server.root, &path, &json!({})).await;
    assert!(answer.status < 300, "{}", answer.body);
    assert_eq!(field.ended(&id).await["state"], "CANCELLED");
    field.has_nothing_of("app").await;
    field.keeping = tokio::spawn(appliance::catalog::keep(field.south.context()));
    // When the next is published, all that came before it was looked at.
    let next = field.moves("app", stock("2.0"), honestly).await;
    assert_eq!(next["state"], "PUBLISHED", "{next}");
    assert_eq!(field.published("app").await, ["2.0"]);
}

#[tokio::test]
async fn another_grant_for_what_has_begun_leaves_nothing_of_that_and_is_judged_by_itself() {
    let field = Field::new().await;
    let own = |grant: &Grant| Field::sign(&field.server.own, grant);
    // The first is left in the middle of its second file.
    let files = [("a.img", &b"whole"[..]), ("b.img", &b"never whole"[..])];
    field.hostile.offers(Stock::of_files("1.0", &files), |_, ask| {
        (ask.file() == Some("b.img")).then(Reply::missing)
    });
    let first = field.grant("app");
    let task = field.receives(&own(&first)).await;
    assert_eq!(refused(&task), "vcc.refused", "{task}");
    assert_eq!(field.published("app").await, [] as [String; 0]);
    // The same files under another name: what was called otherwise isn't what is signed for in the end.
    field.hostile.offers(Stock::of_files("2.0", &files), honestly);
    let second = Grant {
        number: 2,
        label: "2.0".to_owned(),
        ..first.clone()
    };
    let task = field.receives(&own(&second)).await;
    assert_eq!(task["result"]["phase"], "PUBLISHED", "{task}");
    assert_eq!(field.published("app").await, ["2.0"]);
    assert_eq!(field.files("quarantine").len(), 0);
    let signed: Signed = serde_json::from_value(task["result"]["receipt"].clone()).unwrap();
    let receipt: Receipt = signed.read(Purpose::Receipt).unwrap();
    assert_eq!((receipt.label.as_str(), receipt.digest), ("2.0", second.digest));
}
