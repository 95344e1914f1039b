//! What is old comes back under whatever name.

use appliance::transfer::Grant;

use super::field::{Field, honestly, rule};
use super::hostile::Stock;
use super::package::{Publisher, noise};

#[tokio::test]
async fn an_older_version_is_refused_by_its_label_its_files_and_what_its_publisher_signed() {
    let field = Field::new().await;
    let publisher = Publisher::new("Publisher");
    field.believes("publisher", &publisher.certificate).await;
    let package = |label, release, seed| Stock::of_package(label, &publisher, release, &noise(seed, 1 << 20));
    let moved = field.moves("web", package("2.0", "2.0", 2), honestly).await;
    assert_eq!(moved["state"], "PUBLISHED", "{moved}");
    for (stock, expected, is_foreseen) in [
        // An older one by its label.
        (package("1.0", "3.0", 1), "rollback.version", true),
        // The same files as if they were a newer one.
        (package("3.0", "2.0", 2), "rollback.replayed", true),
        // An older one, which its publisher signed then, under a newer label.
        (package("3.0", "1.0", 1), "rollback.release", false),
    ] {
        let ended = field.moves("web", stock, honestly).await;
        assert_eq!(ended["state"], "REJECTED", "{ended}");
        assert_eq!(rule(&ended["refusal"]), expected, "{ended}");
        assert_eq!(field.hostile.asked().is_empty(), is_foreseen);
        assert_eq!(field.files("quarantine").len(), 0);
        assert_eq!(
            field.files("blobs").len(),
            4,
            "those of what is offered, and no more"
        );
        assert_eq!(field.published("web").await, ["2.0"]);
    }
    // Also when there is nothing left of it here.
    let node = &field.south.node;
    let removes = async |path: String| {
        let tag = node.own.get(&node.root, &path).await.fields["etag"].clone();
        let tag = tag.to_str().unwrap();
        let gone = node.own.matching(&node.root, "DELETE", &path, tag, None).await;
        assert_eq!(gone.status, 204, "{}", gone.body);
    };
    let items = node.own.get(&node.root, "/api/v1/items?q=web").await.body;
    let item = format!("/api/v1/items/{}", items[0]["id"].as_str().unwrap());
    let versions = node.own.get(&node.root, &format!("{item}/versions")).await.body;
    for version in versions.as_array().unwrap() {
        removes(format!("/api/v1/versions/{}", version["id"].as_str().unwrap())).await;
    }
    removes(item).await;
    let refusal = field.is_refused("web", package("1.0", "1.0", 1), honestly).await;
    assert_eq!(rule(&refusal), "rollback.version");
}

#[tokio::test]
async fn a_destination_that_has_forgotten_goes_by_what_its_server_remembers_and_never_below_its_own_memory() {
    let field = Field::new().await;
    let stock = |label| Stock::of_files(label, &[("app.img", &noise(7, 1000))]);
    field.hostile.offers(stock("1.0"), honestly);
    let floor = |floor: &str| Grant {
        floor: Some(floor.to_owned()),
        ..field.grant("app")
    };
    let task = field
        .receives(&Field::sign(&field.server.own, &floor("2.0")))
        .await;
    assert_eq!(rule(&task["result"]["refusal"]), "rollback.version", "{task}");
    field.has_nothing_of("app").await;
    let moved = field.moves("app", stock("3.0"), honestly).await;
    assert_eq!(moved["state"], "PUBLISHED", "{moved}");
    // A server that says less than this node knows.
    field
        .hostile
        .offers(Stock::of_files("2.5", &[("app.img", &noise(8, 1000))]), honestly);
    for said in ["0.1", "2.5", "not a label\u{0}"] {
        let task = field
            .receives(&Field::sign(&field.server.own, &floor(said)))
            .await;
        assert_eq!(
            rule(&task["result"]["refusal"]),
            "rollback.version",
            "{said}: {task}"
        );
    }
    assert_eq!(field.published("app").await, ["3.0"]);
}
