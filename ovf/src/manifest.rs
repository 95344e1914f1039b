//! The manifest: a digest for every file of a package (DSP0243 5.1).
//!
//! Written as `SHA256(name)= hex` and LF, because importers in the field refuse every other spelling. Read with the
//! spellings of the field, each of which is noted with its line ([`Manifest::deviations`]): whether one may pass is for
//! a policy to say. A file named twice is refused, as is a line that is anything else.

mod digest;
mod line;
mod spelling;

use std::collections::HashMap;

pub(crate) use self::digest::encode_hex;
pub use self::digest::{Digest, DigestAlgorithm, Digester};
pub(crate) use self::line::{Lines, is_hex};
pub(crate) use self::spelling::Deviations;
pub use self::spelling::{Deviation, Spelling};
use crate::error::{Error, Kind, quoted};
use crate::package::MemberName;

/// The ceiling of a manifest's size in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// A manifest, its lines in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    entries: Vec<Entry>,
    /// Each name's place in `entries`.
    places: HashMap<MemberName, usize>,
    deviations: Deviations,
}

/// A line of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The file.
    pub name: MemberName,
    /// Its digest.
    pub digest: Digest,
    /// The line it was read from, from 1; for an entry built, its place in the manifest.
    pub line: u64,
}

impl Manifest {
    /// A manifest without lines.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line at the end.
    ///
    /// # Errors
    /// [`Kind::ManifestDuplicate`] if the file has one already.
    pub fn add(&mut self, name: MemberName, digest: Digest) -> Result<(), Error> {
        let line = self.entries.len() as u64 + 1;
        self.push(Entry { name, digest, line })
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`Kind::ManifestMalformed`], [`Kind::ManifestDuplicate`], [`Kind::ManifestAlgorithm`] for an algorithm that is
    /// not known, or [`Kind::MemberName`], each with its line; [`Kind::PackageLimit`] above [`MAX_BYTES`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_BYTES {
            return Err(Error::new(
                Kind::PackageLimit,
                format!("the manifest is larger than {MAX_BYTES} bytes"),
            ));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            Error::new(Kind::ManifestMalformed, "the manifest is not UTF-8")
                .at_offset(error.valid_up_to() as u64)
        })?;
        let mut manifest = Manifest::new();
        let mut lines = Lines::of(text);
        while let Some((number, line)) = lines.next() {
            let statement = lines.statement(number, line, |_, more| is_hex(more))?;
            let name = MemberName::parse(statement.name).map_err(|error| error.at_line(number))?;
            let bytes = statement.hex(&mut lines.deviations);
            let digest = Digest::of_len(statement.algorithm, bytes).map_err(|error| error.at_line(number))?;
            manifest.push(Entry {
                name,
                digest,
                line: number,
            })?;
        }
        manifest.deviations = lines.deviations;
        Ok(manifest)
    }

    /// What the manifest that was read spells in another way than [`Manifest::render`], each with its first line.
    pub fn deviations(&self) -> &[Deviation] {
        self.deviations.as_slice()
    }

    /// The manifest in the one spelling that every importer reads.
    pub fn render(&self) -> Vec<u8> {
        let mut text = String::new();
        for entry in &self.entries {
            text.push_str(&format!(
                "{}({})= {}\n",
                entry.digest.algorithm(),
                entry.name,
                entry.digest
            ));
        }
        text.into_bytes()
    }

    /// The number of bytes that a rendered manifest of `names` will have: known before any digest is.
    pub fn rendered_len<'a>(
        algorithm: DigestAlgorithm,
        names: impl IntoIterator<Item = &'a MemberName>,
    ) -> u64 {
        let fixed = algorithm.name().len() + "()= \n".len() + 2 * algorithm.output_len();
        names
            .into_iter()
            .map(|name| (fixed + name.as_str().len()) as u64)
            .sum()
    }

    /// The lines, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The line of a file.
    pub fn entry(&self, name: &MemberName) -> Option<&Entry> {
        self.places.get(name).and_then(|place| self.entries.get(*place))
    }

    fn push(&mut self, entry: Entry) -> Result<(), Error> {
        if self
            .places
            .insert(entry.name.clone(), self.entries.len())
            .is_some()
        {
            let reason = format!("the manifest lists {} twice", quoted(entry.name.as_str()));
            return Err(Error::new(Kind::ManifestDuplicate, reason).at_line(entry.line));
        }
        self.entries.push(entry);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_spellings_of_the_field_are_read() {
        for line in [
            format!("SHA256(a.ovf)= {HEX}\n"),
            format!("SHA256 (a.ovf) = {HEX}"),
            format!("SHA256(a.ovf)={}\r\n", HEX.to_uppercase()),
            format!("SHA2-256(a.ovf)= {HEX}\n\n"),
            format!("sha-256(a.ovf)=\t{HEX} \n"),
        ] {
            let manifest = Manifest::parse(line.as_bytes()).expect(&line);
            assert_eq!(
                manifest.render(),
                format!("SHA256(a.ovf)= {HEX}\n").as_bytes(),
                "{line}"
            );
        }
    }

    #[test]
    fn every_spelling_is_noted_with_its_first_line_and_the_canonical_one_is_not() {
        let noted = |text: String| {
            let manifest = Manifest::parse(text.as_bytes()).expect(&text);
            let pairs = manifest.deviations().iter();
            pairs
                .map(|found| (found.spelling, found.line))
                .collect::<Vec<_>>()
        };
        let good = format!("SHA256(a)= {HEX}\n");
        let after = |line: String| noted(format!("{good}{line}"));
        assert_eq!(noted(good.clone()), []);
        let rows = [
            (format!("SHA256 (b)= {HEX}\n"), Spelling::SpaceBeforeParenthesis),
            (format!("SHA256(b) = {HEX}\n"), Spelling::SpacesAroundEquals),
            (format!("SHA256(b)={HEX}\n"), Spelling::SpacesAroundEquals),
            (format!("SHA256(b)= {HEX} \n"), Spelling::TrailingSpace),
            (format!("SHA256(b)= {HEX}\r\n"), Spelling::CarriageReturn),
            (format!("\nSHA256(b)= {HEX}\n"), Spelling::BlankLine),
            (format!("SHA256(b)= {HEX}"), Spelling::NoFinalLineEnd),
            (format!("SHA2-256(b)= {HEX}\n"), Spelling::AlgorithmName),
            (format!("sha256(b)= {HEX}\n"), Spelling::AlgorithmName),
            (format!("SHA256(b)= {}\n", HEX.to_uppercase()), Spelling::HexCase),
        ];
        for (line, spelling) in rows {
            assert_eq!(after(line.clone()), [(spelling, 2)], "{line}");
        }
        let wrapped = format!("SHA256(b)= {}\n{}\n", &HEX[..40], &HEX[40..]);
        assert_eq!(after(wrapped), [(Spelling::WrappedValue, 3)]);
        let twice = format!("SHA256 (b)= {HEX}\nSHA256 (c)= {HEX}\n");
        assert_eq!(after(twice).len(), 1, "a spelling is noted once");
    }

    #[test]
    fn spellings_are_found_by_names_that_differ() {
        let mut names: Vec<_> = Spelling::ALL.map(Spelling::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Spelling::ALL.len());
    }

    #[test]
    fn names_may_hold_parentheses_and_equal_signs() {
        let manifest = Manifest::parse(format!("SHA256(a (1)= x).vmdk)= {HEX}").as_bytes()).unwrap();
        assert_eq!(manifest.entries()[0].name.as_str(), "a (1)= x).vmdk");
    }

    #[test]
    fn lines_that_are_anything_else_are_refused_with_their_number() {
        let refused = |text: String| {
            let error = Manifest::parse(text.as_bytes()).unwrap_err();
            (error.kind(), error.place().line)
        };
        let good = format!("SHA256(a)= {HEX}\n");
        assert_eq!(
            refused(format!("{good}SHA256(a)= {HEX}\n")),
            (Kind::ManifestDuplicate, Some(2))
        );
        assert_eq!(
            refused(format!("{good}# remark\n")),
            (Kind::ManifestMalformed, Some(2))
        );
        assert_eq!(
            refused(format!("SHA256(a)= {}\n", &HEX[1..])),
            (Kind::ManifestMalformed, Some(1))
        );
        assert_eq!(
            refused(format!("SHA256(a)= {}g\n", &HEX[1..])),
            (Kind::ManifestMalformed, Some(1))
        );
        assert_eq!(
            refused(format!("MD5(a)= {}\n", &HEX[..32])),
            (Kind::ManifestAlgorithm, Some(1))
        );
        assert_eq!(
            refused(format!("SHA256(../a)= {HEX}\n")),
            (Kind::MemberName, Some(1))
        );
        assert_eq!(refused(format!("SHA256()= {HEX}\n")), (Kind::MemberName, Some(1)));
        assert_eq!(
            refused(format!("SHA256 a= {HEX}\n")),
            (Kind::ManifestMalformed, Some(1))
        );
    }

    #[test]
    fn the_length_is_known_before_the_digests() {
        let names = [
            MemberName::parse("a.ovf").unwrap(),
            MemberName::parse("é.vmdk").unwrap(),
        ];
        for algorithm in [
            DigestAlgorithm::Sha256,
            DigestAlgorithm::Sha384,
            DigestAlgorithm::Sha512,
        ] {
            let mut manifest = Manifest::new();
            for name in &names {
                manifest.add(name.clone(), algorithm.digest(b"")).unwrap();
            }
            assert_eq!(
                Manifest::rendered_len(algorithm, &names),
                manifest.render().len() as u64
            );
        }
    }

    #[test]
    fn manifests_of_the_field_are_read() {
        let Some(corpus) = crate::fixture::corpus() else {
            return;
        };
        let files = crate::fixture::files_under(&corpus);
        let mut lines = Vec::new();
        for path in files
            .iter()
            .filter(|path| path.extension().is_some_and(|it| it == "mf"))
        {
            let manifest = Manifest::parse(&std::fs::read(path).unwrap()).unwrap();
            lines.push(manifest.entries().len());
        }
        println!("{} manifests, lines: {lines:?}", lines.len());
        assert!(lines.len() >= 5 && lines.iter().sum::<usize>() >= 13, "{lines:?}");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(SHA256|\\(|\\)|=| |a|[0-9a-f]{64}|\r|\n|é){0,24}") {
            if let Ok(manifest) = Manifest::parse(text.as_bytes()) {
                prop_assert_eq!(Manifest::parse(&manifest.render()).unwrap().render(), manifest.render());
            }
        }
    }
}
