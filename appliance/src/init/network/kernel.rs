//! What the kernel was asked to do to interfaces, and what it refused.

use std::io;

use crate::init::netlink::{Request, Route};
use crate::log;

const LOOPBACK: u32 = 1;

/// The way to the kernel.
#[derive(Debug)]
pub(super) struct Kernel {
    route: Route,
    /// What it refused and has not taken since.
    problems: Vec<Problem>,
}

#[derive(Debug)]
struct Problem {
    /// The index of the interface that it was for.
    interface: u32,
    request: Option<Request>,
    reason: String,
}

impl Kernel {
    /// Opens the way, and switches the loopback on.
    pub(super) fn open() -> io::Result<Self> {
        let mut route = Route::open()?;
        if let Err(error) = route.make(&Request::Up { interface: LOOPBACK }) {
            log::warn(format_args!("lo: cannot be switched on: {error}"));
        }
        let problems = Vec::new();
        Ok(Self { route, problems })
    }

    /// Switches an interface on.
    pub(super) fn switch_on(&mut self, interface: u32) -> io::Result<()> {
        self.route.make(&Request::Up { interface })
    }

    /// Makes a change for the interface of this index. False, and a problem, if the kernel refuses.
    pub(super) fn make(&mut self, interface: u32, request: Request) -> bool {
        let made = self.route.make(&request);
        self.forget(request);
        if let Err(error) = &made {
            let reason = format!("the kernel refuses {request:?}: {error}");
            log::error(&reason);
            self.problems.push(Problem {
                interface,
                request: Some(request),
                reason,
            });
        }
        made.is_ok()
    }

    /// Takes a change back, as far as the kernel still has it.
    pub(super) fn take_back(&mut self, undo: &Request) {
        let _ = self.route.make(undo);
    }

    /// Notes that something else is wrong with an interface.
    pub(super) fn note(&mut self, interface: u32, reason: String) {
        let request = None;
        self.problems.push(Problem {
            interface,
            request,
            reason,
        });
    }

    /// What was wrong with this change is of no matter any more.
    pub(super) fn forget(&mut self, request: Request) {
        self.problems.retain(|problem| problem.request != Some(request));
    }

    /// Nor is what was wrong with interfaces other than `those`.
    pub(super) fn forget_all_but(&mut self, those: impl Fn(u32) -> bool) {
        self.problems.retain(|problem| those(problem.interface));
    }

    /// What is wrong, the oldest first.
    pub(super) fn problem(&self) -> Option<&str> {
        let first = self.problems.first();
        first.map(|problem| problem.reason.as_str())
    }
}
