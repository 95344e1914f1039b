//! What a node gives to others of its server.

use std::time::Duration;

use appliance::client::Client;
use appliance::peer::{Dialer, GRANT, grant_field};
use appliance::transfer::{Grant, Route, Signed};
use hyper::Method;
use serde_json::json;
use uuid::Uuid;

use super::field::{Field, honestly};
use super::hostile::Stock;
use super::package::noise;
use super::reachable::Reachable;

async fn asked(client: &mut Client, path: &str, grant: &Signed) -> u16 {
    let field = grant_field(grant);
    let fields = [(GRANT, field.as_str())];
    let patience = Duration::from_secs(20);
    let answer = client
        .ask_with(Method::GET, path, None, &fields, None::<&()>, patience)
        .await;
    answer.unwrap().status.as_u16()
}

#[tokio::test]
async fn a_source_gives_what_a_grant_names_to_the_node_that_it_names_and_nothing_else() {
    let field = Field::new().await;
    let node = &field.south.node;
    for tenant in ["acme", "globex"] {
        node.own.tenant(&node.root, tenant).await;
    }
    let own = |grant: &Grant| Field::sign(&field.server.own, grant);
    // What the source of this test has, of a tenant: two versions.
    let mut grants = Vec::new();
    for label in ["1.0", "2.0"] {
        let bytes = noise(u64::from(label.as_bytes()[0]), 1000);
        field
            .hostile
            .offers(Stock::of_files(label, &[("app.img", &bytes)]), honestly);
        let mut grant = field.grant("app");
        grant.destination.place =
            serde_json::from_value(json!({ "tenant": "acme", "catalog": "images", "item": "app" })).unwrap();
        let task = field.receives(&own(&grant)).await;
        assert_eq!(task["result"]["phase"], "PUBLISHED", "{task}");
        grants.push(grant);
    }
    let versions = sqlx::query_scalar::<_, String>("SELECT id FROM versions ORDER BY label")
        .fetch_all(node.own.context.ground().unwrap().database.pool())
        .await
        .unwrap();

    let peer = Reachable::new(&field.server, &field.folder.path().join("peer")).await;
    let granted = |number: usize| {
        let mut grant = grants[number].clone();
        grant.source = grant.destination.clone();
        grant.destination.node = peer.id;
        grant.version = versions[number].parse().unwrap();
        grant
    };
    let (first, second) = (granted(0), granted(1));
    let route = Route::Direct {
        endpoint: field.south.endpoint(),
    };
    let dialer = Dialer::new(peer.context(), field.south.id, route, &own(&first)).unwrap();
    let mut client = dialer.client().await.unwrap();
    let mut mixed = first.clone();
    mixed.version = second.version;
    let mut of_another_tenant = first.clone();
    of_another_tenant.source.place =
        serde_json::from_value(json!({ "tenant": "globex", "catalog": "images", "item": "app" })).unwrap();
    let mut of_the_provider = first.clone();
    of_the_provider.source.place.tenant = None;
    let mut gone = first.clone();
    gone.version = Uuid::new_v4();
    let mut of_another_peer = first.clone();
    of_another_peer.destination.node = field.source.id.parse().unwrap();
    let mut ended = first.clone();
    ended.expires = ended.issued;
    for path in ["/api/v1/peer/version", "/api/v1/peer/files/app.img"] {
        for (grant, expected, why) in [
            (&first, 200, "what was granted"),
            (&second, 200, "what was granted"),
            (&mixed, 404, "the files of one, the id of another"),
            (&of_another_tenant, 404, "as another tenant's"),
            (&of_the_provider, 404, "as the provider's"),
            (&gone, 404, "a version that is not there"),
            (&of_another_peer, 403, "for another node"),
            (&ended, 403, "after its end"),
        ] {
            assert_eq!(
                asked(&mut client, path, &own(grant)).await,
                expected,
                "{path}: {why}"
            );
        }
    }
    for path in [
        "/api/v1/peer/files/other.img",
        "/api/v1/peer/files/..%2F..%2Fdatabase",
        "/api/v1/peer/files/app.img/index",
        "/api/v1/peer/files/app.img/index/0",
        "/api/v1/peer/files/app.img/index/18446744073709551615?count=64",
    ] {
        assert_eq!(asked(&mut client, path, &own(&first)).await, 404, "{path}");
    }
    // People's words count for nothing there, and a node's for nothing elsewhere.
    let answer = node.own.get(&node.root, "/api/v1/peer/version").await;
    assert_eq!(answer.status, 401, "{}", answer.body);
    assert_eq!(asked(&mut client, "/api/v1/items", &own(&first)).await, 404);
    peer.end().await;
}
