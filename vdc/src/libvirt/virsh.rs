//! libvirt's own command, run once for each question.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::error::{Error, Kind, Result};

/// Answers are at most this long.
const ANSWER_LIMIT: u64 = 4 << 20;
/// What every question may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a piece of a disk may take: the target's own disk may be slow.
pub(super) const TRANSFER_PATIENCE: Duration = Duration::from_secs(300);
const TICK: Duration = Duration::from_millis(2);

#[derive(Debug, Clone)]
pub(super) struct Virsh {
    uri: String,
}

/// A question under way. One that nobody waits for any more is broken off.
pub(super) struct Asked {
    child: Child,
    verb: String,
    told: Option<[thread::JoinHandle<Vec<u8>>; 2]>,
    start: Instant,
}

impl Drop for Asked {
    fn drop(&mut self) {
        // One that has ended is neither killed nor waited for again.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An option with the name of something, which somebody else chose.
pub(super) fn option(name: &str, value: &str) -> Result<String> {
    let refused = |c: char| c.is_control() || c == '/';
    let fine = !value.is_empty() && value.len() <= 255 && !value.contains(refused);
    // A number or a UUID in place of a name is another machine's.
    let other = name == "domain" && (value.trim().parse::<i64>().is_ok() || is_uuid(value));
    if !fine || other {
        let reason = format!("no name for a {name}");
        return Err(Error::new(
            Kind::Invalid,
            value.escape_debug().to_string(),
            reason,
        ));
    }
    Ok(format!("--{name}={value}"))
}

/// As [`option`], for what is to be made: complaints quote its name, and have to be read.
pub(super) fn new_option(name: &str, value: &str) -> Result<String> {
    if value.starts_with('-') || value.contains('\'') {
        let reason = format!("a {name} is given no name with a hyphen at its start or a quote");
        return Err(Error::new(
            Kind::Invalid,
            value.escape_debug().to_string(),
            reason,
        ));
    }
    option(name, value)
}

/// A machine by the identifier that libvirt gave it: a name may be anything, and be another's tomorrow.
pub(super) fn machine_option(uuid: &str) -> Result<String> {
    if !is_canonical(uuid) {
        let reason = "no machine's identifier";
        return Err(Error::new(Kind::Answer, uuid.escape_debug().to_string(), reason));
    }
    Ok(format!("--domain={uuid}"))
}

/// Whether virsh may take it for an identifier, which it does with and without hyphens, here and there.
fn is_uuid(value: &str) -> bool {
    let digits = value.chars().filter(char::is_ascii_hexdigit).count();
    digits == 32 && value.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// As virsh writes it, which it takes for an identifier for certain.
fn is_canonical(uuid: &str) -> bool {
    is_uuid(uuid) && uuid.split('-').map(str::len).eq([8, 4, 4, 4, 12])
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
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut asked = self.start(command, arguments)?;
        let (out, err) = (asked.child.stdout.take(), asked.child.stderr.take());
        asked.told = Some([
            thread::spawn(move || out.map(read).unwrap_or_default()),
            thread::spawn(move || err.map(read).unwrap_or_default()),
        ]);
        Ok(asked)
    }

    /// As [`Virsh::ask`], where files that the answer is written to grow no longer than this, whatever the target sends.
    pub(super) fn ask_within(&self, arguments: &[&str], length: u64) -> Result<Asked> {
        let asked = self.ask(arguments)?;
        let limit = Rlimit {
            current: Some(length),
            maximum: Some(length),
        };
        // The command has yet to be loaded and to connect when this holds; one that has failed by then writes nothing.
        let _ = prlimit(Some(Pid::from_child(&asked.child)), Resource::Fsize, limit);
        Ok(asked)
    }

    /// A question whose answers come one by one.
    pub(super) fn listen(&self, arguments: &[&str]) -> Result<(Asked, ChildStdout)> {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut asked = self.start(command, arguments)?;
        let lost = || Error::new(Kind::Unreachable, &self.uri, "virsh was lost");
        let stdout = asked.child.stdout.take().ok_or_else(lost)?;
        Ok((asked, stdout))
    }

    /// A question by a terminal, which gets complaints as well.
    pub(super) fn attach(&self, arguments: &[&str], terminal: OwnedFd) -> Result<Asked> {
        let shared = || {
            terminal.try_clone().map_err(|error| {
                Error::new(Kind::Refused, &self.uri, "the terminal can't be shared").because(error)
            })
        };
        let mut command = self.command(arguments);
        command.stdout(shared()?).stderr(shared()?).stdin(terminal);
        self.start(command, arguments)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("virsh");
        command
            .args(["--quiet", "--connect", &self.uri])
            .args(arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            // A signal from the terminal is for whoever asked, who then says what becomes of the question.
            .process_group(0);
        command
    }

    fn start(&self, mut command: Command, arguments: &[&str]) -> Result<Asked> {
        let child = command.spawn().map_err(|error| {
            let reason = "virsh can't be run: libvirt's client tools (libvirt-clients) are needed";
            Error::new(Kind::Unreachable, &self.uri, reason).because(error)
        })?;
        Ok(Asked {
            child,
            verb: arguments.first().copied().unwrap_or_default().to_owned(),
            told: None,
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
                    let reason = format!("no answer within {} seconds", patience.as_secs());
                    return Err(Error::new(Kind::Timeout, &*self.verb, reason));
                }
                Ok(None) => thread::sleep(TICK),
                Err(error) => {
                    return Err(Error::new(Kind::Unreachable, &*self.verb, "virsh was lost").because(error));
                }
            }
        };
        let told = self
            .told
            .take()
            .map(|told| told.map(|told| told.join().unwrap_or_default()));
        let [answer, complaint] = told.unwrap_or_default();
        let complaint = String::from_utf8_lossy(&complaint);
        if status.success() {
            if answer.len() as u64 >= ANSWER_LIMIT {
                let reason = format!("the answer is longer than {ANSWER_LIMIT} bytes");
                return Err(Error::new(Kind::Answer, &*self.verb, reason));
            }
            return Ok(String::from_utf8_lossy(&answer).into_owned());
        }
        let lines = complaint.lines().filter_map(|line| line.strip_prefix("error: "));
        let lines: Vec<String> = lines
            .map(|line| line.chars().filter(|c| !c.is_control()).collect())
            .collect();
        let reason = match lines.is_empty() {
            true => format!("virsh left with {status}"),
            false => lines.join("; "),
        };
        Err(Error::new(kind(&reason), &*self.verb, reason))
    }
}

/// virsh tells no codes; its words have been the same for many years.
fn kind(complaint: &str) -> Kind {
    // Names stand between quotes, and may say anything.
    let words: Vec<&str> = complaint.split('\'').step_by(2).collect();
    let complaint = words.concat().to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| complaint.contains(word));
    if any(&[
        "failed to connect",
        "end of file while reading",
        "cannot recv",
        "broken pipe",
        "connection reset",
    ]) {
        Kind::Unreachable
    } else if any(&[
        "already exists",
        "exists already",
        "already in use",
        "already defined",
        "already active",
    ]) {
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
    fn numbers_and_uuids_are_no_names_of_machines() {
        for name in ["7", " 7", "+7", "8a8b7731-0902-4945-bced-da32cae0c030"] {
            assert_eq!(
                option("domain", name).unwrap_err().kind(),
                Kind::Invalid,
                "{name:?}"
            );
        }
        assert!(option("domain", "node 7").is_ok() && option("pool", "7").is_ok());
        assert!(option("domain", "bob's").is_ok() && new_option("domain", "bob's").is_err());
    }

    #[test]
    fn complaints_are_told_apart() {
        assert_eq!(kind("Failed to get domain 'x'"), Kind::Missing);
        let named = "storage volume 'broken pipe-system.raw' exists already";
        assert_eq!(kind(named), Kind::Taken);
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
