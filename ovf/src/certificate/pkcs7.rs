//! PKCS#7 as a bag of certificates (RFC 2315 9.1, the degenerate case without signers).

use x509_parser::asn1_rs::{Any, Class, FromDer};

use super::{Certificate, malformed};
use crate::error::Error;

/// The content of the object identifier of signed data, 1.2.840.113549.1.7.2.
const SIGNED_DATA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02];

const INTEGER: (Class, u32) = (Class::Universal, 2);
const OBJECT_IDENTIFIER: (Class, u32) = (Class::Universal, 6);
const SEQUENCE: (Class, u32) = (Class::Universal, 16);
const SET: (Class, u32) = (Class::Universal, 17);
/// Both the explicit content and the implicit set of certificates.
const CONTEXT_0: (Class, u32) = (Class::ContextSpecific, 0);
/// Revocation lists.
const CONTEXT_1: (Class, u32) = (Class::ContextSpecific, 1);

/// The certificates of a block that nobody signed, at most `limit`, in the block's order.
///
/// # Errors
/// [`crate::Kind::CertificateMalformed`], also for a block with a signature: it would be one that nobody checks.
pub(super) fn certificates(der: &[u8], limit: usize) -> Result<Vec<Certificate>, Error> {
    let mut outer = der;
    let mut content = take(&mut outer, SEQUENCE)?;
    if !outer.is_empty() || take(&mut content, OBJECT_IDENTIFIER)? != SIGNED_DATA {
        return Err(unreadable());
    }
    let mut explicit = take(&mut content, CONTEXT_0)?;
    let mut data = take(&mut explicit, SEQUENCE)?;
    take(&mut data, INTEGER)?;
    take(&mut data, SET)?;
    take(&mut data, SEQUENCE)?;
    let mut bag = take(&mut data, CONTEXT_0)?;
    // Lists in the package are the sender's word on itself: the policy brings its own.
    let _ = take(&mut data, CONTEXT_1);
    if !take(&mut data, SET)?.is_empty() {
        return Err(malformed(
            "the PKCS#7 block holds a signature of its own, which is not supported",
        ));
    }
    let mut found = Vec::new();
    while !bag.is_empty() {
        if found.len() == limit {
            return Err(malformed(format!("more than {limit} certificates")));
        }
        let before = bag;
        take(&mut bag, SEQUENCE)?;
        found.push(Certificate::from_der(&before[..before.len() - bag.len()])?);
    }
    Ok(found)
}

/// Certificates of a set, the signer's first and then each one's issuer.
///
/// # Errors
/// [`crate::Kind::CertificateMalformed`] where it is not plain which one is the signer's.
pub(super) fn order(mut bag: Vec<Certificate>) -> Result<Vec<Certificate>, Error> {
    let mut distinct: Vec<Certificate> = Vec::new();
    for certificate in bag.drain(..) {
        if !distinct.contains(&certificate) {
            distinct.push(certificate);
        }
    }
    let issues = |issuer: &Certificate| {
        let mut others = distinct.iter().filter(|other| *other != issuer);
        others.any(|other| other.is_named_issuer(issuer))
    };
    let leaves: Vec<_> = distinct
        .iter()
        .filter(|certificate| !issues(certificate))
        .collect();
    let [leaf] = leaves[..] else {
        return Err(malformed(
            "the PKCS#7 block does not tell which certificate is the signer's",
        ));
    };
    let mut chain = vec![leaf.clone()];
    let mut rest: Vec<_> = distinct.iter().filter(|other| *other != leaf).collect();
    while let Some(at) = chain
        .last()
        .and_then(|last| rest.iter().position(|next| last.is_named_issuer(next)))
    {
        chain.push(rest.remove(at).clone());
    }
    // What is no issuer stays at the end, for the check of links to refuse.
    chain.extend(rest.into_iter().cloned());
    Ok(chain)
}

/// The content of the next element, which must have this tag.
fn take<'a>(rest: &mut &'a [u8], tag: (Class, u32)) -> Result<&'a [u8], Error> {
    match Any::from_der(rest) {
        Ok((after, any)) if (any.header.class(), any.header.tag().0) == tag => {
            *rest = after;
            Ok(any.data)
        }
        _ => Err(unreadable()),
    }
}

fn unreadable() -> Error {
    malformed("the PKCS#7 block is not one of certificates alone, in DER")
}
