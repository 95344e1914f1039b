//! Which of several servers to believe: Marzullo's algorithm, as RFC 5905 section 11.2.1 uses it.
//!
//! Each sample says that the true offset lies within its distance of its own. Where most of them overlap, there it is;
//! whoever lies outside tells falsely.

use super::Offset;
use super::packet::Sample;

/// What several servers say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selection {
    /// Nobody answered.
    Silence,
    /// Enough agree; the nearest of them is the source.
    Agreed {
        /// Its place in the list.
        nearest: usize,
        /// Its offset, kept within what all of them allow.
        offset: Offset,
    },
    /// Too few agree to be believed.
    Disagreement {
        /// So many do.
        agree: usize,
        /// So many would have to.
        needed: usize,
    },
}

/// Chooses among the answers of `configured` servers. Of three or more the majority of all of them has to agree, so that one
/// that tells falsely moves nothing even while others are silent; of fewer, all that answered.
pub(super) fn select(configured: usize, samples: &[Sample]) -> Selection {
    let Some((agree, low, high)) = largest_overlap(samples) else {
        return Selection::Silence;
    };
    let needed = match configured {
        3.. => configured / 2 + 1,
        _ => samples.len(),
    };
    if agree < needed {
        return Selection::Disagreement { agree, needed };
    }
    let overlapping = samples.iter().enumerate().filter(|(_, sample)| {
        let (from, to) = bounds(sample);
        from <= high && low <= to
    });
    match overlapping.min_by_key(|(_, sample)| sample.distance) {
        Some((nearest, sample)) => Selection::Agreed {
            nearest,
            offset: sample.offset.clamp(low, high),
        },
        None => Selection::Silence,
    }
}

fn bounds(sample: &Sample) -> (Offset, Offset) {
    (sample.offset - sample.distance, sample.offset + sample.distance)
}

/// How many overlap where most do, and where that is; the first such place.
fn largest_overlap(samples: &[Sample]) -> Option<(usize, Offset, Offset)> {
    let starts = samples.iter().map(|sample| bounds(sample).0);
    let overlaps = starts.filter_map(|low| {
        let around = samples.iter().map(bounds);
        let around: Vec<_> = around.filter(|(from, to)| (*from..=*to).contains(&low)).collect();
        let high = around.iter().map(|(_, to)| *to).min()?;
        Some((around.len(), low, high))
    });
    overlaps.reduce(|best, next| if next.0 > best.0 { next } else { best })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::Duration;

    use super::*;

    fn sample(offset: i64, distance: i64) -> Sample {
        Sample {
            offset: Duration::milliseconds(offset),
            delay: Duration::ZERO,
            distance: Duration::milliseconds(distance),
        }
    }

    fn offset_of(selection: &Selection) -> i128 {
        match selection {
            Selection::Agreed { offset, .. } => offset.whole_milliseconds(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_nearest_of_those_that_agree_is_the_source() {
        let samples = [sample(10, 50), sample(14, 5), sample(90_000, 1)];
        let selection = select(3, &samples);
        assert!(matches!(selection, Selection::Agreed { nearest: 1, .. }));
        assert_eq!(offset_of(&selection), 14);
    }

    #[test]
    fn one_that_tells_falsely_moves_nothing_while_others_are_silent() {
        let expected = Selection::Disagreement { agree: 1, needed: 2 };
        assert_eq!(select(3, &[sample(90_000, 1)]), expected);
        assert_eq!(select(3, &[sample(90_000, 1), sample(0, 1)]), expected);
    }

    #[test]
    fn two_that_disagree_are_not_believed_and_one_alone_is() {
        let expected = Selection::Disagreement { agree: 1, needed: 2 };
        assert_eq!(select(2, &[sample(0, 10), sample(100, 10)]), expected);
        assert_eq!(offset_of(&select(2, &[sample(100, 10)])), 100);
        assert_eq!(select(2, &[]), Selection::Silence);
    }

    proptest! {
        #[test]
        fn a_minority_never_moves_the_clock_beyond_what_the_majority_allows(
            truth in -1000_i64..1000,
            errors in proptest::collection::vec((-50_i64..50, 50_i64..100), 3),
            lies in proptest::collection::vec((-100_000_i64..100_000, 0_i64..3000), 2),
        ) {
            let mut samples: Vec<_> = errors
                .iter()
                .map(|(error, distance)| sample(truth + error, *distance))
                .collect();
            samples.extend(lies.iter().map(|(offset, distance)| sample(*offset, *distance)));
            if let Selection::Agreed { offset, .. } = select(5, &samples) {
                // Three agree, of which one is true at least: its error is twice its distance at most.
                let wrong = (offset - Duration::milliseconds(truth)).abs();
                prop_assert!(wrong <= Duration::milliseconds(200), "{wrong}");
            }
        }
    }
}
