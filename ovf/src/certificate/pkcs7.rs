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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::fixture::keys;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82], &length[..], content].concat()
    }

    fn block(certificates: &[u8], signers: &[u8]) -> Vec<u8> {
        let data = element(0x06, &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x01]);
        let parts = [
            element(0x02, &[1]),
            element(0x31, &[]),
            element(0x30, &data),
            element(0xA0, certificates),
            element(0x31, signers),
        ];
        let signed = element(0xA0, &element(0x30, &parts.concat()));
        element(0x30, &[element(0x06, SIGNED_DATA), signed].concat())
    }

    fn bag() -> Vec<u8> {
        [keys().root.as_der(), keys().certificate.as_der()].concat()
    }

    #[test]
    fn the_certificates_of_a_block_come_out_signer_first() {
        let found = certificates(&block(&bag(), &[]), 16).unwrap();
        let chain = order(found).unwrap();
        assert_eq!(chain, [keys().certificate.clone(), keys().root.clone()]);
    }

    #[test]
    fn a_block_with_a_signature_or_too_many_certificates_is_refused() {
        let refused = |der: &[u8], limit| certificates(der, limit).unwrap_err().kind();
        let signed = block(&bag(), &element(0x30, &[]));
        assert_eq!(refused(&signed, 16), Kind::CertificateMalformed);
        assert_eq!(refused(&block(&bag(), &[]), 1), Kind::CertificateMalformed);
        let twice = order(vec![keys().root.clone(), keys().root.clone()]).unwrap();
        assert_eq!(twice.len(), 1);
        let other = keys().self_signed(&crate::fixture::params("Stranger"));
        assert!(order(vec![keys().certificate.clone(), other]).is_err());
        assert!(order(Vec::new()).is_err());
    }

    #[test]
    fn no_near_block_makes_the_reader_panic() {
        let good = block(&bag(), &[]);
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x55;
            let _ = certificates(&bytes, 16).and_then(order);
            let _ = certificates(&good[..at], 16);
        }
    }
}
