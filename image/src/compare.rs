//! Whether two disks hold the same bytes, whatever their formats.

use crate::error::Result;
use crate::source::{Progress, Source};

/// Bytes compared at a time.
const PIECE: usize = 1 << 20;

/// The first byte at which two disks differ; none if they are the same. A longer disk is the same if its rest is zeros.
///
/// Only stretches that hold data in one of them are read. `progress` is called now and then.
///
/// # Errors
/// Whatever reading gives.
pub fn first_difference(
    a: &dyn Source,
    b: &dyn Source,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<u64>> {
    let mut report = Progress {
        done: 0,
        total: a.data_length()?.max(b.data_length()?),
    };
    let (mut left, mut right) = (vec![0; PIECE], vec![0; PIECE]);
    let end = a.size().max(b.size());
    let mut from = 0;
    while from < end {
        let next = |disk: &dyn Source| -> Result<Option<std::ops::Range<u64>>> {
            if from < disk.size() {
                return disk.next_data(from);
            }
            Ok(None)
        };
        let stretch = match (next(a)?, next(b)?) {
            (None, None) => return Ok(None),
            (Some(one), None) | (None, Some(one)) => one,
            (Some(a), Some(b)) if a.start <= b.start => a,
            (Some(_), Some(b)) => b,
        };
        from = stretch.start;
        let length = usize::try_from(stretch.end - from).unwrap_or(PIECE).min(PIECE);
        fill(a, from, &mut left[..length])?;
        fill(b, from, &mut right[..length])?;
        let differing = left[..length]
            .iter()
            .zip(&right[..length])
            .position(|(a, b)| a != b);
        if let Some(at) = differing {
            return Ok(Some(from + at as u64));
        }
        from += length as u64;
        // Where only one holds data, that is more than either's.
        report.done = (report.done + length as u64).min(report.total);
        progress(report);
    }
    Ok(None)
}

/// A disk's bytes, and zeros after its end.
fn fill(disk: &dyn Source, from: u64, buffer: &mut [u8]) -> Result<()> {
    let held = usize::try_from(disk.size().saturating_sub(from)).unwrap_or(usize::MAX);
    let held = held.min(buffer.len());
    if held > 0 {
        disk.read_at(from, &mut buffer[..held])?;
    }
    buffer[held..].fill(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Composed;

    fn disk(size: u64, at: u64, bytes: &[u8]) -> Composed {
        let mut disk = Composed::new(size);
        disk.put(at, bytes.to_vec()).unwrap();
        disk
    }

    fn difference(a: &dyn Source, b: &dyn Source) -> Option<u64> {
        first_difference(a, b, &mut |_| {}).unwrap()
    }

    #[test]
    fn the_first_byte_that_differs_is_named_and_zeros_at_the_end_do_not_count() {
        let one = disk(10 << 20, 5 << 20, b"data");
        assert_eq!(difference(&one, &disk(10 << 20, 5 << 20, b"data")), None);
        assert_eq!(difference(&one, &disk(12 << 20, 5 << 20, b"data")), None);
        assert_eq!(
            difference(&one, &disk(10 << 20, 5 << 20, b"daTa")),
            Some((5 << 20) + 2)
        );
        assert_eq!(
            difference(&disk(1 << 20, 0, b""), &disk(4 << 20, 3 << 20, b"x")),
            Some(3 << 20)
        );
    }
}
