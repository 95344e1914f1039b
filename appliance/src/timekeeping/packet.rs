//! An NTP packet (RFC 5905 section 7.3) as a client needs it: a request that tells nothing, and its reply read strictly
//! (RFC 4330 section 5).
//!
//! | hostile or useless reply | here |
//! |---|---|
//! | too short, not from a server, or not to this request | [`Reply::Stray`]: the right one may still come |
//! | of a server that has no time itself, or is too far from one that has | [`Reply::Refused`] |
//! | a kiss of death | [`Reply::Kiss`]; nobody who cannot see the request can forge one |

use time::{Duration, OffsetDateTime};

use super::Offset;
use super::status::is_plausible;

const LENGTH: usize = 48;
/// No leap second, version 4, mode 3.
const CLIENT: u8 = 4 << 3 | 3;
const SERVER_MODE: u8 = 4;
const UNSYNCHRONIZED: u8 = 3;
const KISS: u8 = 0;
const LAST_STRATUM: u8 = 15;
/// Seconds from 1900 to 1970.
const UNIX_EPOCH: i64 = 2_208_988_800;
/// A server may be this far from the true time, by its own account and with the way to it. RFC 5905 takes one second, which
/// refuses many a Windows domain controller.
const FARTHEST: Duration = Duration::seconds(3);

/// A request, known by a random number in place of the time: servers give it back, and learn nothing of the clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    nonce: [u8; 8],
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// Nothing that belongs to this request.
    Stray,
    /// The time.
    Time(Sample),
    /// The server does not want to be asked, or not so often.
    Kiss(Kiss),
    /// The server's time is of no use, for this reason.
    Refused(&'static str),
}

/// A kiss of death (RFC 5905 section 7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kiss {
    /// Ask less often.
    Rate,
    /// Do not ask.
    Deny,
    /// Another code: there is no time in it, and no demand.
    Other,
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    /// What has to be added to the machine's clock.
    pub(super) offset: Offset,
    /// The way there and back.
    pub(super) delay: Duration,
    /// How wrong the offset can be, either way: the root distance.
    pub(super) distance: Duration,
}

impl Request {
    pub(super) fn new(nonce: [u8; 8]) -> Self {
        Self { nonce }
    }

    pub(super) fn render(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[0] = CLIENT;
        bytes[40..].copy_from_slice(&self.nonce);
        bytes
    }

    /// Reads a datagram that came `elapsed` after the request went out at `sent` by the machine's clock.
    pub(super) fn read(self, bytes: &[u8], sent: OffsetDateTime, elapsed: Duration) -> Reply {
        // Extensions and authentication may follow.
        let Some(packet) = bytes.first_chunk::<LENGTH>() else {
            return Reply::Stray;
        };
        let (leap, version, mode) = (packet[0] >> 6, packet[0] >> 3 & 7, packet[0] & 7);
        if mode != SERVER_MODE || !(3..=4).contains(&version) || packet[24..32] != self.nonce {
            return Reply::Stray;
        }
        match packet[1] {
            KISS => return Reply::Kiss(Kiss::of(&packet[12..16])),
            1..=LAST_STRATUM if leap != UNSYNCHRONIZED => {}
            _ => return Reply::Refused("it has no time itself"),
        }
        let (Some(received), Some(transmitted)) = (timestamp(packet, 32), timestamp(packet, 40)) else {
            return Reply::Refused("it tells no time");
        };
        if !is_plausible(transmitted) {
            return Reply::Refused("its time is in the past");
        }
        let held = transmitted - received;
        // A clock that is being corrected runs unevenly: what it held a packet for may seem longer than the whole way.
        let delay = (elapsed - held).max(Duration::ZERO);
        if held.is_negative() || held > elapsed + FARTHEST {
            return Reply::Refused("its time makes no sense");
        }
        let distance = delay / 2 + interval(packet, 4) / 2 + interval(packet, 8);
        if distance > FARTHEST {
            return Reply::Refused("it is too far from the true time");
        }
        Reply::Time(Sample {
            offset: ((received - sent) + (transmitted - (sent + elapsed))) / 2,
            delay,
            distance,
        })
    }
}

impl Kiss {
    fn of(code: &[u8]) -> Self {
        match code {
            b"RATE" => Self::Rate,
            b"DENY" | b"RSTR" => Self::Deny,
            _ => Self::Other,
        }
    }
}

/// A time; none where it is not set. The first era ends in 2036: times of its first half are of the next one (RFC 4330
/// section 3).
fn timestamp(packet: &[u8; LENGTH], at: usize) -> Option<OffsetDateTime> {
    let (seconds, fraction) = (u32_at(packet, at), u32_at(packet, at + 4));
    if (seconds, fraction) == (0, 0) {
        return None;
    }
    let era = if seconds >> 31 == 0 { 1_i64 << 32 } else { 0 };
    let whole = OffsetDateTime::from_unix_timestamp(i64::from(seconds) + era - UNIX_EPOCH).ok()?;
    Some(whole + Duration::nanoseconds((i64::from(fraction) * 1_000_000_000) >> 32))
}

/// An interval in NTP's short format.
fn interval(packet: &[u8; LENGTH], at: usize) -> Duration {
    Duration::nanoseconds((i64::from(u32_at(packet, at)) * 1_000_000_000) >> 16)
}

