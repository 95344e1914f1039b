//! Why a transfer came to nothing, for somebody who has to do something about it now.

use serde_json::{Value, json};

use super::place;
use crate::admin::text;

/// What rules are about, by what their names begin with: what a breach of one means, and what to do.
const RULES: &[(&str, &str, &str)] = &[
    (
        "receipt.",
        "The destination has shown a receipt that is not its own for this transfer. Whatever it did, the server counts nothing as \
         published.",
        "Look at the destination: was it restored, copied, or is it in wrong hands? vcc node revoke sends it away.",
    ),
    (
        "grant.",
        "The destination doesn't take the server's permission: it is too old, was used, or is for somebody else.",
        "Compare the clocks of server and nodes (vcc status); then: vcc transfer retry ID",
    ),
    (
        "source.",
        "The source sends other bytes than those it promised.",
        "Have the source look at itself: vcc task create SOURCE diagnose --follow. Nothing wrong was kept at the destination.",
    ),
    (
        "rollback.",
        "The destination had a newer version of this item, and an older one is how old holes come back.",
        "If it is meant, an administrator of the tenant allows this version at the destination, once and by its name.",
    ),
    (
        "trust.",
        "The tenant believes nobody at the destination, so that nothing signed can be published there.",
        "At the destination: vcc trust add the certificate of the publisher's authority; then: vcc transfer retry ID",
    ),
    (
        "certificate.",
        "The signer's certificate is not one that the tenant believes at the destination.",
        "Compare the signer with vcc trust list at the destination. Add its authority there if it is right, or have the package \
         signed again; then: vcc transfer retry ID",
    ),
    (
        "crl.",
        "Whether the signer's certificate was revoked can't be told: the list is missing, too old, or not its authority's.",
        "Bring a fresh revocation list to the destination; then: vcc transfer retry ID",
    ),
    (
        "manifest.",
        "The package's files are not what its signed manifest says.",
        "The package was changed after it was signed, or was built wrong: look at it with ova verify where it was made.",
    ),
    (
        "package.",
        "The package is not built as it has to be.",
        "Look at it with ova verify where it was made; it has to be built again.",
    ),
    (
        "descriptor.",
        "The package's descriptor breaks a rule.",
        "Look at it with ova validate where it was made; it has to be built again.",
    ),
    (
        "quota.",
        "The destination has no room for it: its disk, or what the tenant may take.",
        "At the destination: vcc catalog quota TENANT shows and sets it; then: vcc transfer retry ID",
    ),
    (
        "catalog.",
        "The destination's catalog can't take it.",
        "Look at the destination's log, and at its catalog: vcc catalog list",
    ),
];

/// What is known about it, for programs.
pub(super) fn document(transfer: &Value) -> Value {
    json!({
        "id": transfer["id"],
        "state": transfer["state"],
        "message": transfer["message"],
        "refusal": transfer["refusal"],
        "tried": transfer["tried"],
        "advice": advice(transfer),
    })
}

/// What a breach of the rule means, and what to do.
fn advice(transfer: &Value) -> Option<[String; 2]> {
    let rule = transfer["refusal"]["rule"].as_str()?;
    let (_, meaning, remedy) = RULES.iter().find(|(begins, ..)| rule.starts_with(begins))?;
    let remedy = remedy
        .replace("ID", &text(transfer, "id"))
        .replace("SOURCE", &text(transfer, "source.name"));
    Some([(*meaning).to_owned(), remedy])
}

