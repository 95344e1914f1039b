//! Enrolment codes.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::KeyDigest;

/// What a node is given so that it finds its server, and the server it: a secret that is good once, and the digest of the
/// authority's key.
#[derive(Clone)]
pub struct EnrolmentCode {
    /// The secret.
    pub secret: [u8; 16],
    /// Whose key it is for.
    pub authority: KeyDigest,
}

const CODE_PREFIX: &str = "vcc1-";

impl std::fmt::Debug for EnrolmentCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("EnrolmentCode").field(&self.authority).finish()
    }
}

impl EnrolmentCode {
    /// As people pass it on.
    pub fn reveal(&self) -> String {
        let bytes = [self.secret.as_slice(), &self.authority.0].concat();
        format!("{CODE_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(text.trim().strip_prefix(CODE_PREFIX)?)
            .ok()?;
        let (secret, authority) = bytes.split_at_checked(16)?;
        Some(Self {
            secret: secret.try_into().ok()?,
            authority: KeyDigest(authority.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_carries_the_secret_and_the_authority_s_key() {
        let code = EnrolmentCode {
            secret: [7; 16],
            authority: KeyDigest([9; 32]),
        };
        let read = EnrolmentCode::parse(&format!(" {}\n", code.reveal())).unwrap();
        assert_eq!((read.secret, read.authority), (code.secret, code.authority));
        for wrong in ["", "vcc1-", "vcc1-AAAA", "vcc2-", &code.reveal()[..60]] {
            assert!(EnrolmentCode::parse(wrong).is_none(), "{wrong}");
        }
    }
}
