//! Polls the sources and says what is to be done with the clock; doing it is the caller's.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::task::JoinSet;

use super::discipline::{Decision, decide, is_near};
use super::host::HostClock;
use super::packet::Sample;
use super::select::{Selection, select};
use super::source::Source;
use super::status::{MOST_MISSED, Measurement, Status};
use super::{Offset, Pace};
use crate::endpoint::Endpoint;
use crate::log;
use crate::resolver::Resolver;

/// An offset below which the next poll may wait longer.
const CALM: Offset = Offset::milliseconds(20);
/// Calm polls before it does.
const CALM_POLLS: u32 = 4;

/// The sources, and what is known by them.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) status: Status,
    sources: Vec<Source>,
    host: Option<HostClock>,
    resolver: Resolver,
    pace: Pace,
    interval: Duration,
    calm: u32,
}

/// What one poll gave.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) decision: Decision,
    /// How wrong the clock can be once that is done.
    pub(super) distance: time::Duration,
    /// Until the next.
    pub(super) wait: Duration,
}

impl Keeper {
    pub(super) fn new(resolver: Resolver, pace: Pace) -> Self {
        Self {
            status: Status::default(),
            sources: Vec::new(),
            host: None,
            resolver,
            pace,
            interval: pace.least,
            calm: 0,
        }
    }

    /// Asks these servers from now on. Tells whether they are others than before.
    pub(super) fn serve_by(&mut self, servers: Vec<Endpoint>) -> bool {
        if servers == self.status.servers {
            return false;
        }
        self.sources = servers.iter().cloned().map(Source::new).collect();
        self.status = Status {
            servers,
            last: self.status.last.take(),
            ..Status::default()
        };
        self.interval = self.pace.least;
        true
    }

    /// Asks all servers at once; the host's clock counts where none answers, and this machine's clock is its own.
    pub(super) async fn poll(&mut self, own_clock: bool) -> Round {
        let samples = self.samples().await;
        self.status.problem = None;
        self.status.missed = match samples.is_empty() {
            true => self.status.missed.saturating_add(1),
            false => 0,
        };
        let plain: Vec<_> = samples.iter().map(|(_, sample)| *sample).collect();
        let measured = match select(self.sources.len(), &plain) {
            Selection::Agreed { nearest, offset } => {
                let (source, sample) = &samples[nearest];
                Some((source.clone(), Sample { offset, ..*sample }))
            }
            Selection::Disagreement { agree, needed } => {
                self.status.problem = Some(format!(
                    "the time servers do not agree: {agree} do, {needed} would have to"
                ));
                None
            }
            Selection::Silence if own_clock => self.ask_host(),
            Selection::Silence => None,
        };
        match measured {
            Some((source, sample)) => self.take(source, sample, own_clock),
            None => self.go_without(),
        }
    }

    async fn samples(&mut self) -> Vec<(String, Sample)> {
        let mut polls = JoinSet::new();
        for (place, mut source) in self.sources.drain(..).enumerate() {
            let (resolver, pace) = (self.resolver.clone(), self.pace);
            polls.spawn(async move {
                let sample = source.poll(&resolver, pace).await;
                (place, source, sample)
            });
        }
        let mut polled = polls.join_all().await;
        polled.sort_by_key(|(place, ..)| *place);
        let mut samples = Vec::new();
        for (_, source, sample) in polled {
            samples.extend(sample.map(|sample| (source.endpoint.to_string(), sample)));
            self.sources.push(source);
        }
        samples
    }

    /// Drivers come late: it is looked for until it is there.
    fn ask_host(&mut self) -> Option<(String, Sample)> {
        self.host = self.host.take().or_else(HostClock::find);
        let host = self.host.as_ref()?;
        match host.measure() {
            Ok(sample) => Some((host.name.clone(), sample)),
            Err(error) => {
                log::warn(error.chain());
                None
            }
        }
    }

    fn take(&mut self, source: String, sample: Sample, own_clock: bool) -> Round {
        let decision = decide(sample.offset, own_clock);
        let (offset, at) = match decision {
            Decision::Step(by) => (Offset::ZERO, OffsetDateTime::now_utc().saturating_add(by)),
            Decision::Slew(_) | Decision::Leave => (sample.offset, OffsetDateTime::now_utc()),
        };
        self.status.holds = own_clock || is_near(sample.offset);
        self.status.last = Some(Measurement { offset, source, at });
        self.calm = match sample.offset.abs() < CALM {
            true => self.calm + 1,
            false => 0,
        };
        if self.calm == 0 {
            self.interval = self.pace.least;
        } else if self.calm.is_multiple_of(CALM_POLLS) {
            self.interval = (self.interval * 2).min(self.pace.most);
        }
        Round {
            decision,
            distance: sample.distance,
            wait: self.wait(),
        }
    }

    fn go_without(&mut self) -> Round {
        // A short silence does not make a clock wrong.
        self.status.holds &= self.status.missed < MOST_MISSED && self.status.problem.is_none();
        (self.interval, self.calm) = (self.pace.least, 0);
        Round {
            decision: Decision::Leave,
            distance: super::UNKNOWN,
            wait: self.wait(),
        }
    }

    /// Servers that are silent, as before the network is there, are asked again soon, whatever the host's clock says.
    fn wait(&self) -> Duration {
        match self.status.missed {
            0 => self.interval,
            _ if self.status.servers.is_empty() => self.interval,
            1..MOST_MISSED => self.pace.retry,
            _ => self.pace.least,
        }
    }
}

#[cfg(test)]
mod tests;
