//! The last answer about data of the disk beneath, kept.
//!
//! An image whose clusters are by turns absent and zeros asks about each of the absent ones. Where the disk beneath is one
//! long hole, each answer would walk to that hole's end.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::source::Source;

/// The last place asked about, and the answer.
#[derive(Default)]
pub(super) struct Seeker(Mutex<Option<(u64, Option<Range<u64>>)>>);

impl Seeker {
    /// As [`Source::next_data`] of `disk`, which is always the same one.
    pub(super) fn next_data(&self, disk: &dyn Source, from: u64) -> Result<Option<Range<u64>>> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((asked, answer)) = last
            && asked <= from
            && answer.as_ref().is_none_or(|data| from < data.end)
        {
            return Ok(answer.map(|data| data.start.max(from)..data.end));
        }
        let answer = disk.next_data(from)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((from, answer.clone()));
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Composed;

    #[test]
    fn answers_are_those_of_the_disk_in_any_order() {
        let mut disk = Composed::new(1000);
        disk.put(100, vec![1; 50]).unwrap();
        disk.put(700, vec![1; 50]).unwrap();
        let seeker = Seeker::default();
        for from in (0..1000)
            .chain((0..1000).rev())
            .chain((0..1000).map(|n| n * 611 % 1000))
        {
            assert_eq!(
                seeker.next_data(&disk, from).unwrap(),
                disk.next_data(from).unwrap()
            );
        }
    }
}
