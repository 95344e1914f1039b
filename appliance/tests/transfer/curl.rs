//! curl, as anybody has it.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::process::{Command, Stdio};

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: u16,
    /// Bytes of bodies that were sent.
    pub(crate) sent: u64,
    pub(crate) body: String,
    /// What went over the wire but bodies.
    pub(crate) wire: String,
    pub(crate) code: Option<i32>,
}

/// Runs it with these arguments; what it writes to its output is at most a line or two.
pub(crate) fn curl(arguments: &[&str]) -> Run {
    let output = Command::new("curl")
        .args(["--insecure", "--silent", "--verbose", "--noproxy", "*"])
        .args(["--write-out", "\n%{http_code} %{size_upload}"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, told) = text.rsplit_once('\n').unwrap();
    let (status, sent) = told.split_once(' ').unwrap();
    Run {
        status: status.parse().unwrap(),
        sent: sent.parse().unwrap(),
        body: body.to_owned(),
        wire: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code(),
    }
}