pub(super) fn told(transfer: &Value) -> String {
    let state = text(transfer, "state");
    let mut told = format!(
        "{} from {} to {} is {state}.\n",
        place(&transfer["source"]["place"]),
        text(transfer, "source.name"),
        text(transfer, "destination.name"),
    );
    let refusal = &transfer["refusal"];
    if refusal.is_null() {
        told.push_str(&without_rule(transfer, &state));
        return told;
    }
    told.push_str(&format!("\nrule    {}\n", text(refusal, "rule")));
    if !refusal["file"].is_null() {
        told.push_str(&format!("file    {}\n", text(refusal, "file")));
    }
    if !refusal["chunk"].is_null() {
        told.push_str(&format!(
            "chunk   the one that begins at byte {}\n",
            text(refusal, "chunk")
        ));
    }
    told.push_str(&format!("reason  {}\n", text(refusal, "reason")));
    if let Some([meaning, remedy]) = advice(transfer) {
        told.push_str(&format!("\n{meaning}\n{remedy}\n"));
    }
    if state == "REJECTED" {
        told.push_str("\nThe bytes are gone at the destination, and nobody there has seen them. Its signed receipt is kept: ");
        told.push_str(&format!("vcc transfer show {}\n", text(transfer, "id")));
    }
    told
}

/// Where no rule was broken.
fn without_rule(transfer: &Value, state: &str) -> String {
    let (id, mut told) = (text(transfer, "id"), String::new());
    if transfer["message"]
        .as_str()
        .is_some_and(|message| !message.is_empty())
    {
        told.push_str(&format!("\nreason  {}\n", text(transfer, "message")));
    }
    for tried in transfer["tried"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
    {
        told.push_str(&format!(
            "tried   {}: {}\n",
            text(tried, "route"),
            text(tried, "reason")
        ));
    }
    let ways = transfer["tried"]
        .as_array()
        .is_some_and(|tried| !tried.is_empty());
    let remedy = match state {
        "FAILED" if ways => format!(
            "\nThe destination could not be brought together with the source. See that one of them, or a third node, has an address \
             that the others reach (vcc node list); then: vcc transfer retry {id}\n"
        ),
        "FAILED" => format!(
            "\nNothing was refused: what failed can be tried again, and goes on from what the destination has: vcc transfer retry {id}\n"
        ),
        "CANCELLED" => format!("\nSomebody stopped it. vcc transfer retry {id} begins it again.\n"),
        "PUBLISHED" | "OFFERED" => "\nNothing is wrong with it.\n".to_owned(),
        _ => format!("\nIt goes on: vcc transfer follow {id}\n"),
    };
    told + &remedy
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer(state: &str, more: Value) -> Value {
        let place = json!({ "tenant": "acme", "catalog": "images", "item": "web" });
        let mut transfer = json!({
            "id": "t1", "state": state, "message": "", "tried": [],
            "source": { "name": "east", "place": place }, "destination": { "name": "west", "place": place },
        });
        for (name, value) in more.as_object().unwrap() {
            transfer[name] = value.clone();
        }
        transfer
    }

    #[test]
    fn a_refusal_is_told_with_its_rule_its_place_its_reason_and_what_to_do() {
        let refusal = json!({ "rule": "source.chunk", "file": "disk.vmdk", "chunk": 4096, "reason": "another digest\u{1b}" });
        let told = told(&transfer("REJECTED", json!({ "refusal": refusal })));
        for words in [
            "images/web of acme from east to west is REJECTED",
            "rule    source.chunk",
            "file    disk.vmdk",
            "begins at byte 4096",
            "another digest\u{fffd}",
            "vcc task create east diagnose",
            "vcc transfer show t1",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }

    #[test]
    fn ways_that_led_nowhere_are_told_one_by_one() {
        let tried = json!([{ "route": "direct", "reason": "timed out" }, { "route": "reversed", "reason": "refused" }]);
        let told = told(&transfer(
            "FAILED",
            json!({ "message": "none of the ways has worked", "tried": tried }),
        ));
        assert!(
            told.contains("tried   direct: timed out\ntried   reversed: refused\n"),
            "{told}"
        );
        assert!(told.contains("vcc transfer retry t1"), "{told}");
    }

    #[test]
    fn every_sort_of_rule_has_its_advice() {
        for rule in [
            "receipt.wrong",
            "rollback.version",
            "certificate.untrusted",
            "manifest.digest",
            "crl.stale",
        ] {
            let refused = transfer("REJECTED", json!({ "refusal": { "rule": rule, "reason": "" } }));
            assert!(advice(&refused).is_some(), "{rule}");
        }
    }
}
