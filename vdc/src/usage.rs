//! What machines use.

use std::time::{Duration, SystemTime};

/// What a machine has used by a moment. Counters begin anew when it is switched on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The manager's own id of the machine.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The moment.
    pub at: SystemTime,
    /// Time of processors.
    pub cpu: Duration,
    /// Bytes of memory that it takes.
    pub memory: u64,
    /// Bytes that its disks take where they are kept.
    pub storage: u64,
    /// Bytes read from disks.
    pub read: u64,
    /// Bytes written to disks.
    pub written: u64,
    /// Bytes received from networks.
    pub received: u64,
    /// Bytes sent to networks.
    pub sent: u64,
}

impl Usage {
    /// What was used since an earlier moment: counters become differences, memory and storage stay what they are now. Of a
    /// machine that was switched on in between, it is what it has used since.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let counters = |usage: &Self| [usage.read, usage.written, usage.received, usage.sent];
        let before = counters(earlier);
        let began_anew = self.id != earlier.id
            || self.cpu < earlier.cpu
            || counters(self)
                .iter()
                .zip(&before)
                .any(|(now, before)| now < before);
        if began_anew {
            return self.clone();
        }
        Self {
            cpu: self.cpu - earlier.cpu,
            read: self.read - earlier.read,
            written: self.written - earlier.written,
            received: self.received - earlier.received,
            sent: self.sent - earlier.sent,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_of_an_interval_is_a_difference_unless_the_machine_began_anew() {
        let at = |cpu, read| Usage {
            id: "1".to_owned(),
            name: "node".to_owned(),
            at: SystemTime::UNIX_EPOCH,
            cpu: Duration::from_secs(cpu),
            memory: 7,
            storage: 9,
            read,
            written: 0,
            received: 0,
            sent: 0,
        };
        let used = at(5, 30).since(&at(3, 10));
        assert_eq!(
            (used.cpu, used.read, used.memory),
            (Duration::from_secs(2), 20, 7)
        );
        assert_eq!(at(5, 3).since(&at(3, 10)), at(5, 3));
    }
}
