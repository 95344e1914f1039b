//! The descriptor: the text in or beside a VMDK that names its kind, identity, extents and parent.
//!
//! Refused: text after the end, lines that mean nothing, encrypted disks, extents
//! on devices and of kinds that only ESX hosts read, sizes that add up to more than [`CAPACITY_LIMIT`].

use super::CAPACITY_LIMIT;
use super::extent_line::extent;
pub use super::extent_line::{Access, Extent, ExtentKind};
use crate::error::{Error, Kind, Place, Result};
use crate::source::SECTOR;

/// What a descriptor file may measure; the longest ones have a line for each 2 GiB.
pub(super) const FILE_LIMIT: u64 = 1 << 20;
const FIRST_LINE: &str = "# Disk DescriptorFile";
/// Each extent is an open file.
const EXTENT_LIMIT: usize = 1024;
const CREATE_TYPES: [&str; 6] = [
    "monolithicSparse",
    "monolithicFlat",
    "twoGbMaxExtentSparse",
    "twoGbMaxExtentFlat",
    "streamOptimized",
    // A flat disk as it lies in an ESX host's datastore.
    "vmfs",
];

/// What a descriptor says, as far as it matters to a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// `CID`: changes with the content.
    pub content_id: u32,
    /// `createType`, such as `streamOptimized`.
    pub create_type: String,
    /// `ddb.adapterType`, if given.
    pub adapter: Option<String>,
    /// The disk's extents in order; at least one.
    pub extents: Vec<Extent>,
    /// What a delta disk lies over.
    pub parent: Option<Parent>,
}

/// The disk that a delta disk lies over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// `parentCID`: the parent's `CID` as it has to be.
    pub content_id: u32,
    /// `parentFileNameHint`, as given.
    pub hint: String,
}

impl Descriptor {
    /// Reads the descriptor's sectors or file: text up to the first zero.
    ///
    /// What follows is nothing: QEMU writes a `CID` of fewer digits over one of more, and leaves the old text's end there.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for what is no descriptor; [`Kind::Unsupported`] for kinds of disks and extents that are not
    /// read, by name; [`Kind::Ceiling`] for too many or too large extents. The place is a line.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        let text = std::str::from_utf8(&bytes[..end])
            .map_err(|e| Error::malformed(Place::Whole, "the VMDK descriptor is not UTF-8").because(e))?;
        if text.lines().next().map(str::trim_end) != Some(FIRST_LINE) {
            return Err(Error::malformed(Place::Line(1), "no VMDK descriptor"));
        }
        let mut found = Found::default();
        for (number, line) in (1..).zip(text.lines()) {
            found
                .line(line.trim())
                .map_err(|error| error.at(Place::Line(number)))?;
        }
        found.finish()
    }

    /// As [`Descriptor::parse`], of a descriptor after which nothing but zeros may stand.
    pub(super) fn parse_alone(bytes: &[u8]) -> Result<Self> {
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        if bytes[end..].iter().any(|&byte| byte != 0) {
            let reason = "the VMDK descriptor has bytes after its end";
            return Err(Error::malformed(Place::Whole, reason));
        }
        Self::parse(bytes)
    }

    /// Whether a file that begins so is a descriptor of its own.
    pub(super) fn begins(head: &[u8]) -> bool {
        head.starts_with(FIRST_LINE.as_bytes())
    }

    /// The disk's size in bytes.
    pub fn capacity(&self) -> u64 {
        self.extents.iter().map(|extent| extent.sectors * SECTOR).sum()
    }
}

#[derive(Default)]
struct Found {
    content_id: Option<u32>,
    create_type: Option<String>,
    adapter: Option<String>,
    extents: Vec<Extent>,
    sectors: u64,
    parent_id: Option<u32>,
    parent_hint: Option<String>,
}

impl Found {
    fn line(&mut self, line: &str) -> Result<()> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(extent) = extent(line)? {
            return self.extent(extent);
        }
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| Error::malformed(Place::Whole, "neither `key=value` nor an extent"))?;
        let value = value.trim().trim_matches('"');
        match key.trim() {
            "CID" => set(&mut self.content_id, hexadecimal(value)?, "a second CID"),
            "parentCID" => set(&mut self.parent_id, hexadecimal(value)?, "a second parentCID"),
            "parentFileNameHint" => set(&mut self.parent_hint, value.to_owned(), "a second parent"),
            "createType" => set(&mut self.create_type, known_type(value)?, "a second createType"),
            "ddb.adapterType" => set(&mut self.adapter, value.to_owned(), "a second adapterType"),
            key if key.starts_with("encryption.") => Err(Error::new(
                Kind::Unsupported,
                Place::Whole,
                "an encrypted VMDK is not read",
            )),
            _ => Ok(()),
        }
    }

    fn extent(&mut self, extent: Extent) -> Result<()> {
        let sectors = self.sectors.checked_add(extent.sectors);
        self.sectors = sectors
            .filter(|&all| all <= CAPACITY_LIMIT / SECTOR && self.extents.len() < EXTENT_LIMIT)
            .ok_or_else(|| {
                let reason = "the VMDK's extents are more than 1024 or larger than 64 TiB";
                Error::new(Kind::Ceiling, Place::Whole, reason)
            })?;
        self.extents.push(extent);
        Ok(())
    }

    fn finish(self) -> Result<Descriptor> {
        let missing =
            |what: &str| Error::malformed(Place::Whole, format!("the VMDK descriptor has no {what}"));
        if self.extents.is_empty() {
            return Err(missing("extent"));
        }
        let parent = match self.parent_id {
            None | Some(u32::MAX) => None,
            Some(content_id) => Some(Parent {
                content_id,
                hint: self
                    .parent_hint
                    .ok_or_else(|| missing("parentFileNameHint, though it has a parent"))?,
            }),
        };
        Ok(Descriptor {
            content_id: self.content_id.ok_or_else(|| missing("CID"))?,
            create_type: self.create_type.ok_or_else(|| missing("createType"))?,
            adapter: self.adapter,
            extents: self.extents,
            parent,
        })
    }
}

