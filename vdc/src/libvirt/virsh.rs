//! libvirt's own command, run once for each question.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};

/// Answers are at most this long.
const ANSWER_LIMIT: u64 = 16 << 20;
/// What every question may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a piece of a disk may take: the target's own disk may be slow.
pub(super) const TRANSFER_PATIENCE: Duration = Duration::from_secs(300);
const TICK: Duration = Duration::from_millis(2);

#[derive(Debug)]
pub(super) struct Virsh {
    uri: String,
}

/// A question under way.
pub(super) struct Asked {
    child: Child,
    verb: String,
    answer: thread::JoinHandle<Vec<u8>>,
    complaint: thread::JoinHandle<Vec<u8>>,
    start: Instant,
}

/// An option with a value that somebody else chose.
pub(super) fn option(name: &str, value: &str) -> Result<String> {
    let fine = !value.is_empty() && value.len() <= 255 && !value.chars().any(|c| c.is_control() || c == '/');
    if !fine {
        let reason = format!("no name for a {name}");
        return Err(Error::new(
            Kind::Invalid,
            value.escape_debug().to_string(),
            reason,
        ));
    }
    Ok(format!("--{name}={value}"))
}

impl Virsh {
    pub(super) fn new(uri: &str) -> Self {
        Self { uri: uri.to_owned() }
    }

    pub(super) fn uri(&self) -> &str {
        &self.uri
    }

    /// The answer to a question.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<String> {
        self.ask(arguments)?.answer(PATIENCE)
    }

    pub(super) fn ask(&self, arguments: &[&str]) -> Result<Asked> {
        let mut command = Command::new("virsh");
        command
            .args(["--quiet", "--connect", &self.uri])
            .args(arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            let reason = "virsh can't be run: libvirt's client tools (libvirt-clients) are needed";
            Error::new(Kind::Unreachable, &self.uri, reason).because(error)
        })?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        Ok(Asked {
            child,
            verb: arguments.first().copied().unwrap_or_default().to_owned(),
            answer: thread::spawn(move || out.map(read).unwrap_or_default()),
            complaint: thread::spawn(move || err.map(read).unwrap_or_default()),
            start: Instant::now(),
        })
    }
}

/// What is told, up to the limit; the rest is not kept, so that whoever tells it doesn't wait.
fn read(mut from: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    // What can't be read is told by the exit code.
    let _ = from.by_ref().take(ANSWER_LIMIT).read_to_end(&mut kept);
    let _ = std::io::copy(&mut from, &mut std::io::sink());
    kept
}

impl Asked {
    /// Waits for the answer.
    pub(super) fn answer(mut self, patience: Duration) -> Result<String> {
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if self.start.elapsed() > patience => {
                    let _ = self.child.kill();
                    let _ = self.child.wait();
                    let reason = format!("no answer within {} seconds", patience.as_secs());
                    return Err(Error::new(Kind::Timeout, self.verb, reason));
                }
                Ok(None) => thread::sleep(TICK),
                Err(error) => {
                    return Err(Error::new(Kind::Unreachable, self.verb, "virsh was lost").because(error));
                }
            }
        };
        let text = |told: thread::JoinHandle<Vec<u8>>| {
            String::from_utf8_lossy(&told.join().unwrap_or_default()).into_owned()
        };
        let (answer, complaint) = (text(self.answer), text(self.complaint));
        if status.success() {
            return Ok(answer);
        }
        let lines = complaint.lines().filter_map(|line| line.strip_prefix("error: "));
        let lines: Vec<String> = lines
            .map(|line| line.chars().filter(|c| !c.is_control()).collect())
            .collect();
        let reason = match lines.is_empty() {
            true => format!("virsh left with {status}"),
            false => lines.join("; "),
        };
        Err(Error::new(kind(&reason), self.verb, reason))
    }
}

/// virsh tells no codes; its words have been the same for many years.
fn kind(complaint: &str) -> Kind {
    let complaint = complaint.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| complaint.contains(word));
    if any(&[
        "failed to connect",
        "end of file while reading",
        "cannot recv",
        "broken pipe",
        "connection reset",
    ]) {
        Kind::Unreachable
    } else if any(&["already exists", "exists already", "already in use"]) {
        Kind::Taken
    } else if any(&[
        "not found",
        "failed to get domain",
        "no storage pool with",
        "no storage vol with",
        "no network with",
    ]) {
        Kind::Missing
    } else if any(&["domain is not running"]) {
        Kind::Off
    } else if any(&["not supported", "unsupported"]) {
        Kind::Unsupported
    } else {
        Kind::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_command_would_misread_are_refused() {
        assert_eq!(option("pool", "-x y").unwrap(), "--pool=-x y");
        for name in ["", "a/b", "a\nb", &"x".repeat(256)] {
            assert_eq!(
                option("pool", name).unwrap_err().kind(),
                Kind::Invalid,
                "{name:?}"
            );
        }
    }

    #[test]
    fn complaints_are_told_apart() {
        assert_eq!(kind("Failed to get domain 'x'"), Kind::Missing);
        assert_eq!(
            kind("operation failed: domain 'x' already exists with uuid"),
            Kind::Taken
        );
        assert_eq!(kind("failed to connect to the hypervisor"), Kind::Unreachable);
        assert_eq!(
            kind("Requested operation is not valid: domain is not running"),
            Kind::Off
        );
        assert_eq!(kind("No space left on device"), Kind::Refused);
    }
}
