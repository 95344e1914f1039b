//! Whether a grant lets two nodes do what one of them asks of the other.

use uuid::Uuid;

use super::{Grant, Purpose, Refusal, Signed};
use crate::authority::KeyDigest;
use crate::clock::Moment;
use crate::error::Kind;

/// The rule that a grant breaks which can't be read.
pub const MALFORMED: &str = "grant.malformed";
/// That of one which no key of the server's signed.
pub const SIGNATURE: &str = "grant.signature";
/// That of one which has ended.
pub const EXPIRED: &str = "grant.expired";
/// That of one for others.
pub const OTHER_NODE: &str = "grant.other-node";

/// The part that a node plays in a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It sends.
    Source,
    /// It receives.
    Destination,
    /// It passes bytes on between the two.
    Relay,
}

/// Opens a grant that is good for `me` in this part towards `peer`, and for nobody else: a key of the server's authority signed it,
/// it names both, and it has not ended. A server signs for nodes that are its own at that moment: one that is suspended or revoked
/// afterwards has what it was granted until that ends, and no more.
///
/// # Errors
/// The rule that it breaks: [`MALFORMED`], [`SIGNATURE`], [`EXPIRED`], [`OTHER_NODE`].
pub fn admit(
    grant: &Signed,
    authorities: &[KeyDigest],
    me: Uuid,
    peer: Uuid,
    part: Part,
    now: Moment,
) -> Result<Grant, Refusal> {
    let malformed = |error: crate::error::Error| Refusal::new(MALFORMED, error.chain());
    let certificate = grant.certificate(Purpose::Grant).map_err(malformed)?;
    let key = KeyDigest::of_certificate(&certificate);
    if !key.is_some_and(|key| authorities.contains(&key)) {
        let reason = "no key by which this node knows its server signed the grant";
        return Err(Refusal::new(SIGNATURE, reason));
    }
    let grant: Grant = grant.read(Purpose::Grant).map_err(|error| match error.kind() {
        Kind::Mismatch => Refusal::new(SIGNATURE, error.reason()),
        _ => malformed(error),
    })?;
    let (source, destination) = (grant.source.node, grant.destination.node);
    let is_ours = match part {
        Part::Source => (source, destination) == (me, peer),
        Part::Destination => (source, destination) == (peer, me),
        Part::Relay => grant.relay == Some(me) && (peer == source || peer == destination),
    };
    if !is_ours || source == destination {
        return Err(Refusal::new(
            OTHER_NODE,
            "the grant is for other nodes, or for another part",
        ));
    }
    if now >= grant.expires {
        let reason = format!("the grant ended on {}", grant.expires);
        return Err(Refusal::new(EXPIRED, reason));
    }
    Ok(grant)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair, SigningKey as _};
    use rustls_pki_types::CertificateDer;

    use super::*;
    use crate::catalog::Sort;
    use crate::digest::Digest;
    use crate::transfer::{Party, Place};

    const NOW: Moment = Moment(1_790_000_000_000);

    struct Signer {
        key: KeyPair,
        certificate: CertificateDer<'static>,
    }

    impl Signer {
        fn new() -> Self {
            let key = KeyPair::generate().unwrap();
            let template = CertificateParams::new(Vec::new()).unwrap();
            let certificate = template.self_signed(&key).unwrap().der().clone();
            Self { key, certificate }
        }

        fn digest(&self) -> KeyDigest {
            KeyDigest::of_key(&self.key)
        }

        fn sign(&self, purpose: Purpose, grant: &impl serde::Serialize) -> Signed {
            Signed::new(purpose, grant, &self.certificate, |bytes| {
                Ok(self.key.sign(bytes).unwrap())
            })
            .unwrap()
        }
    }

    fn party(node: Uuid) -> Party {
        Party {
            node,
            cloud: "north".to_owned(),
            place: Place {
                tenant: None,
                catalog: "images".to_owned().try_into().unwrap(),
                item: "app".to_owned().try_into().unwrap(),
            },
        }
    }

    fn grant(source: Uuid, destination: Uuid, relay: Option<Uuid>) -> Grant {
        Grant {
            transfer: Uuid::new_v4(),
            number: 1,
            source: party(source),
            destination: party(destination),
            version: Uuid::new_v4(),
            label: "1".to_owned(),
            kind: Sort::File,
            digest: Digest::of(b""),
            bytes: 0,
            floor: None,
            relay,
            moves: false,
            subscription: None,
            issued: NOW,
            expires: NOW.after(Duration::from_secs(60)),
        }
    }

    #[test]
    fn a_grant_is_good_for_the_nodes_and_parts_that_it_names_until_it_ends() {
        let [source, destination, relay, other] = [(); 4].map(|()| Uuid::new_v4());
        let authority = Signer::new();
        let signed = authority.sign(Purpose::Grant, &grant(source, destination, Some(relay)));
        let keys = [authority.digest()];
        let judge = |me, peer, part, now| {
            let judged = admit(&signed, &keys, me, peer, part, now);
            judged.map(|_| ()).map_err(|refusal| refusal.rule)
        };
        for (me, peer, part) in [
            (source, destination, Part::Source),
            (destination, source, Part::Destination),
            (relay, source, Part::Relay),
            (relay, destination, Part::Relay),
        ] {
            assert_eq!(judge(me, peer, part, NOW), Ok(()), "{part:?}");
            let late = NOW.after(Duration::from_secs(60));
            assert_eq!(judge(me, peer, part, late), Err(EXPIRED.to_owned()));
        }
        for (me, peer, part) in [
            (source, other, Part::Source),
            (other, destination, Part::Source),
            (destination, source, Part::Source),
            (source, destination, Part::Destination),
            (destination, relay, Part::Destination),
            (relay, other, Part::Relay),
            (other, source, Part::Relay),
        ] {
            assert_eq!(judge(me, peer, part, NOW), Err(OTHER_NODE.to_owned()), "{part:?}");
        }
        let direct = authority.sign(Purpose::Grant, &grant(source, destination, None));
        let refused = admit(&direct, &keys, relay, source, Part::Relay, NOW).unwrap_err();
        assert_eq!(refused.rule, OTHER_NODE, "nobody named a relay");
    }

    #[test]
    fn only_the_server_s_authority_grants_and_nothing_else_that_it_signed_is_a_grant() {
        let [source, destination] = [(); 2].map(|()| Uuid::new_v4());
        let (authority, other) = (Signer::new(), Signer::new());
        let keys = [authority.digest()];
        let judge = |signed: &Signed| {
            let judged = admit(signed, &keys, source, destination, Part::Source, NOW);
            judged.unwrap_err().rule
        };
        let document = grant(source, destination, None);
        let strange = other.sign(Purpose::Grant, &document);
        assert_eq!(judge(&strange), SIGNATURE);
        let good = authority.sign(Purpose::Grant, &document);
        let forged = Signed {
            certificate: good.certificate.clone(),
            ..strange
        };
        assert_eq!(judge(&forged), SIGNATURE);
        assert_eq!(judge(&authority.sign(Purpose::Receipt, &document)), SIGNATURE);
        assert_eq!(judge(&authority.sign(Purpose::Grant, &"no grant")), MALFORMED);
        let torn = Signed {
            document: "?".to_owned(),
            ..good
        };
        assert_eq!(judge(&torn), MALFORMED);
    }
}
