//! What was decided is on record at both ends.

use appliance::transfer::{Purpose, Signed};
use serde_json::Value;

use super::clouds::{Clouds, Member};

fn entry(member: &Member, action: &str, names: &str) -> bool {
    let entries = member.curl.get("/api/v1/audit").json();
    let is_it = |entry: &Value| {
        entry["action"] == action
            && ["object", "outcome"]
                .iter()
                .any(|field| entry[field].as_str().unwrap().contains(names))
    };
    entries.as_array().unwrap().iter().any(is_it)
}

#[test]
fn a_receipt_is_chained_into_the_audit_logs_of_both_who_gave_and_who_took_it() {
    let clouds = Clouds::start(&["north", "south"]);
    let [north, south] = &clouds.nodes[..] else {
        panic!()
    };
    let file = north.person.file("app.img", "some bytes");
    north.push("app", "2.0", &file, &[]);
    let published = clouds.moves(&Clouds::wish("app"), "PUBLISHED");
    let mut again = Clouds::wish("app");
    again["to"] = serde_json::json!({ "catalog": "images", "item": "app" });
    let rejected = clouds.moves(&again, "REJECTED");
    for (transfer, ordered) in [(&published, "transfer.publish"), (&rejected, "transfer.reject")] {
        let signed: Signed = serde_json::from_value(transfer["signed_receipt"].clone()).unwrap();
        let digest = signed.digest(Purpose::Receipt).unwrap().to_string();
        assert!(entry(&clouds.server, ordered, &digest), "{transfer}");
        assert!(entry(south, "transfer.receive", &digest), "{transfer}");
    }
    for member in [&clouds.server, south, north] {
        let verified = member.person.try_to(&["audit", "verify"]);
        assert_eq!(verified.status, 0, "{}{}", verified.out, verified.err);
    }
}
