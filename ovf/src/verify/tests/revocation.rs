use super::*;
use crate::certificate::{Crl, Revocation};
use crate::fixture::Listed;

const DAY: i64 = 86_400;

/// The codes that failed of the signed package, under these lists.
fn codes(lists: Vec<Crl>, change: impl FnOnce(&mut Revocation)) -> Vec<&'static str> {
    let mut policy = policy();
    policy.revocation.lists = lists;
    change(&mut policy.revocation);
    let verdict = judge(signed(), &policy);
    verdict.failures().map(|check| check.code).collect()
}

fn unchanged(_: &mut Revocation) {}

/// A list of a day ago, the next one due in a week.
fn list(listed: Listed) -> Crl {
    keys().list(listed, NOW - DAY, NOW + 7 * DAY)
}

#[test]
fn a_certificate_on_a_list_is_refused_and_one_beside_it_is_not() {
    assert_eq!(
        codes(vec![list(Listed::Publisher)], unchanged),
        ["certificate.revoked"]
    );
    assert!(codes(vec![list(Listed::Nobody)], unchanged).is_empty());
}

#[test]
fn a_list_that_is_not_fresh_is_refused_and_revokes_all_the_same() {
    let late = |listed| keys().list(listed, NOW - 9 * DAY, NOW - DAY);
    assert_eq!(codes(vec![late(Listed::Nobody)], unchanged), ["crl.stale"]);
    assert_eq!(
        codes(vec![late(Listed::Publisher)], unchanged),
        ["certificate.revoked"]
    );
    let old = codes(vec![list(Listed::Nobody)], |it| it.max_age = Some(DAY / 2));
    assert_eq!(old, ["crl.stale"]);
    let early = keys().list(Listed::Nobody, NOW + DAY, NOW + 2 * DAY);
    assert_eq!(codes(vec![early], unchanged), ["crl.stale"]);
}

#[test]
fn of_several_lists_the_latest_counts() {
    let late = || keys().list(Listed::Nobody, NOW - 9 * DAY, NOW - DAY);
    for lists in [
        vec![late(), list(Listed::Publisher)],
        vec![list(Listed::Publisher), late()],
    ] {
        assert_eq!(codes(lists, unchanged), ["certificate.revoked"]);
    }
    assert!(codes(vec![late(), list(Listed::Nobody)], unchanged).is_empty());
}

#[test]
fn a_required_list_that_is_not_there_is_told() {
    assert_eq!(codes(Vec::new(), |it| it.required = true), ["crl.missing"]);
    let foreign = keys().foreign_list(NOW - DAY, NOW + DAY);
    assert_eq!(
        codes(vec![foreign.clone()], |it| it.required = true),
        ["crl.missing"]
    );
    assert!(codes(vec![foreign], unchanged).is_empty());
    assert!(codes(vec![list(Listed::Nobody)], |it| it.required = true).is_empty());
}

#[test]
fn a_list_under_the_authority_s_name_by_another_key_is_refused() {
    let forged = keys().forged_list(NOW - DAY, NOW + DAY);
    assert_eq!(codes(vec![forged], unchanged), ["crl.untrusted"]);
}

#[test]
fn what_is_no_list_cannot_be_read_as_one() {
    let list = list(Listed::Publisher);
    assert_eq!(Crl::all_from(list.as_der()).unwrap(), std::slice::from_ref(&list));
    for bytes in [&b"nothing"[..], b"", &list.as_der()[..40], keys().root.as_der()] {
        assert_eq!(Crl::all_from(bytes).unwrap_err().kind(), Kind::CrlMalformed);
    }
    let mut der = list.as_der().to_vec();
    for at in 0..der.len() {
        der[at] ^= 0x55;
        // No bytes may make the reader panic.
        let _ = Crl::all_from(&der);
        der[at] ^= 0x55;
    }
}