fn set<T>(place: &mut Option<T>, value: T, second: &str) -> Result<()> {
    if place.replace(value).is_some() {
        return Err(Error::new(Kind::Unsupported, Place::Whole, second));
    }
    Ok(())
}

fn known_type(name: &str) -> Result<String> {
    if CREATE_TYPES.contains(&name) {
        return Ok(name.to_owned());
    }
    let reason = format!("a VMDK of the kind `{}` is not read", name.escape_debug());
    Err(Error::new(Kind::Unsupported, Place::Whole, reason))
}

fn hexadecimal(text: &str) -> Result<u32> {
    u32::from_str_radix(text, 16).map_err(|e| {
        Error::malformed(Place::Whole, "a content id is no 32-bit hexadecimal number").because(e)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_rest_of_an_older_longer_text_is_nothing_but_in_a_stream() {
        let left_over = format!("{GOOD}\0\ncid\n").into_bytes();
        assert!(Descriptor::parse(&left_over).is_ok());
        assert!(Descriptor::parse_alone(&left_over).is_err());
    }

    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "# Disk DescriptorFile\nversion=1\nCID=00001234\nparentCID=ffffffff\n\
                        createType=\"monolithicFlat\"\nRW 20480 FLAT \"a-flat.vmdk\" 0\n";

    fn kind(text: &str) -> Kind {
        Descriptor::parse(text.as_bytes()).unwrap_err().kind()
    }

    #[test]
    fn several_extents_and_a_parent_are_read() {
        let text = GOOD.replace("=ffffffff", "=0000abcd\nparentFileNameHint=\"base.vmdk\"") + "RW 5 ZERO\n";
        let descriptor = Descriptor::parse(text.as_bytes()).unwrap();
        assert_eq!(descriptor.capacity(), 20_485 * 512);
        let parent = Parent {
            content_id: 0xabcd,
            hint: "base.vmdk".into(),
        };
        assert_eq!(descriptor.parent, Some(parent));
        assert_eq!(
            kind(&GOOD.replace("=ffffffff", "=0000abcd")),
            Kind::Malformed,
            "no hint"
        );
    }

    #[test]
    fn doubles_and_nonsense_are_refused() {
        let doubled = format!("{GOOD}CID=1\n");
        assert_eq!(
            Descriptor::parse(doubled.as_bytes()).unwrap_err().place(),
            &Place::Line(7)
        );
        assert_eq!(kind(&GOOD.replace("CID=00001234", "CID=xyz")), Kind::Malformed);
        assert_eq!(kind(&GOOD.replace("CID=00001234\n", "")), Kind::Malformed);
        assert_eq!(kind("KDMV"), Kind::Malformed);
    }

    #[test]
    fn what_is_not_read_is_refused_by_name() {
        for name in [
            "seSparse",
            "vmfsRaw",
            "fullDevice",
            "vmfsSparse",
            "vmfsRawDeviceMap",
        ] {
            let error = Descriptor::parse(GOOD.replace("monolithicFlat", name).as_bytes()).unwrap_err();
            assert!(
                error.kind() == Kind::Unsupported && error.reason().contains(name),
                "{error}"
            );
        }
        assert_eq!(
            kind(&format!("{GOOD}encryption.keySafe = \"vmware:key/list\"\n")),
            Kind::Unsupported
        );
    }

    #[test]
    fn extents_have_a_ceiling_in_number_and_sum() {
        assert_eq!(
            kind(&(GOOD.to_owned() + &"RW 1 ZERO\n".repeat(1024))),
            Kind::Ceiling
        );
        assert_eq!(
            kind(&(GOOD.to_owned() + &format!("RW {} ZERO\n", u64::MAX))),
            Kind::Ceiling
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(tail in "(RW|CID|=|[ -~\n]){0,80}") {
            let _ = Descriptor::parse(format!("{GOOD}{tail}").as_bytes());
        }
    }
}
