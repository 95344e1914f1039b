use crate::manifest::Spelling;

/// A rule that a policy waives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tolerance {
    /// Digests and signatures of SHA-1, which OVF 1.0 prescribed.
    Sha1,
    /// Members in another order than DSP0243 5.3 gives. The descriptor must still be first.
    MemberOrder,
    /// A signer's certificate past its validity: a package outlives its publisher's certificate.
    ExpiredCertificate,
    /// More zeros after the archive's end than fill its last record.
    TrailingZeros,
    /// PAX headers that tell a member's path ([`Source::tolerate_pax`](crate::package::Source::tolerate_pax)).
    Pax,
    /// GNU tar's headers for long names
    /// ([`Source::tolerate_long_names`](crate::package::Source::tolerate_long_names)).
    LongNames,
    /// A spelling of the manifest or certificate file that is not canonical.
    Spelling(Spelling),
}

impl Tolerance {
    /// Every tolerance.
    pub fn all() -> impl Iterator<Item = Self> {
        let weakening = [
            Self::Sha1,
            Self::MemberOrder,
            Self::ExpiredCertificate,
            Self::TrailingZeros,
            Self::Pax,
            Self::LongNames,
        ];
        weakening.into_iter().chain(Self::harmless())
    }

    /// Those that weaken nothing: other spellings of the same statement.
    pub fn harmless() -> impl Iterator<Item = Self> {
        Spelling::ALL.into_iter().map(Self::Spelling)
    }

    /// The tolerance's name, for settings and command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::MemberOrder => "member-order",
            Self::ExpiredCertificate => "expired-certificate",
            Self::TrailingZeros => "trailing-zeros",
            Self::Pax => "pax",
            Self::LongNames => "long-names",
            Self::Spelling(spelling) => spelling.name(),
        }
    }

    /// The tolerance of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|tolerance| tolerance.name() == name)
    }
}
