//! What machines use, from the statistics that libvirt keeps of those that run.

use std::time::{Duration, SystemTime};

use super::virsh::Virsh;
use crate::error::Result;
use crate::usage::Usage;

pub(super) fn read(virsh: &Virsh) -> Result<Vec<Usage>> {
    let identifiers = virsh.run(&["list", "--uuid", "--name"])?;
    let told = virsh.run(&[
        "domstats",
        "--list-running",
        "--cpu-total",
        "--balloon",
        "--block",
        "--interface",
    ])?;
    let mut samples = parse(&told, SystemTime::now());
    for sample in &mut samples {
        // One that was started or switched off between the two questions is in the next sample.
        let id = identifiers.lines().find_map(|line| {
            let (id, name) = line.trim_end().split_once(' ')?;
            (name == sample.name).then_some(id)
        });
        sample.id = id.unwrap_or_default().to_owned();
    }
    samples.retain(|sample| !sample.id.is_empty());
    Ok(samples)
}

/// Machines, each with lines of `name=number` that are indented; whatever is not known is passed over.
fn parse(text: &str, at: SystemTime) -> Vec<Usage> {
    let mut samples: Vec<Usage> = Vec::new();
    for line in text.lines() {
        let name = line
            .strip_prefix("Domain: '")
            .and_then(|rest| rest.strip_suffix('\''));
        if let Some(name) = name {
            samples.push(Usage {
                id: String::new(),
                name: name.to_owned(),
                at,
                cpu: Duration::ZERO,
                memory: 0,
                storage: 0,
                read: 0,
                written: 0,
                received: 0,
                sent: 0,
            });
            continue;
        }
        let (Some(sample), Some((key, value))) = (samples.last_mut(), line.trim().split_once('=')) else {
            continue;
        };
        let Ok(number) = value.parse::<u64>() else {
            continue;
        };
        count(sample, key, number);
    }
    samples
}

fn count(sample: &mut Usage, key: &str, number: u64) {
    let add = |sum: &mut u64, number: u64| *sum = sum.saturating_add(number);
    match key {
        "cpu.time" => sample.cpu = Duration::from_nanos(number),
        "balloon.rss" => sample.memory = number.saturating_mul(1 << 10),
        _ => match key
            .split_once('.')
            .and_then(|(kind, rest)| Some((kind, rest.split_once('.')?.1)))
        {
            Some(("block", "physical")) => add(&mut sample.storage, number),
            Some(("block", "rd.bytes")) => add(&mut sample.read, number),
            Some(("block", "wr.bytes")) => add(&mut sample.written, number),
            Some(("net", "rx.bytes")) => add(&mut sample.received, number),
            Some(("net", "tx.bytes")) => add(&mut sample.sent, number),
            _ => {}
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_added_up_over_disks_and_adapters() {
        let text = "Domain: 'it's'\n  cpu.time=2000000000\n  balloon.rss=4\n  net.0.name=vnet0\n  net.0.rx.bytes=5\n  \
                    net.1.rx.bytes=6\n  block.0.physical=7\n  block.1.physical=8\n  block.1.wr.bytes=x\n\nDomain: 'b'\n";
        let samples = parse(text, SystemTime::UNIX_EPOCH);
        let first = &samples[0];
        assert_eq!(
            (first.name.as_str(), first.cpu, first.memory),
            ("it's", Duration::from_secs(2), 4096)
        );
        assert_eq!((first.received, first.storage, first.written), (11, 15, 0));
        assert_eq!((samples.len(), samples[1].cpu), (2, Duration::ZERO));
    }
}
