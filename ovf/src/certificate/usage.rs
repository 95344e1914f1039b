//! What a certificate's key may be used for, and when.

use super::x509::{Certificate, parse, unreadable};
use crate::error::{Error, Kind};

impl Certificate {
    /// Whether `now`, in Unix time, is within its validity.
    ///
    /// # Errors
    /// [`Kind::CertificateExpired`], [`Kind::CertificateNotYetValid`].
    pub fn check_validity(&self, now: i64) -> Result<(), Error> {
        if now < self.not_before() {
            let reason = format!("the certificate of {} is not valid yet", self.subject());
            return Err(Error::new(Kind::CertificateNotYetValid, reason));
        }
        if now > self.not_after() {
            return Err(Error::new(
                Kind::CertificateExpired,
                format!("the certificate of {} has expired", self.subject()),
            ));
        }
        Ok(())
    }

    /// Whether its key may sign packages: it is no authority's, unless it stands for itself alone, as what `openssl req
    /// -x509` makes does; if it has an extended key usage, code signing is in it; if it has a key usage, digital
    /// signatures are.
    ///
    /// # Errors
    /// [`Kind::CertificateAuthority`], [`Kind::CertificateExtendedKeyUsage`], [`Kind::CertificateKeyUsage`],
    /// [`Kind::CertificateMalformed`].
    pub fn check_usage(&self) -> Result<(), Error> {
        self.check_no_authority()?;
        self.check_extended_key_usage()?;
        self.check_key_usage()
    }

    pub(crate) fn check_no_authority(&self) -> Result<(), Error> {
        if self.is_authority() && !self.is_self_issued() {
            let reason = "the certificate is an authority's, not a publisher's";
            return Err(Error::new(Kind::CertificateAuthority, reason));
        }
        Ok(())
    }

    pub(crate) fn check_extended_key_usage(&self) -> Result<(), Error> {
        let parsed = parse(self.as_der())?;
        if let Some(usage) = parsed.extended_key_usage().map_err(unreadable)?
            && !usage.value.code_signing
        {
            let reason = "the certificate's extended key usage does not allow code signing";
            return Err(Error::new(Kind::CertificateExtendedKeyUsage, reason));
        }
        Ok(())
    }

    pub(crate) fn check_key_usage(&self) -> Result<(), Error> {
        let parsed = parse(self.as_der())?;
        if let Some(usage) = parsed.key_usage().map_err(unreadable)?
            && !usage.value.digital_signature()
        {
            let reason = "the certificate's key usage does not allow digital signatures";
            return Err(Error::new(Kind::CertificateKeyUsage, reason));
        }
        Ok(())
    }
}
