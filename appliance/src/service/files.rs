//! How many files the process may have open: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More are never wanted.
const MOST: u64 = 8192;
/// What is open beside connections: the database, logs, the connector's own requests.
const OTHERS: u64 = 64;

/// Raises what is allowed as far as it can be raised, and gives the number of connections, of those wanted, for which it is enough.
pub(super) fn room_for(connections: usize) -> usize {
    let allowed = getrlimit(Resource::Nofile);
    let wanted = allowed.maximum.map_or(MOST, |most| most.min(MOST));
    let current = allowed.current.unwrap_or(u64::MAX);
    let raised = Rlimit {
        current: Some(wanted),
        ..allowed
    };
    let room = match current < wanted && setrlimit(Resource::Nofile, raised).is_ok() {
        true => wanted,
        false => current,
    };
    let room = usize::try_from(room.saturating_sub(OTHERS)).unwrap_or(usize::MAX);
    room.clamp(1, connections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_raised_and_connections_stay_below_it() {
        let before = getrlimit(Resource::Nofile);
        let fewer = Rlimit {
            current: Some(256),
            ..before
        };
        setrlimit(Resource::Nofile, fewer).unwrap();
        assert_eq!(room_for(100), 100);
        let after = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        assert!(after >= before.maximum.unwrap_or(u64::MAX).min(MOST));
        let room = room_for(usize::MAX) as u64;
        assert!(room + OTHERS <= after, "{room} of {after}");
    }
}
