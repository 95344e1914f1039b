//! The consoles: what PID 1 and the service print, on the screen and on the serial line alike.
//!
//! Standard error becomes a pipe, and a thread copies it to every console that the kernel has. A console that takes
//! nothing, as a serial line without a reader, is given up on for the text at hand, and never holds anybody up.
//!
//! # Lines for programs
//! Each begins with `vcc: ` and a word; values hold no blanks unless quoted.
//!
//! | line | when |
//! |---|---|
//! | `boot version=V slot=a\|b\|- try=0\|1` | PID 1 has begun |
//! | `state device=D boots=N` | the state disk is mounted |
//! | `listening address=A fingerprint=F role=R` | the service answers |
//! | `ready address=A fingerprint=F uptime=S` | it can be reached at A, for each A, and no check fails |
//! | `degraded address=A fingerprint=F failed=C,C` | likewise, but the checks C fail |
//! | `set-up code=C` | the connector is not set up; a person who reads this sets it up |
//! | `check name=C status=S reason="R"` | a check came out otherwise than before |
//! | `clock stepped by=S source="N"` | the clock was set, by S seconds |
//! | `service exited cause=C restarts=N` | the service died and is started again |
//! | `network interface=I address=A` | the interface has this address, given or leased |
//! | `network interface=I lost=A` | it no longer has |
//! | `console action=A` | somebody did this in the menu: `set-network`, `forget-network`, `reset-administrator`, `factory-reset` |
//! | `power action=poweroff\|reboot\|halt` | the machine ends |
//! | `state unmounted` | the state disk is clean |

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pipe::{PipeFlags, pipe_with};

use super::journal::Journal;
use crate::check::{Check, Outcome};
use crate::log;
use crate::machine::{Beat, Machine};
use crate::role::Role;

/// How long a console may take nothing before the text at hand is dropped for it.
const PATIENCE: Timespec = Timespec {
    tv_sec: 2,
    tv_nsec: 0,
};
const WIDTH: usize = 78;

/// Turns standard error into the pipe to all consoles and to the log.
///
/// # Errors
/// What the system says; standard error then stays what the kernel made it, the last console of its command line.
pub fn start(journal: Option<Journal>) -> std::io::Result<()> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    // Writers drop what a full pipe does not take: nobody waits for a console.
    fcntl_setfl(&write, OFlags::NONBLOCK)?;
    let consoles = consoles();
    thread::Builder::new()
        .name("console".to_owned())
        .spawn(move || copy(&read, consoles, journal.as_ref()))?;
    rustix::stdio::dup2_stderr(&write)?;
    Ok(())
}

