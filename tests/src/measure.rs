//! Time taken, on the wall's clock and on the processors, with medians: machines are shared.

use std::hint::black_box;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::artefacts;

/// Seconds.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub wall: f64,
    pub cpu: f64,
}

/// What work in this thread costs.
pub fn work<T>(work: impl FnOnce() -> T) -> Cost {
    let (start, cpu) = (Instant::now(), thread_cpu_seconds());
    black_box(work());
    Cost {
        wall: start.elapsed().as_secs_f64(),
        cpu: thread_cpu_seconds() - cpu,
    }
}

fn thread_cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// What one run of a shell command costs, its processes all together, from `times` runs in a row.
///
/// Bash tells the processor's time to a millisecond, where `/proc` counts hundredths. `$1` and so on are `arguments`.
pub fn command(script: &str, arguments: &[&str], times: u32) -> Cost {
    let repeated = format!("for _ in $(seq {times}); do {script}; done");
    let cost = command_with(&repeated, |bash| {
        bash.args(arguments);
    });
    Cost {
        wall: cost.wall / f64::from(times),
        cpu: cost.cpu / f64::from(times),
    }
}

/// What one run of a shell command costs, after `prepare` gave it arguments and environment.
pub fn command_with(script: &str, prepare: impl FnOnce(&mut Command)) -> Cost {
    let script =
        format!("set -eu -o pipefail; TIMEFORMAT='%R %U %S'; time {{ {script}\n}} 2>/dev/null >/dev/null");
    let mut bash = Command::new("bash");
    bash.args(["-c", &script, "bash"]);
    prepare(&mut bash);
    let output = artefacts::output(&mut bash);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{bash:?}\n{said}");
    let said: Vec<f64> = said
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect();
    Cost {
        wall: said[0],
        cpu: said[1] + said[2],
    }
}

/// How a process ended, and the most memory, in bytes, that it had resident. The command must become the process itself.
pub fn peak_memory(command: &mut Command) -> (ExitStatus, u64) {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (status, program) = ["status", "exe"]
        .map(|name| format!("/proc/{}/{name}", child.id()))
        .into();
    let own = std::env::current_exe().unwrap();
    let mut peak = 0;
    loop {
        let ended = child.try_wait().unwrap();
        // The system's own high-water mark: only what comes between the last look and the end is missed.
        // For an instant the child still has its parent's memory.
        let is_itself = std::fs::read_link(&program).is_ok_and(|program| program != own);
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let text = if is_itself { text } else { String::new() };
        let mark = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let mark = mark.and_then(|mark| mark.trim().strip_suffix(" kB"));
        peak = peak.max(mark.map_or(0, |mark| mark.trim().parse::<u64>().unwrap() << 10));
        if let Some(status) = ended {
            return (status, peak);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The median of each clock.
pub fn median(costs: &[Cost]) -> Cost {
    Cost {
        wall: middle(costs.iter().map(|cost| cost.wall).collect()),
        cpu: middle(costs.iter().map(|cost| cost.cpu).collect()),
    }
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What else the machine did: its cores and the load average over the last minute.
pub fn machine() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    let load = load.split(' ').next().unwrap();
    let cores = std::thread::available_parallelism().unwrap();
    format!("{cores} cores, load average {load} at the end")
}
