//! Header extensions: what stands between the header's fields and the backing file's name.

use crate::error::{Error, Place, Result};
use crate::field::u32_be;

const END: u32 = 0;
const BACKING_FORMAT: u32 = 0xe279_2aca;
const BITMAPS: u32 = 0x2385_2875;
const DATA_FILE: u32 = 0x4441_5441;

/// The extensions that matter to a reader; others may be ignored by the format's rules.
#[derive(Default)]
pub(super) struct Extensions {
    pub(super) backing_format: Option<String>,
    pub(super) data_file: Option<String>,
    pub(super) bitmaps: bool,
}

impl Extensions {
    /// Reads the extensions in `region`, which begins at byte `base` of the file.
    pub(super) fn parse(region: &[u8], base: u64) -> Result<Self> {
        let mut found = Self::default();
        let mut at = 0;
        while let Some(head) = region.get(at..at + 8) {
            let (kind, length) = (u32_be(head, 0), u32_be(head, 4));
            if kind == END {
                break;
            }
            let place = Place::Offset(base + at as u64);
            let start = at + 8;
            let end = usize::try_from(length)
                .ok()
                .and_then(|length| start.checked_add(length));
            let data = end.and_then(|end| region.get(start..end));
            let data = data.ok_or_else(|| {
                Error::malformed(
                    place.clone(),
                    "a QCOW2 header extension does not end in the first cluster",
                )
            })?;
            let text = || {
                let text = std::str::from_utf8(data).map(str::to_owned);
                text.map_err(|e| Error::malformed(place.clone(), "a QCOW2 name is not UTF-8").because(e))
            };
            match kind {
                BACKING_FORMAT => found.backing_format = Some(text()?),
                DATA_FILE => found.data_file = Some(text()?),
                BITMAPS => found.bitmaps = true,
                _ => {}
            }
            at = (start + data.len()).next_multiple_of(8);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_lying_lengths_refused() {
        let region = [
            &BACKING_FORMAT.to_be_bytes()[..],
            &[0, 0, 0, 3],
            b"raw\0\0\0\0\0",
            &[0; 8],
        ]
        .concat();
        let found = Extensions::parse(&region, 104).unwrap();
        assert_eq!(found.backing_format.as_deref(), Some("raw"));
        let mut lying = region.clone();
        lying[4] = 0xff;
        assert!(Extensions::parse(&lying, 104).is_err());
        assert!(
            Extensions::parse(&region[..3], 104)
                .unwrap()
                .backing_format
                .is_none()
        );
    }
}
