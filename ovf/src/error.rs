//! The one error of this crate: a kind to match, a place, a reason, a source.

use std::error::Error as StdError;
use std::fmt;

use crate::xml::Position;

/// What went wrong, where, and why.
///
/// Programs match [`Error::kind`] or its stable text [`Error::code`]; people read the display form, which names the
/// place and the reason, and the chain of sources below it.
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Inner>);

#[derive(Debug, thiserror::Error)]
#[error("{place}{reason}")]
struct Inner {
    kind: Kind,
    place: Place,
    reason: String,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` for `reason`, at no place yet.
    pub fn new(kind: Kind, reason: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            place: Place::default(),
            reason: reason.into(),
            source: None,
        }))
    }

    /// The kind, to match on.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The kind's stable text, `noun.fault` in kebab case.
    pub fn code(&self) -> &'static str {
        self.0.kind.code()
    }

    /// Where it happened, as far as known.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// Why, without the place.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The display form with every source below it, for reports that hold one line per finding.
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut source = StdError::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }

    /// The same error with the package's member (or file) named; a member named before stays.
    #[must_use]
    pub fn in_member(mut self, member: impl fmt::Display) -> Self {
        self.0.place.member.get_or_insert_with(|| member.to_string());
        self
    }

    /// The same error at a line and column of a text.
    #[must_use]
    pub fn at(mut self, position: Position) -> Self {
        self.0.place.line = Some(position.line);
        self.0.place.column = Some(position.column);
        self.0.place.offset = Some(position.offset);
        self
    }

    /// The same error at a line of a text, counted from 1.
    #[must_use]
    pub fn at_line(mut self, line: u64) -> Self {
        self.0.place.line = Some(line);
        self
    }

    /// The same error at a byte offset.
    #[must_use]
    pub fn at_offset(mut self, offset: u64) -> Self {
        self.0.place.offset = Some(offset);
        self
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// An error of reading or writing, with `reason` for what was being done.
    pub(crate) fn io(reason: impl Into<String>, source: std::io::Error) -> Self {
        match source.downcast::<Error>() {
            Ok(own) => own,
            Err(source) => Error::new(Kind::Io, reason).caused_by(source),
        }
    }
}

impl From<Error> for std::io::Error {
    /// Lets a bounded reader report through [`std::io::Read`]; this crate unwraps it again on its way out.
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            Kind::Truncated => std::io::ErrorKind::UnexpectedEof,
            _ => std::io::ErrorKind::InvalidData,
        };
        std::io::Error::new(kind, error)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.code())
            .field("place", &self.0.place)
            .field("reason", &self.0.reason)
            .field("source", &self.0.source)
            .finish()
    }
}

/// Where an error happened: every part is there only when it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The package's member, or the file, by name.
    pub member: Option<String>,
    /// Line of a text, from 1.
    pub line: Option<u64>,
    /// Column in characters, from 1.
    pub column: Option<u64>,
    /// Byte offset in the archive or text, from 0.
    pub offset: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(member) = &self.member {
            write!(f, "{}: ", member.escape_debug())?;
        }
        match (self.line, self.column, self.offset) {
            (Some(line), Some(column), _) => write!(f, "line {line}, column {column}: "),
            (Some(line), None, _) => write!(f, "line {line}: "),
            (None, _, Some(offset)) => write!(f, "offset {offset}: "),
            (None, _, None) => Ok(()),
        }
    }
}

/// A foreign text as it may stand in a reason: quoted, its control characters escaped, not longer than people read.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident => $code:literal,)*) => {
        /// The kinds of error, each with a stable code; also the names of the rules that [`crate::verify`] applies.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// The kind's stable text: programs may store and compare it.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Kind::$name => $code,)*
                }
            }

            /// Every kind, in the order of this page.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)*];
        }
    };
}

kinds! {
    /// Reading or writing failed in the system below.
    Io => "io",
    /// The document is not well-formed XML 1.0 in UTF-8.
    XmlMalformed => "xml.malformed",
    /// The document has a DOCTYPE.
    XmlDoctype => "xml.doctype",
    /// The document uses an entity other than the five predefined ones.
    XmlEntity => "xml.entity",
    /// A prefix is used that nothing declares.
    XmlNamespace => "xml.namespace",
    /// The document is larger, deeper or fuller than the ceilings allow.
    XmlLimit => "xml.limit",
    /// A text holds a character that XML 1.0 cannot carry.
    XmlCharacter => "xml.character",
    /// A change that a document cannot take.
    XmlEdit => "xml.edit",
    /// The root element or its namespace is not an OVF envelope's.
    DescriptorNamespace => "descriptor.namespace",
    /// An element stands twice where it may stand once.
    DescriptorStructure => "descriptor.structure",
    /// An attribute that the standard requires is missing.
    DescriptorAttributeMissing => "descriptor.attribute-missing",
    /// An element that the standard requires is missing.
    DescriptorElementMissing => "descriptor.element-missing",
    /// An attribute or element has a value outside its type.
    DescriptorValue => "descriptor.value",
    /// An identifier that must be unique is used twice.
    DescriptorDuplicate => "descriptor.duplicate",
    /// A reference to a file, disk, network or item leads nowhere.
    DescriptorReference => "descriptor.reference",
    /// A unit of allocation is not one of DSP0004's programmatic units.
    DescriptorUnits => "descriptor.units",
    /// A property's type is not known.
    PropertyType => "property.type",
    /// A property's qualifiers cannot be read.
    PropertyQualifiers => "property.qualifiers",
    /// A property's value is outside its type or qualifiers.
    PropertyValue => "property.value",
    /// A property's key, class or instance has a form that the standard forbids.
    PropertyKey => "property.key",
    /// The document is not an OVF environment.
    EnvironmentStructure => "environment.structure",
    /// A manifest line cannot be read.
    ManifestMalformed => "manifest.malformed",
    /// A manifest names one file twice.
    ManifestDuplicate => "manifest.duplicate",
    /// A manifest uses a digest algorithm that is unknown, or refused by policy.
    ManifestAlgorithm => "manifest.algorithm",
    /// A manifest uses a digest that is weaker than the policy's least.
    ManifestWeakDigest => "manifest.weak-digest",
    /// A manifest is spelled in a way that the policy does not tolerate.
    ManifestSpelling => "manifest.spelling",
    /// The package has no manifest though one is required.
    ManifestMissing => "manifest.missing",
    /// A member's digest is not the manifest's.
    ManifestDigest => "manifest.digest",
    /// A member is not listed in the manifest.
    ManifestUncovered => "manifest.uncovered",
    /// The descriptor is not listed in the manifest.
    ManifestDescriptorUncovered => "manifest.descriptor-uncovered",
    /// The manifest lists a file that the package has not.
    ManifestAbsent => "manifest.absent",
    /// The package is not signed though a signature is required.
    CertificateMissing => "certificate.missing",
    /// The certificate file, or an X.509 certificate in it, cannot be read.
    CertificateMalformed => "certificate.malformed",
    /// The signature is not one by the certificate's key over the manifest.
    CertificateSignature => "certificate.signature",
    /// The certificate file is spelled in a way that the policy does not tolerate.
    CertificateSpelling => "certificate.spelling",
    /// The signature's or the key's algorithm is not supported.
    CertificateAlgorithm => "certificate.algorithm",
    /// The signature is over a digest that is weaker than the policy's least.
    CertificateWeakDigest => "certificate.weak-digest",
    /// A key of the chain is shorter than 2048 bits, or than the policy's least.
    CertificateKeySize => "certificate.key-size",
    /// The certificate is past its validity.
    CertificateExpired => "certificate.expired",
    /// The certificate is before its validity.
    CertificateNotYetValid => "certificate.not-yet-valid",
    /// The certificate's extended key usage does not allow code signing.
    CertificateExtendedKeyUsage => "certificate.extended-key-usage",
    /// The certificate's key usage does not allow digital signatures.
    CertificateKeyUsage => "certificate.key-usage",
    /// The certificate is an authority's, and signs as if it were a publisher's.
    CertificateAuthority => "certificate.authority",
    /// No path leads from the certificate to a trusted root.
    CertificateUntrusted => "certificate.untrusted",
    /// None of the pinned keys is on the signer's path.
    CertificatePin => "certificate.pin",
    /// A certificate on the signer's path is revoked.
    CertificateRevoked => "certificate.revoked",
    /// A revocation list cannot be read, or is of a kind that is not supported.
    CrlMalformed => "crl.malformed",
    /// No revocation list speaks of a certificate on the signer's path, though one is required.
    CrlMissing => "crl.missing",
    /// A revocation list is past its next update, or older than the policy allows.
    CrlStale => "crl.stale",
    /// A revocation list is not signed by the authority that it names.
    CrlUntrusted => "crl.untrusted",
    /// A private key cannot be read.
    KeyMalformed => "key.malformed",
    /// A private key is encrypted, and the passphrase is missing or wrong.
    KeyPassphrase => "key.passphrase",
    /// A private key is not the one of the certificate.
    KeyMismatch => "key.mismatch",
    /// The device or program that holds a private key did not sign.
    KeyDevice => "key.device",
    /// The file is neither an OVA nor a descriptor.
    PackageFormat => "package.format",
    /// The archive ends before it should.
    Truncated => "package.truncated",
    /// Something follows the archive's end.
    TrailingData => "package.trailing-data",
    /// A tar header is damaged or of a dialect that importers disagree about.
    ArchiveHeader => "package.header",
    /// The padding after a member is not zero.
    ArchivePadding => "package.padding",
    /// A member is not a regular file.
    MemberType => "package.member-type",
    /// A member's name could lead out of the package or be taken for another.
    MemberName => "package.member-name",
    /// A member appears twice, by its exact name or by one that some systems hold equal.
    MemberDuplicate => "package.duplicate",
    /// A member, or the package, is larger or fuller than the ceilings allow.
    PackageLimit => "package.limit",
    /// Members are not in the order that DSP0243 5.3 gives.
    PackageOrder => "package.order",
    /// A member is in the archive, but the descriptor does not refer to it.
    PackageUnlisted => "package.unlisted",
    /// A file that the descriptor refers to is not in the package.
    PackageMissing => "package.missing",
    /// A member's size is not what the descriptor says.
    PackageSize => "package.size",
    /// A package being written was given members other than its layout foresaw.
    PackageLayout => "package.layout",
    /// The package changed while it was read.
    PackageChanged => "package.changed",
    /// A file, its chunks joined and its compression undone, is longer than it may be.
    FileLimit => "file.limit",
    /// A compressed file is not a whole gzip stream.
    GzipMalformed => "gzip.malformed",
    /// A compressed file ends in the middle of its gzip stream.
    GzipTruncated => "gzip.truncated",
    /// Something that is no gzip stream follows a compressed file's gzip stream.
    GzipTrailingData => "gzip.trailing-data",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_kebab_case() {
        let mut codes: Vec<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        assert!(codes.iter().all(|code| {
            code.chars()
                .all(|c| c.is_ascii_lowercase() || c == '.' || c == '-')
        }));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Kind::ALL.len());
    }

    #[test]
    fn foreign_texts_in_reasons_are_short_and_harmless() {
        assert_eq!(quoted("a\u{1b}[2J\u{202e}\"\n"), r#""a\u{1b}[2J\u{202e}\"\n""#);
        assert!(quoted(&"é".repeat(1 << 20)).len() < 200);
    }

    #[test]
    fn the_display_form_names_place_and_reason() {
        let position = Position {
            line: 3,
            column: 7,
            offset: 90,
        };
        let error = Error::new(Kind::DescriptorValue, "no number")
            .at(position)
            .in_member("a.ovf");
        assert_eq!(error.to_string(), "a.ovf: line 3, column 7: no number");
    }

    #[test]
    fn a_reader_that_fails_with_our_error_gives_it_back_whole() {
        let inner = Error::new(Kind::Truncated, "cut")
            .in_member("disk.vmdk")
            .at_offset(7);
        let outer = Error::io("reading", std::io::Error::from(inner));
        assert_eq!(outer.kind(), Kind::Truncated);
        assert_eq!(outer.to_string(), "disk.vmdk: offset 7: cut");
    }
}
