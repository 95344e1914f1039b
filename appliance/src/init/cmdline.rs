//! The kernel's command line, as far as it speaks to us.

use image::slot::Slot;

use crate::log;
use crate::service::Fault;

/// Our words on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cmdline {
    /// `vcc.slot=a|b`: the slot that the loader started.
    pub slot: Option<Slot>,
    /// `vcc.try=0|1`: the slot is on trial.
    pub on_trial: bool,
    /// `vcc.fault=FAULT`: fault injection, for tests of what watches over the service (see [`Fault`]).
    pub fault: Option<Fault>,
}

impl Cmdline {
    /// Reads this machine's; what cannot be read counts as not given.
    pub fn read() -> Self {
        let text = crate::file::text("/proc/cmdline").unwrap_or_default();
        let (cmdline, odd) = Self::parse(&text);
        for word in odd {
            log::warn(format_args!("kernel command line: {word} is not understood"));
        }
        cmdline
    }

    /// Reads words between blanks; gives those that begin with `vcc.` and are not understood as well.
    pub fn parse(text: &str) -> (Self, Vec<&str>) {
        let mut cmdline = Self::default();
        let mut odd = Vec::new();
        let words = text.split_ascii_whitespace();
        for (word, ours) in words.filter_map(|word| Some((word, word.strip_prefix("vcc.")?))) {
            match ours.split_once('=') {
                Some(("slot", "a")) => cmdline.slot = Some(Slot::A),
                Some(("slot", "b")) => cmdline.slot = Some(Slot::B),
                Some(("try", "0")) => cmdline.on_trial = false,
                Some(("try", "1")) => cmdline.on_trial = true,
                Some(("fault", fault)) if fault.parse::<Fault>().is_ok() => {
                    cmdline.fault = fault.parse().ok()
                }
                _ => odd.push(word),
            }
        }
        (cmdline, odd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn our_words_are_read_and_the_kernels_left_alone() {
        let text = "BOOT_IMAGE=/vmlinuz console=ttyS0 vcc.slot=b vcc.try=1 vcc.fault=wedge-after=5 quiet";
        let (cmdline, odd) = Cmdline::parse(text);
        assert_eq!((cmdline.slot, cmdline.on_trial), (Some(Slot::B), true));
        assert_eq!(cmdline.fault, Some(Fault::WedgeAfter(Duration::from_secs(5))));
        assert!(odd.is_empty());
    }

    #[test]
    fn words_of_ours_that_make_no_sense_are_named() {
        let (cmdline, odd) = Cmdline::parse("vcc.slot=c vcc.new vcc.fault=no slot=a");
        assert_eq!(cmdline, Cmdline::default());
        assert_eq!(odd, ["vcc.slot=c", "vcc.new", "vcc.fault=no"]);
    }
}
