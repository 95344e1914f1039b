//! The log that outlasts the machine's start: what PID 1 and the service print, kept in `logs` on the state disk.
//!
//! ```text
//! pipe of all consoles ─┬► backlog in memory ─► STATE/logs/vcc.log, vcc.log.1 .. vcc.log.7, a mebibyte each
//!                       └► backlog in memory ─► pipe to the service, which may forward it
//! ```
//!
//! Each line begins with the time in UTC. It goes to the disk at once and is made durable within seconds. Nobody waits for any
//! of it: a disk that is not there yet, full, read-only or stuck costs the oldest lines, whose number is told by the next.

mod backlog;
mod files;
mod lines;

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::log::LIMIT;
use backlog::Backlog;
use files::Files;
use lines::Lines;

/// Pieces of at most [`crate::log::LIMIT`] bytes that wait for the thread.
const QUEUE: usize = 64;
/// Bytes that wait for the disk.
const BACKLOG: usize = 256 << 10;
/// Bytes that wait for the service.
const UNHEARD: usize = 64 << 10;
/// Until a service that reads too slowly is told more.
const AGAIN: Duration = Duration::from_secs(1);
/// How long lines may be in the kernel's hands alone.
const SYNC: Duration = Duration::from_secs(3);
/// Between two tries to write to a disk that doesn't take it.
const RETRY: Duration = Duration::from_secs(10);
/// How long the way down waits for the last lines.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the log is given to.
#[derive(Debug, Clone)]
pub struct Journal {
    news: SyncSender<News>,
    /// Lines that found the queue full.
    lost: Arc<AtomicU64>,
}

enum News {
    Text(Vec<u8>),
    Mounted(PathBuf),
    /// A pipe that doesn't block, in the place of the one before.
    Follower(OwnedFd),
    /// The last that comes; its sender is dropped when the files are closed.
    Close(SyncSender<()>),
}

