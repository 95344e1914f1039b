//! The life of a transfer, as its server has it: a state machine without effects. What follows from its steps is carried out
//! elsewhere, in the transaction of what caused them.
//!
//! ```text
//! SCHEDULED ─due─► REQUESTED ─offer─► GRANTED ─► RECEIVING ─► VERIFIED ─► IMPORTED ─┬─receipt─► PUBLISHED
//!                      └─ asked alone: OFFERED                                      └─receipt─► REJECTED
//!
//! each but the ends ─► FAILED, CANCELLED;   OFFERED, REJECTED, FAILED, CANCELLED ─retry─► REQUESTED
//! ```
//!
//! A destination says how far it is as often as it likes, late, and again after a restart: nothing it says leads back, and
//! nothing but a receipt to PUBLISHED or REJECTED.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Outcome, Phase};
use crate::error::{Error, Kind};

/// How far a transfer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = TransferState)]
pub enum State {
    /// Its time has not come.
    Scheduled,
    /// The source is asked what it has.
    Requested,
    /// The server has signed the grant; the destination looks at it, and reaches for the source.
    Granted,
    /// Bytes come, into quarantine.
    Receiving,
    /// All is there and keeps the policy.
    Verified,
    /// It is the tenant's, and not shown yet.
    Imported,
    /// It is known what would be moved, and nothing else was asked.
    Offered,
    /// It can be had at the destination, which has signed a receipt.
    Published,
    /// It was refused by the destination, which has signed a receipt.
    Rejected,
    /// It could not be done.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Scheduled,
        Self::Requested,
        Self::Granted,
        Self::Receiving,
        Self::Verified,
        Self::Imported,
        Self::Offered,
        Self::Published,
        Self::Rejected,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::Requested => "REQUESTED",
            Self::Granted => "GRANTED",
            Self::Receiving => "RECEIVING",
            Self::Verified => "VERIFIED",
            Self::Imported => "IMPORTED",
            Self::Offered => "OFFERED",
            Self::Published => "PUBLISHED",
            Self::Rejected => "REJECTED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Whether it has come to its end.
    pub fn has_ended(self) -> bool {
        self >= Self::Offered
    }

    /// Whether the destination has it in hand.
    pub fn is_at_destination(self) -> bool {
        (Self::Granted..=Self::Imported).contains(&self)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| Error::new(Kind::StateCorrupt, "transfers", format!("'{text}' is no state")))
    }
}

/// What happens to a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Its time has come.
    Due,
    /// The source told what it has, and that is to be moved.
    Granted,
    /// The source told what it has, and nothing else was asked.
    Shown,
    /// The destination says how far it is.
    Told(Phase),
    /// The destination has shown a receipt that is good.
    Vouched(Outcome),
    /// It can't be done: a node said so or is gone, a receipt is wrong, no way is left.
    Broke,
    /// Somebody wants it stopped.
    Cancel,
    /// The node that had it in hand has stopped.
    Stopped,
    /// Somebody wants it tried again.
    Retry,
}

/// The state after an event; nothing where it changes none.
pub fn next(state: State, event: Event) -> Option<State> {
    use State::{Cancelled, Failed, Granted, Offered, Published, Rejected, Requested, Scheduled};
    let next = match (state, event) {
        (Scheduled, Event::Due) => Requested,
        (Requested, Event::Granted) => Granted,
        (Requested, Event::Shown) => Offered,
        (_, Event::Told(phase)) if state.is_at_destination() => state_of(phase)?,
        (_, Event::Vouched(Outcome::Published)) if state.is_at_destination() => Published,
        (_, Event::Vouched(Outcome::Rejected)) if state.is_at_destination() => Rejected,
        // What the destination has in hand may be done before it hears of it.
        (Scheduled | Requested, Event::Cancel) => Cancelled,
        (_, Event::Stopped) if !state.has_ended() => Cancelled,
        (_, Event::Broke) if !state.has_ended() => Failed,
        (Offered | Rejected | Failed | Cancelled, Event::Retry) => Requested,
        _ => return None,
    };
    (event == Event::Retry || next > state).then_some(next)
}

/// The state that a destination brings about by saying so.
fn state_of(phase: Phase) -> Option<State> {
    match phase {
        Phase::Granted => Some(State::Granted),
        Phase::Receiving => Some(State::Receiving),
        Phase::Verified => Some(State::Verified),
        Phase::Imported => Some(State::Imported),
        Phase::Published | Phase::Rejected | Phase::Unreachable => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Due),
            Just(Event::Granted),
            Just(Event::Shown),
            prop::sample::select(vec![
                Phase::Granted,
                Phase::Receiving,
                Phase::Verified,
                Phase::Imported,
                Phase::Published,
                Phase::Rejected,
                Phase::Unreachable,
            ])
            .prop_map(Event::Told),
            prop::sample::select(vec![Outcome::Published, Outcome::Rejected]).prop_map(Event::Vouched),
            Just(Event::Broke),
            Just(Event::Cancel),
            Just(Event::Stopped),
            Just(Event::Retry),
        ]
    }

    fn rank(state: State) -> usize {
        State::ALL.iter().position(|one| *one == state).unwrap()
    }

    proptest! {
        #[test]
        fn nothing_but_a_retry_leads_back_or_past_an_end(events in prop::collection::vec(event(), 0..40)) {
            let mut state = State::Scheduled;
            for event in events {
                let Some(after) = next(state, event) else { continue };
                if event == Event::Retry {
                    prop_assert!(state.has_ended() && state != State::Published);
                    prop_assert_eq!(after, State::Requested);
                } else {
                    prop_assert!(!state.has_ended() && rank(after) > rank(state), "{state} {event:?} {after}");
                }
                let by_receipt = matches!(event, Event::Vouched(_));
                prop_assert_eq!(by_receipt, matches!(after, State::Published | State::Rejected));
                // Before the grant no destination has a say.
                prop_assert!(!matches!(event, Event::Told(_) | Event::Vouched(_)) || state >= State::Granted);
                state = after;
            }
        }
    }

    #[test]
    fn a_whole_life_is_possible_and_every_state_reads_as_it_is_written() {
        let steps = [
            Event::Due,
            Event::Granted,
            Event::Told(Phase::Receiving),
            Event::Told(Phase::Verified),
            Event::Told(Phase::Imported),
            Event::Vouched(Outcome::Published),
        ];
        let end = steps.into_iter().try_fold(State::Scheduled, next);
        assert_eq!(end, Some(State::Published));
        for state in State::ALL {
            assert_eq!(state.as_str().parse::<State>().unwrap(), state);
        }
    }
}
