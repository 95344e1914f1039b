//! Spellings of manifests and certificate files that the standard does not give, and that packages in the field have.

/// A way to write that says the same as the canonical one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Spelling {
    /// `SHA256 (name)`.
    SpaceBeforeParenthesis,
    /// Anything but `)= value`: more white space, or none.
    SpacesAroundEquals,
    /// White space at a line's end.
    TrailingSpace,
    /// CR LF at a line's end.
    CarriageReturn,
    /// A line without text.
    BlankLine,
    /// No line end after the last line.
    NoFinalLineEnd,
    /// `SHA-256`, `SHA2-256`, or a name in small letters.
    AlgorithmName,
    /// Hexadecimal digits in capitals.
    HexCase,
    /// A digest or signature that runs over several lines.
    WrappedValue,
    /// A manifest named by the certificate file in other letters than it has: small for capital, or the reverse.
    NameCase,
    /// A signature in Base64, not in hexadecimal.
    Base64Signature,
    /// The certificates as a PKCS#7 block without signature.
    Pkcs7Chain,
}

impl Spelling {
    /// Every spelling.
    pub const ALL: [Self; 12] = [
        Self::SpaceBeforeParenthesis,
        Self::SpacesAroundEquals,
        Self::TrailingSpace,
        Self::CarriageReturn,
        Self::BlankLine,
        Self::NoFinalLineEnd,
        Self::AlgorithmName,
        Self::HexCase,
        Self::WrappedValue,
        Self::NameCase,
        Self::Base64Signature,
        Self::Pkcs7Chain,
    ];

    /// The spelling's name, for settings and command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SpaceBeforeParenthesis => "space-before-parenthesis",
            Self::SpacesAroundEquals => "spaces-around-equals",
            Self::TrailingSpace => "trailing-space",
            Self::CarriageReturn => "carriage-return",
            Self::BlankLine => "blank-line",
            Self::NoFinalLineEnd => "no-final-line-end",
            Self::AlgorithmName => "algorithm-name",
            Self::HexCase => "hex-case",
            Self::WrappedValue => "wrapped-value",
            Self::NameCase => "name-case",
            Self::Base64Signature => "base64-signature",
            Self::Pkcs7Chain => "pkcs7-chain",
        }
    }

    /// What was found, for people.
    pub const fn description(self) -> &'static str {
        match self {
            Self::SpaceBeforeParenthesis => "a space before the parenthesis",
            Self::SpacesAroundEquals => "other white space around '=' than one space after it",
            Self::TrailingSpace => "white space at a line's end",
            Self::CarriageReturn => "lines that end in CR LF",
            Self::BlankLine => "a blank line",
            Self::NoFinalLineEnd => "no line end after the last line",
            Self::AlgorithmName => "another name of the digest than the standard's",
            Self::HexCase => "hexadecimal digits in capitals",
            Self::WrappedValue => "a value wrapped over lines",
            Self::NameCase => "the manifest's name in another case",
            Self::Base64Signature => "the signature in Base64",
            Self::Pkcs7Chain => "the certificates in a PKCS#7 block",
        }
    }
}

/// A spelling that a file uses, and where it does so first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deviation {
    /// What is spelled differently.
    pub spelling: Spelling,
    /// The first line that does, from 1.
    pub line: u64,
}

/// The deviations of one file, each spelling once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Deviations(Vec<Deviation>);

impl Deviations {
    pub(crate) fn note(&mut self, spelling: Spelling, line: u64) {
        if !self.0.iter().any(|known| known.spelling == spelling) {
            self.0.push(Deviation { spelling, line });
        }
    }

    pub(crate) fn note_if(&mut self, found: bool, spelling: Spelling, line: u64) {
        if found {
            self.note(spelling, line);
        }
    }

    pub(crate) fn as_slice(&self) -> &[Deviation] {
        &self.0
    }
}
