//! Forwarding the log to a syslog server (RFC 5424), over UDP (RFC 5426) or TCP (RFC 6587, octet counting).
//!
//! ```text
//! lines of this process, and of PID 1 in an appliance ─► a queue of 512 ─┐
//!                                                                        ├─► message ─► the server
//! the audit log in the database ─► trail ────────────────────────────────┘
//! ```
//!
//! Entries of the audit log wait in the database until they are sent. For lines nobody waits: where the server takes less than there is to tell the oldest are dropped, counted, and
//! their number is sent. A message that could not be sent is sent again by the next connection.

mod collector;
mod forwarding;
mod link;
mod message;
mod trail;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

pub use collector::Collector;
pub use forwarding::{Forwarding, Status};

use crate::clock::Clock;
use crate::configuration::Settings;
use crate::error::{Error, Kind, Result};
use crate::hostname::Hostname;
use crate::log::{self, Line};
use crate::service::Context;
use link::Link;
use message::message;
use trail::Trail;

/// Between two looks at where messages are to go.
const LOOK: Duration = Duration::from_secs(5);
/// The pause after a failure, doubled with every one up to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// Between two lines of our own about how forwarding goes.
const QUIET: Duration = Duration::from_secs(60);
/// How long a server's address is good.
const ADDRESS: Duration = Duration::from_secs(300);

struct Forwarder<'a> {
    context: &'a Context,
    lines: Receiver<Line>,
    /// The audit log.
    trail: Option<Trail<'a>>,
    settings: watch::Receiver<Settings>,
    /// The message that is to be sent next.
    next: Option<Line>,
    /// Nothing was forwarded before: what is not there any more nobody misses.
    is_first: bool,
    told: String,
    told_at: Option<Instant>,
}

/// Forwards what is told from now on, for as long as the service runs.
pub fn start(context: Arc<Context>) -> impl Future<Output = ()> {
    let lines = log::follow();
    async move {
        let unset = watch::Sender::<Settings>::default();
        let settings = context.ground().map_or(&unset, |ground| &ground.settings);
        let forwarder = Forwarder {
            settings: settings.subscribe(),
            trail: Trail::of(&context),
            context: &context,
            lines,
            next: None,
            is_first: true,
            told: String::new(),
            told_at: None,
        };
        forwarder.run().await;
    }
}

impl Forwarder<'_> {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let wanted = self.wanted();
            let forwarding = self.context.forwarding();
            forwarding.change(|status| status.collector.clone_from(&wanted));
            let Some(collector) = wanted else {
                forwarding.change(|status| status.trouble = None);
                (self.is_first, pause) = (true, FIRST_PAUSE);
                self.told.clear();
                self.told_at = None;
                self.pause(LOOK).await;
                continue;
            };
            let before = forwarding.status().sent;
            match self.forward(&collector).await {
                Ok(()) => pause = FIRST_PAUSE,
                Err(error) => {
                    let trouble = error.chain().to_string();
                    forwarding.change(|status| status.trouble = Some(trouble.clone()));
                    if forwarding.status().sent > before {
                        pause = FIRST_PAUSE;
                    }
                    self.tell(format!("warning: syslog: {trouble}"));
                    self.pause(pause).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
    }

    /// Where messages are to go: as the settings say, or the property.
    fn wanted(&mut self) -> Option<Collector> {
        let set = self.settings.borrow_and_update().syslog_server();
        set.unwrap_or_else(|| self.context.machine().syslog)
    }

    /// Forwards until another server is wanted, or this one's address may be another.
    async fn forward(&mut self, to: &Collector) -> Result<()> {
        let failed =
            |error| Error::new(Kind::Unreachable, to.to_string(), "the connection is lost").because(error);
        let mut link = Link::open(to, &self.context.resolver()).await?;
        self.context.forwarding().change(|status| status.trouble = None);
        self.tell(format!("syslog server={to}"));
        let hostname = self.context.machine().hostname;
        let good_until = Instant::now() + ADDRESS;
        let mut look_at = Instant::now() + LOOK;
        if let Some(trail) = &mut self.trail {
            trail.opened();
        }
        self.send_trail(&mut link, &hostname).await.map_err(failed)?;
        loop {
            if let Some(line) = &self.next {
                link.send(&message(line, &hostname)).await.map_err(failed)?;
                self.next = None;
                self.context.forwarding().change(|status| status.sent += 1);
            }
            let is_due = tokio::select! {
                line = self.lines.recv() => {
                    self.next = self.taken(line);
                    false
                }
                error = link.closed() => return Err(failed(error)),
                () = sleep_until(look_at) => true,
                changed = self.settings.changed() => {
                    // Whoever could change them is gone, and so is this soon.
                    changed.map_err(|_| Error::new(Kind::Changed, "syslog", "the service ends"))?;
                    true
                }
            };
            if is_due {
                look_at = Instant::now() + LOOK;
                self.tell(format!("syslog server={to}"));
                let is_old = matches!(link, Link::Udp(_)) && Instant::now() >= good_until;
                if self.wanted().as_ref() != Some(to) {
                    self.told.clear();
                    return Ok(());
                }
                if is_old {
                    return Ok(());
                }
                self.send_trail(&mut link, &hostname).await.map_err(failed)?;
            }
        }
    }

    /// Sends what there is of the audit log.
    async fn send_trail(&mut self, link: &mut Link, hostname: &Hostname) -> io::Result<()> {
        let Some(trail) = &mut self.trail else {
            return Ok(());
        };
        // A database that fails is told of by whoever looks after it.
        while let Ok(messages) = trail.next(hostname).await
            && !messages.is_empty()
        {
            for message in messages {
                link.send(&message.bytes).await?;
                trail.sent(&message);
                self.context.forwarding().change(|status| status.sent += 1);
            }
        }
        Ok(())
    }

    fn taken(&mut self, line: Result<Line, RecvError>) -> Option<Line> {
        let is_first = std::mem::take(&mut self.is_first);
        match line {
            Ok(line) => Some(line),
            Err(RecvError::Lagged(dropped)) if !is_first => {
                self.context
                    .forwarding()
                    .change(|status| status.dropped += dropped);
                Some(Line {
                    at: Clock::System.now(),
                    text: format!("vcc: warning: {dropped} messages are dropped").into(),
                })
            }
            Err(_) => None,
        }
    }

    /// Tells what is new, unless something else was told just before: a collector that comes and goes fills no log.
    fn tell(&mut self, news: String) {
        let is_quiet = self.told_at.is_none_or(|at| at.elapsed() >= QUIET);
        if self.told != news && (is_quiet || self.told.is_empty()) {
            self.told_at = Some(Instant::now());
            match news.strip_prefix("warning: ") {
                Some(trouble) => log::warn(trouble),
                None => log::info(&news),
            }
            self.told = news;
        }
    }

    async fn pause(&mut self, wait: Duration) {
        tokio::select! {
            () = sleep(wait) => {}
            Ok(()) = self.settings.changed() => {}
        }
    }
}
