//! Progress for people: on standard error, and only where that is a terminal.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar or a spinner that is gone once the work is.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

const TICK: Duration = Duration::from_millis(100);

impl Progress {
    /// For work whose length isn't known.
    pub(crate) fn spinner(message: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, target());
        bar.set_style(style("{spinner} {msg} {elapsed}"));
        bar.set_message(message.to_owned());
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// For a known number of bytes.
    pub(crate) fn bytes(message: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), target());
        bar.set_style(style(
            "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        ));
        bar.set_message(message.to_owned());
        Self(bar)
    }

    pub(crate) fn set(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    pub(crate) fn say(&self, message: &str) {
        self.0.set_message(message.to_owned());
    }

    pub(crate) fn finish(self) {
        self.0.finish_and_clear();
    }
}

fn target() -> ProgressDrawTarget {
    if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