fn copy(from: &OwnedFd, mut consoles: Vec<File>, journal: Option<&Journal>) {
    let mut buffer = [0; log::LIMIT];
    loop {
        match rustix::io::read(from, &mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                if let Some(journal) = journal {
                    journal.tell(&buffer[..length]);
                }
                for console in &mut consoles {
                    put(console, &buffer[..length]);
                }
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Writes as much as the console takes.
pub(super) fn put(console: &mut File, mut text: &[u8]) {
    while !text.is_empty() {
        match console.write(text) {
            Ok(length) => text = &text[length.min(text.len())..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                let mut ready = [PollFd::new(console, PollFlags::OUT)];
                if !matches!(poll(&mut ready, Some(&PATIENCE)), Ok(1..)) {
                    return;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// The consoles that the kernel prints to, each once.
fn consoles() -> Vec<File> {
    let listed = names(&std::fs::read_to_string("/proc/consoles").unwrap_or_default());
    let mut found: Vec<_> = listed.iter().filter_map(|path| open(path).ok()).collect();
    if found.is_empty() {
        found.extend(open(Path::new("/dev/console")));
    }
    found
}

fn open(path: &Path) -> std::io::Result<File> {
    let flags = (OFlags::NOCTTY | OFlags::NONBLOCK).bits().cast_signed();
    OpenOptions::new().write(true).custom_flags(flags).open(path)
}

/// Name and device of every console that can be typed on.
pub(super) fn keyboards() -> Vec<(String, File)> {
    let listed = std::fs::read_to_string("/proc/consoles").unwrap_or_default();
    let found = names(&listed).into_iter().filter_map(|path| {
        let flags = (OFlags::NOCTTY | OFlags::NONBLOCK).bits().cast_signed();
        let mut options = OpenOptions::new();
        let device = options.read(true).write(true).custom_flags(flags).open(&path);
        Some((path.file_name()?.to_str()?.to_owned(), device.ok()?))
    });
    found.collect()
}

/// Their devices: the first word of each line of `/proc/consoles`.
fn names(listed: &str) -> Vec<PathBuf> {
    let names = listed
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().next());
    names.map(|name| Path::new("/dev").join(name)).collect()
}

/// What a person in front of the machine wants to know.
pub fn banner(machine: &Machine, role: Role, beat: &Beat, checks: &[Check]) -> String {
    let rule = "-".repeat(WIDTH);
    let mut text = format!("\n{rule}\n");
    let product = &machine.product;
    line(
        &mut text,
        "Product",
        &format!("{} {}", product.product, product.version),
    );
    line(&mut text, "Role", role.as_str());
    line(&mut text, "Name", machine.hostname.as_str());
    for (i, address) in machine.addresses.iter().enumerate() {
        let label = if i == 0 { "Address" } else { "" };
        line(&mut text, label, &url(*address));
    }
    if machine.addresses.is_empty() {
        line(&mut text, "Address", "none yet");
    }
    fingerprint(&mut text, beat);
    if let Some(code) = &beat.setup_code {
        line(&mut text, "Set-up code", code);
        let remedy = "Set the connector up with it: POST /api/v1/setup. Compare the certificate first.";
        line(&mut text, "", remedy);
    }
    if let Some(notice) = &beat.notice {
        line(&mut text, "Notice", notice);
    }
    for check in checks.iter().filter(|check| check.status != Outcome::Pass) {
        let mark = if check.status == Outcome::Fail {
            "FAILED"
        } else {
            "Warning"
        };
        line(&mut text, mark, &format!("{}: {}", check.name, check.reason));
        if !check.remedy.is_empty() {
            line(&mut text, "", &check.remedy);
        }
    }
    line(&mut text, "", "Press Enter for the menu.");
    text.push_str(&rule);
    text.push('\n');
    text
}

fn fingerprint(text: &mut String, beat: &Beat) {
    let note = if beat.ephemeral {
        " (SHA-256, until the next start)"
    } else {
        " (SHA-256)"
    };
    line(text, "Certificate", note.trim_start());
    // In two halves, so that a person can compare it on a screen of 80 columns.
    let (first, second) = beat
        .fingerprint
        .split_at_checked(beat.fingerprint.len().div_ceil(2))
        .unwrap_or((&beat.fingerprint, ""));
    line(text, "", first.trim_end_matches(':'));
    line(text, "", second.trim_start_matches(':'));
}

fn url(address: std::net::IpAddr) -> String {
    match address {
        std::net::IpAddr::V4(address) => format!("https://{address}/"),
        std::net::IpAddr::V6(address) => format!("https://[{address}]/"),
    }
}

/// A label and its text, wrapped between words, with control characters made harmless.
fn line(text: &mut String, label: &str, value: &str) {
    const INDENT: usize = 14;
    let clean: String = value
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    let mut label = label;
    let mut row = String::new();
    for word in clean.split_whitespace() {
        if !row.is_empty() && INDENT + row.chars().count() + 1 + word.chars().count() > WIDTH {
            end_row(text, std::mem::take(&mut label), &std::mem::take(&mut row));
        }
        if !row.is_empty() {
            row.push(' ');
        }
        row.push_str(word);
    }
    if !row.is_empty() {
        end_row(text, label, &row);
    }
}

fn end_row(text: &mut String, label: &str, row: &str) {
    let padded = format!("  {label:<11} {row}");
    text.push_str(padded.trim_end());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{NETWORK, STATE_DISK};

    fn example() -> (Machine, Beat, Vec<Check>) {
        let machine = Machine {
            addresses: vec!["192.0.2.5".parse().unwrap(), "2001:db8::5".parse().unwrap()],
            ..Machine::default()
        };
        let beat = Beat {
            fingerprint: (0..32).map(|i| format!("{i:02X}")).collect::<Vec<_>>().join(":"),
            ephemeral: false,
            setup_code: Some("0123-4567-89AB".to_owned()),
            notice: Some("In maintenance until ten".to_owned()),
            network_changes: 0,
            role_changes: 0,
            checks: Vec::new(),
        };
        let checks = vec![
            Check::pass(NETWORK, "192.0.2.5"),
            Check::fail(
                STATE_DISK,
                "there is no state disk; disks found: vda and many a word more",
                "Attach it.",
            ),
        ];
        (machine, beat, checks)
    }

    #[test]
    fn the_banner_says_where_and_what_is_wrong_within_a_screen() {
        let (machine, beat, checks) = example();
        let text = banner(&machine, Role::Node, &beat, &checks);
        for part in [
            "  Set-up code 0123-4567-89AB\n",
            "  Address     https://192.0.2.5/\n              https://[2001:db8::5]/\n",
            "              00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F\n              10:11:",
            "  Notice      In maintenance until ten\n",
            "  FAILED      state-disk: there is no state disk; disks found: vda and many a\n              word more\n",
            "              Attach it.\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("network"));
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
    }

    #[test]
    fn text_from_outside_moves_no_cursor() {
        let (mut machine, beat, _) = example();
        machine.product.product = "a\u{1b}[2J\nb".to_owned();
        assert!(banner(&machine, Role::Node, &beat, &[]).contains("a?[2J?b"));
    }

    #[test]
    fn the_kernels_list_gives_the_devices() {
        let listed = "tty0                 -WU (EC    )    4:1\nttyS0                -W- (E  p  )    4:64\n";
        assert_eq!(names(listed), [Path::new("/dev/tty0"), Path::new("/dev/ttyS0")]);
    }
}
