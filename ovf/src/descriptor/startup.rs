//! StartupSection: the order in which a collection's members start and stop (DSP0243 9.7).

use super::element::{Faults, boolean, child_text, children, number, owned, required};
use super::text::Text;
use crate::xml::{Element, Origin};

/// The order of start and stop.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Startup {
    /// What the section is for.
    pub info: Text,
    /// The members that are ordered.
    pub items: Vec<StartupItem>,
    /// Where it was read.
    pub origin: Origin,
}

/// A member's place in the order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StartupItem {
    /// The member, by id.
    pub id: String,
    /// Its place: smaller ones start first and stop last; 0 may start at any time.
    pub order: u16,
    /// The wait after its start, in seconds.
    pub start_delay: u64,
    /// Whether the next ones wait for the guest's word rather than the delay.
    pub waiting_for_guest: bool,
    /// The wait after its stop, in seconds.
    pub stop_delay: u64,
    /// How it starts.
    pub start_action: StartAction,
    /// How it stops.
    pub stop_action: StopAction,
    /// Where it was read.
    pub origin: Origin,
}

/// How a member starts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StartAction {
    /// `powerOn`.
    #[default]
    PowerOn,
    /// `none`.
    None,
    /// Another word.
    Other(String),
}

/// How a member stops.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StopAction {
    /// `powerOff`.
    #[default]
    PowerOff,
    /// `guestShutdown`.
    GuestShutdown,
    /// `none`.
    None,
    /// Another word.
    Other(String),
}

impl Startup {
    pub(super) fn read(element: Element<'_>, faults: &mut Faults) -> Self {
        Startup {
            info: child_text(element, "Info"),
            items: children(element, "Item").map(|it| item(it, faults)).collect(),
            origin: element.position().into(),
        }
    }
}

fn item(element: Element<'_>, faults: &mut Faults) -> StartupItem {
    required(element, "order", faults);
    StartupItem {
        id: required(element, "id", faults),
        order: number(element, "order", faults).unwrap_or_default(),
        start_delay: number(element, "startDelay", faults).unwrap_or_default(),
        waiting_for_guest: boolean(element, "waitingForGuest", false, faults),
        stop_delay: number(element, "stopDelay", faults).unwrap_or_default(),
        start_action: match owned(element, "startAction") {
            None => StartAction::PowerOn,
            Some(word) => match word.as_str() {
                "powerOn" => StartAction::PowerOn,
                "none" => StartAction::None,
                _ => StartAction::Other(word),
            },
        },
        stop_action: match owned(element, "stopAction") {
            None => StopAction::PowerOff,
            Some(word) => match word.as_str() {
                "powerOff" => StopAction::PowerOff,
                "guestShutdown" => StopAction::GuestShutdown,
                "none" => StopAction::None,
                _ => StopAction::Other(word),
            },
        },
        origin: element.position().into(),
    }
}
