//! One tenant's transfers, and what another has.

use appliance::transfer::{Grant, Place};
use serde_json::json;

use super::field::{Field, honestly, rule};
use super::hostile::Stock;
use super::package::noise;

fn place(tenant: &str) -> Place {
    serde_json::from_value(json!({ "tenant": tenant, "catalog": "images", "item": "app" })).unwrap()
}

#[tokio::test]
async fn what_comes_for_a_tenant_is_another_s_neither_to_see_nor_to_make_use_of() {
    let field = Field::new().await;
    let node = &field.south.node;
    let (_, acme) = node.own.tenant(&node.root, "acme").await;
    let (_, globex) = node.own.tenant(&node.root, "globex").await;
    let bytes = noise(5, 3 << 20);
    field
        .hostile
        .offers(Stock::of_files("1.0", &[("disk.img", &bytes)]), honestly);
    let grant = |tenant| {
        let mut grant = field.grant("app");
        grant.destination.place = place(tenant);
        Field::sign(&field.server.own, &grant)
    };
    let receives = async |tenant| {
        let task = field.receives(&grant(tenant)).await;
        let told = &task["result"];
        assert_eq!(told["phase"], "PUBLISHED", "{task}");
        (told["wire"].as_u64().unwrap(), told["reused"].as_u64().unwrap())
    };
    let has = async |session: &str| {
        let items = node.own.get(session, "/api/v1/items?q=app").await.body;
        items.as_array().unwrap().len()
    };
    let (wire, reused) = receives("acme").await;
    assert!(wire >= bytes.len() as u64 && reused == 0);
    assert_eq!((has(&acme).await, has(&globex).await), (1, 0));
    // The same bytes come whole for the other: what the first has tells it nothing.
    let (wire, reused) = receives("globex").await;
    assert!(wire >= bytes.len() as u64, "{wire}");
    assert_eq!(reused, 0);
    assert_eq!((has(&acme).await, has(&globex).await), (1, 1));
    // Beside what it has itself, where that is the same.
    let mut more = bytes.clone();
    more.extend_from_slice(&noise(6, 1000));
    field
        .hostile
        .offers(Stock::of_files("2.0", &[("disk.img", &more)]), honestly);
    // Its index is made after it was published.
    let start = std::time::Instant::now();
    while field.files("indexes").len() < 2 {
        assert!(start.elapsed().as_secs() < 60);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let (wire, reused) = receives("globex").await;
    assert!(reused > 2 << 20 && wire < 1 << 20, "{wire} {reused}");
    let nobody = field.receives(&grant("initech")).await;
    assert_eq!(rule(&nobody["result"]["refusal"]), "tenant.unknown", "{nobody}");
}

#[tokio::test]
async fn a_transfer_that_was_one_tenant_s_is_not_gone_on_with_as_another_s() {
    let field = Field::new().await;
    let node = &field.south.node;
    for tenant in ["acme", "globex"] {
        node.own.tenant(&node.root, tenant).await;
    }
    field
        .hostile
        .offers(Stock::of_files("1.0", &[("app.img", b"bytes")]), honestly);
    let mut grant = field.grant("app");
    grant.destination.place = place("acme");
    // It is refused the first time, so that there is something to go on with.
    grant.floor = Some("2.0".to_owned());
    let first = field.receives(&Field::sign(&field.server.own, &grant)).await;
    assert_eq!(rule(&first["result"]["refusal"]), "rollback.version", "{first}");
    let mut other = Grant {
        number: 2,
        floor: None,
        ..grant
    };
    other.destination.place = place("globex");
    let second = field.receives(&Field::sign(&field.server.own, &other)).await;
    assert_eq!(rule(&second["result"]["refusal"]), "grant.used", "{second}");
    field.has_nothing_of("app").await;
}
