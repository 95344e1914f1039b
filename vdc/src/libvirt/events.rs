//! Events, from a command that tells them as they come.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use super::virsh::{Asked, Virsh, option};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, EventKind, Events};

/// A line longer than this is no event.
const LINE_LIMIT: u64 = 4 << 10;
/// Events that wait for somebody to ask.
const WAITING_LIMIT: usize = 1024;

/// A command that runs until this is dropped.
pub(super) struct Listening {
    uri: String,
    _asked: Asked,
    events: Receiver<Event>,
}

impl Listening {
    pub(super) fn start(virsh: &Virsh) -> Result<Self> {
        let question = ["event", "--event", "lifecycle", "--loop", "--timestamp"];
        let (asked, stdout) = virsh.listen(&question)?;
        let mut identifiers = Identifiers::of(virsh)?;
        let (tell, events) = sync_channel(WAITING_LIMIT);
        thread::spawn(move || {
            let mut from = BufReader::new(stdout);
            let mut line = Vec::new();
            // Until nobody tells any more.
            while matches!(from.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line), Ok(length) if length > 0)
            {
                let event = parse(&String::from_utf8_lossy(&line));
                line.clear();
                let Some(mut event) = event else { continue };
                event.id = identifiers.of_event(&event);
                if tell.send(event).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            uri: virsh.uri().to_owned(),
            _asked: asked,
            events,
        })
    }
}

impl Events for Listening {
    fn next(&mut self, patience: Duration) -> Result<Option<Event>> {
        match self.events.recv_timeout(patience) {
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                let reason = "the target tells no more events";
                Err(Error::new(Kind::Unreachable, &self.uri, reason))
            }
        }
    }
}

/// Identifiers by name. They are asked for as events come: of a machine that is gone nobody can ask.
struct Identifiers {
    virsh: Virsh,
    known: HashMap<String, String>,
}

impl Identifiers {
    fn of(virsh: &Virsh) -> Result<Self> {
        let all = virsh.run(&["list", "--all", "--uuid", "--name"])?;
        let known = all
            .lines()
            .filter_map(|line| line.trim_end().split_once(' '))
            .map(|(id, name)| (name.to_owned(), id.to_owned()));
        Ok(Self {
            virsh: virsh.clone(),
            known: known.collect(),
        })
    }

    fn of_event(&mut self, event: &Event) -> Option<String> {
        match event.kind {
            EventKind::Undefined => return self.known.remove(&event.name),
            // Under a name that is known there may be another machine by now.
            EventKind::Defined | EventKind::Started => {}
            _ if self.known.contains_key(&event.name) => return self.known.get(&event.name).cloned(),
            _ => {}
        }
        let asked = option("domain", &event.name).and_then(|domain| self.virsh.run(&["domuuid", &domain]));
        if let Ok(id) = asked {
            self.known.insert(event.name.clone(), id.trim().to_owned());
        }
        self.known.get(&event.name).cloned()
    }
}

/// `TIME: event 'lifecycle' for domain 'NAME': What Why`. A name may hold anything but a line's end; what follows it holds no
/// quotes.
fn parse(line: &str) -> Option<Event> {
    let (at, rest) = line.trim_end().split_once(": event 'lifecycle' for domain '")?;
    let (name, what) = rest.rsplit_once("': ")?;
    let (word, detail) = what.split_once(' ').unwrap_or((what, ""));
    Some(Event {
        at: at.to_owned(),
        name: name.to_owned(),
        id: None,
        kind: match word {
            "Defined" => EventKind::Defined,
            "Undefined" => EventKind::Undefined,
            "Started" => EventKind::Started,
            "Suspended" => EventKind::Suspended,
            "Resumed" => EventKind::Resumed,
            "Stopped" => EventKind::Stopped,
            "Shutdown" => EventKind::Shutdown,
            "Crashed" => EventKind::Crashed,
            _ => EventKind::Other,
        },
        detail: detail.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_whatever_its_machine_is_called() {
        let line =
            "2026-01-02 03:04:05.678+0000: event 'lifecycle' for domain 'a': Started ': Stopped Destroyed\n";
        let event = parse(line).unwrap();
        assert_eq!(
            (event.name.as_str(), event.kind, event.detail.as_str()),
            ("a': Started ", EventKind::Stopped, "Destroyed")
        );
        assert_eq!(event.at, "2026-01-02 03:04:05.678+0000");
        assert_eq!(parse("events received: 1"), None);
        assert_eq!(
            parse("x: event 'lifecycle' for domain 'a': New Thing")
                .unwrap()
                .kind,
            EventKind::Other
        );
    }
}