fn u32_at(packet: &[u8; LENGTH], at: usize) -> u32 {
    u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]])
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONCE: [u8; 8] = [7; 8];

    /// A sound reply to `nonce` of stratum 2, whose clock shows `time`.
    pub(in super::super) fn reply(nonce: &[u8], time: OffsetDateTime) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        (bytes[0], bytes[1]) = (4 << 3 | SERVER_MODE, 2);
        bytes[24..32].copy_from_slice(nonce);
        // One sixteenth of a second as root delay, one sixty-fourth as dispersion.
        bytes[4..8].copy_from_slice(&0x1000_u32.to_be_bytes());
        bytes[8..12].copy_from_slice(&0x400_u32.to_be_bytes());
        let nanoseconds = time.unix_timestamp_nanos() + i128::from(UNIX_EPOCH) * 1_000_000_000;
        let words = (nanoseconds << 32) / 1_000_000_000;
        let stamp = u64::try_from(words & i128::from(u64::MAX)).unwrap().to_be_bytes();
        bytes[32..40].copy_from_slice(&stamp);
        bytes[40..48].copy_from_slice(&stamp);
        bytes
    }

    fn at(unix: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(unix).unwrap()
    }

    const SENT: i64 = 1_790_000_000;

    fn read(bytes: &[u8]) -> Reply {
        Request::new(NONCE).read(bytes, at(SENT), Duration::milliseconds(100))
    }

    fn changed(change: impl Fn(&mut [u8; LENGTH])) -> Reply {
        let mut bytes = reply(&NONCE, at(SENT));
        change(&mut bytes);
        read(&bytes)
    }

    fn offset(sent: OffsetDateTime, told: OffsetDateTime) -> Offset {
        match Request::new(NONCE).read(&reply(&NONCE, told), sent, Duration::milliseconds(100)) {
            Reply::Time(sample) => sample.offset,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_tells_nothing_but_its_number() {
        let bytes = Request::new(NONCE).render();
        assert_eq!((bytes[0], &bytes[40..]), (0x23, &NONCE[..]));
        assert!(bytes[1..40].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn offset_delay_and_distance_are_the_standards() {
        let Reply::Time(sample) = read(&reply(&NONCE, at(SENT + 10))) else {
            panic!("no time");
        };
        assert_eq!(sample.offset, Duration::milliseconds(9_950));
        assert_eq!(sample.delay, Duration::milliseconds(100));
        assert_eq!(sample.distance, Duration::microseconds(50_000 + 31_250 + 15_625));
    }

    #[test]
    fn a_clock_that_starts_in_1970_and_the_year_2036_are_no_obstacle() {
        let half = Duration::milliseconds(50);
        assert_eq!(offset(at(0), at(SENT)), Duration::seconds(SENT) - half);
        let next_era = at(2_085_978_496 + 1000);
        assert_eq!(offset(next_era, next_era), -half);
    }

    #[test]
    fn what_is_no_reply_to_this_request_is_a_stray() {
        let stray = |change: fn(&mut [u8; LENGTH])| changed(change) == Reply::Stray;
        assert!(stray(|bytes| bytes[24] ^= 1));
        assert!(stray(|bytes| bytes[0] = CLIENT));
        assert!(stray(|bytes| bytes[0] = 2 << 3 | SERVER_MODE));
        assert_eq!(read(&reply(&NONCE, at(SENT))[..47]), Reply::Stray);
    }

    #[test]
    fn servers_without_time_are_refused() {
        let refused = |change: fn(&mut [u8; LENGTH])| matches!(changed(change), Reply::Refused(_));
        assert!(refused(|bytes| bytes[0] |= UNSYNCHRONIZED << 6));
        assert!(refused(|bytes| bytes[1] = 16));
        assert!(refused(|bytes| bytes[40..].fill(0)));
        assert!(refused(|bytes| bytes[4] = 1));
        assert!(refused(|bytes| bytes[8] = 1));
        assert!(refused(|bytes| bytes[35] += 1));
        assert!(matches!(
            read(&reply(&NONCE, at(1_700_000_000))),
            Reply::Refused(_)
        ));
    }

    #[test]
    fn kisses_are_told_apart() {
        let kiss = |code: &[u8; 4]| {
            changed(|bytes| {
                bytes[1] = KISS;
                bytes[12..16].copy_from_slice(code);
            })
        };
        assert_eq!(kiss(b"RATE"), Reply::Kiss(Kiss::Rate));
        assert_eq!(kiss(b"DENY"), Reply::Kiss(Kiss::Deny));
        assert_eq!(kiss(b"INIT"), Reply::Kiss(Kiss::Other));
    }

    proptest! {
        #[test]
        fn no_bytes_bring_the_reader_down(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..100),
            is_ours in any::<bool>(),
        ) {
            if is_ours && bytes.len() >= LENGTH {
                bytes[0] = 4 << 3 | SERVER_MODE;
                bytes[24..32].copy_from_slice(&NONCE);
            }
            if let Reply::Time(sample) = read(&bytes) {
                prop_assert!(sample.distance <= FARTHEST && !sample.delay.is_negative());
            }
        }
    }
}
