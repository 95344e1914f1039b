//! Failures made on purpose, to show that what watches over the service does its work.
//!
//! Only who builds the image or starts the process can ask for one: on the kernel's command line (`vcc.fault=`) or
//! with `--fault`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::log;

/// A failure to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `wedge-after=SECONDS`: the service's only thread stands still for good after that time.
    WedgeAfter(Duration),
    /// `exit-after=SECONDS`: the process ends with status 70 after that time.
    ExitAfter(Duration),
}

impl Fault {
    /// Waits and fails.
    pub(crate) async fn strike(self) {
        match self {
            Self::WedgeAfter(wait) => {
                tokio::time::sleep(wait).await;
                log::warn("fault injection: the service stands still from now on");
                wedge()
            }
            Self::ExitAfter(wait) => {
                tokio::time::sleep(wait).await;
                log::warn("fault injection: the service ends");
                std::process::exit(70);
            }
        }
    }
}

fn wedge() -> ! {
    loop {
        std::thread::park();
    }
}

impl FromStr for Fault {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const REASON: &str = "a fault is wedge-after=SECONDS or exit-after=SECONDS";
        let (name, seconds) = text.split_once('=').ok_or(REASON)?;
        let wait = Duration::from_secs(u64::from(seconds.parse::<u32>().map_err(|_| REASON)?));
        match name {
            "wedge-after" => Ok(Self::WedgeAfter(wait)),
            "exit-after" => Ok(Self::ExitAfter(wait)),
            _ => Err(REASON),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WedgeAfter(wait) => write!(f, "wedge-after={}", wait.as_secs()),
            Self::ExitAfter(wait) => write!(f, "exit-after={}", wait.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_strictly() {
        let fault: Fault = "wedge-after=7".parse().unwrap();
        assert_eq!(fault, Fault::WedgeAfter(Duration::from_secs(7)));
        assert_eq!(fault.to_string(), "wedge-after=7");
        for text in ["wedge-after", "wedge-after=", "wedge-after=-1", "sleep=3", ""] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