impl Journal {
    /// Starts the thread that keeps it.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(clock: Clock) -> std::io::Result<Self> {
        let (sender, news) = sync_channel(QUEUE);
        let lost = Arc::<AtomicU64>::default();
        let keeper = Keeper {
            clock,
            lines: Lines::default(),
            backlog: Backlog::new(BACKLOG),
            follower: None,
            unheard: Backlog::new(UNHEARD),
            tell_at: None,
            lost: Arc::clone(&lost),
            files: None,
            sync_at: None,
            retry_at: None,
        };
        thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || keeper.run(&news))?;
        Ok(Self { news: sender, lost })
    }

    /// Takes a piece of what is printed.
    pub fn tell(&self, text: &[u8]) {
        if self.news.try_send(News::Text(text.to_vec())).is_err() {
            let lines = text.iter().filter(|&&byte| byte == b'\n').count();
            self.lost.fetch_add(lines as u64, Ordering::Relaxed);
        }
    }

    /// The state disk is there.
    pub fn mounted(&self, state: &Path) {
        // Before this the thread waits for no disk.
        let _ = self.news.send(News::Mounted(state.to_owned()));
    }

    /// Gives what is printed from now on, and what no follower heard before, to the reader of a pipe that doesn't block.
    pub fn follow(&self, pipe: OwnedFd) {
        // A thread that waits for a disk has no room: the next start of the service tries again.
        let _ = self.news.try_send(News::Follower(pipe));
    }

    /// Writes what there is and closes the files, so that the disk can be unmounted; gives up on one that is stuck.
    pub fn close(&self) {
        let until = Instant::now() + PATIENCE;
        let (closed, wait) = sync_channel(0);
        let mut news = News::Close(closed);
        while let Err(TrySendError::Full(back)) = self.news.try_send(news) {
            if Instant::now() >= until {
                return;
            }
            news = back;
            thread::sleep(Duration::from_millis(10));
        }
        let _ = wait.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

struct Keeper {
    clock: Clock,
    lines: Lines,
    backlog: Backlog,
    lost: Arc<AtomicU64>,
    files: Option<Files>,
    /// When what was written is made durable.
    sync_at: Option<Instant>,
    /// When the disk is tried again.
    retry_at: Option<Instant>,
    follower: Option<File>,
    /// What no follower has heard.
    unheard: Backlog,
    /// When the follower is told the rest.
    tell_at: Option<Instant>,
}

impl Keeper {
    fn run(mut self, news: &Receiver<News>) {
        loop {
            let times = [self.sync_at, self.retry_at, self.tell_at];
            let due = times.into_iter().flatten().min();
            let wait = due.map_or(Duration::from_secs(3600), |due| {
                due.saturating_duration_since(Instant::now())
            });
            match news.recv_timeout(wait) {
                Ok(News::Text(text)) => self.take(&text),
                Ok(News::Mounted(state)) => self.files = Some(Files::of(&state)),
                Ok(News::Follower(pipe)) => self.follower = Some(File::from(pipe)),
                Ok(News::Close(_closed)) => {
                    self.retry_at = None;
                    self.write();
                    self.sync();
                    self.files = None;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = Instant::now();
            if self.retry_at.is_some_and(|at| now >= at) {
                self.retry_at = None;
            }
            self.tell();
            self.write();
            if self.sync_at.is_some_and(|at| now >= at) {
                self.sync();
            }
        }
    }

    fn take(&mut self, text: &[u8]) {
        let now = self.clock.now();
        for line in self.lines.take(text) {
            let line = format!("{now} {line}\n");
            self.unheard.push(line.clone());
            self.backlog.push(line);
        }
    }

    /// Tells the follower what it takes.
    fn tell(&mut self) {
        self.tell_at = None;
        while let (Some(follower), Some(line)) = (&mut self.follower, self.unheard.next(self.clock.now())) {
            // A pipe takes so much whole or not at all.
            let mut piece = line.trim_end().to_owned();
            piece.truncate(piece.floor_char_boundary(LIMIT - 1));
            piece.push('\n');
            match follower.write(piece.as_bytes()) {
                Ok(_) => self.unheard.done(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.tell_at = Some(Instant::now() + AGAIN);
                    return;
                }
                // It has died. The next one hears it.
                Err(_) => self.follower = None,
            }
        }
    }

    fn write(&mut self) {
        self.backlog.lose(self.lost.swap(0, Ordering::Relaxed));
        let Some(files) = self.files.as_mut().filter(|_| self.retry_at.is_none()) else {
            return;
        };
        while let Some(line) = self.backlog.next(self.clock.now()) {
            if files.append(&line).is_err() {
                // To say so would be a line more. `/readyz` tells what is wrong with the disk.
                self.retry_at = Some(Instant::now() + RETRY);
                return;
            }
            self.sync_at = self.sync_at.or(Some(Instant::now() + SYNC));
            self.backlog.done();
        }
    }

    fn sync(&mut self) {
        self.sync_at = None;
        if let Some(files) = &self.files {
            files.sync();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;

    fn kept(state: &Path) -> String {
        std::fs::read_to_string(state.join("logs/vcc.log")).unwrap_or_default()
    }

    #[test]
    fn lines_from_before_the_disk_are_kept_and_the_files_are_closed_for_the_way_down() {
        let state = tempfile::tempdir().unwrap();
        let journal = Journal::start(Clock::standing(Moment(1_764_000_000_000))).unwrap();
        journal.tell(b"vcc: boot version=1\nvcc: dri");
        journal.tell(b"vers modules=7\n");
        journal.mounted(state.path());
        journal.tell(b"vcc: state device=vdb boots=1\n");
        journal.close();
        let text = kept(state.path());
        let lines: Vec<_> = text.lines().map(|line| line.split_once(' ').unwrap()).collect();
        let told: Vec<_> = lines.iter().map(|(_, line)| *line).collect();
        assert_eq!(
            told,
            [
                "vcc: boot version=1",
                "vcc: drivers modules=7",
                "vcc: state device=vdb boots=1"
            ]
        );
        assert!(
            lines
                .iter()
                .all(|(at, _)| at.starts_with("2025-11-24T16:00:00") && at.ends_with('Z')),
            "{text}"
        );
        journal.tell(b"vcc: state unmounted\n");
        journal.close();
        assert_eq!(kept(state.path()), text);
    }

    #[test]
    fn who_follows_hears_what_was_told_before_and_the_next_one_what_that_missed() {
        use rustix::pipe::{PipeFlags, pipe_with};
        use std::io::{BufRead as _, BufReader};

        let journal = Journal::start(Clock::standing(Moment(0))).unwrap();
        journal.tell(b"vcc: one\n");
        for words in [&["one", "two"][..], &["three", "four"]] {
            let (read, write) = pipe_with(PipeFlags::NONBLOCK).unwrap();
            journal.follow(write);
            journal.tell(format!("vcc: {}\n", words[1]).as_bytes());
            rustix::fs::fcntl_setfl(&read, rustix::fs::OFlags::empty()).unwrap();
            let mut lines = BufReader::new(File::from(read)).lines();
            for word in words {
                assert_eq!(
                    lines.next().unwrap().unwrap(),
                    format!("1970-01-01T00:00:00Z vcc: {word}")
                );
            }
            // Without its reader.
            drop(lines);
            journal.tell(b"vcc: three\n");
        }
    }

    #[test]
    fn a_disk_that_takes_nothing_stops_nobody_and_what_is_lost_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        // A file where the folder ought to be: every write fails.
        std::fs::write(&state, "").unwrap();
        let journal = Journal::start(Clock::standing(Moment(0))).unwrap();
        journal.mounted(&state);
        let mut line = vec![b'x'; 1000];
        line.push(b'\n');
        for _ in 0..2000 {
            journal.tell(&line);
        }
        std::fs::remove_file(&state).unwrap();
        std::fs::create_dir(&state).unwrap();
        journal.close();
        let text = kept(&state);
        let first = text.lines().next().unwrap();
        let lost: usize = first.split(' ').nth(3).unwrap().parse().unwrap();
        assert_eq!(lost + text.lines().count() - 1, 2000, "{first}");
    }
}
