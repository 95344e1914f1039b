//! rsyslogd as the collector that others run.

use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::counterpart;

/// A collector on the loopback interface, over TCP and UDP at one port; dropped, it ends.
pub struct Rsyslog {
    child: Child,
    folder: tempfile::TempDir,
    pub port: u16,
}

impl Rsyslog {
    /// None where there is no rsyslogd.
    pub fn start() -> Option<Self> {
        let mut command = counterpart::find("rsyslogd")?;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let port = {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let rules = format!(
            "global(workDirectory=\"{}\")\n\
             module(load=\"imtcp\")\n\
             module(load=\"imudp\")\n\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")\n\
             input(type=\"imudp\" address=\"127.0.0.1\" port=\"{port}\")\n\
             template(name=\"told\" type=\"string\" string=\"%hostname% %app-name% %syslogseverity-text% %msg%\\n\")\n\
             action(type=\"omfile\" file=\"{}\" template=\"told\")\n",
            folder.path().display(),
            path("told"),
        );
        std::fs::write(path("conf"), rules).unwrap();
        let child = command
            .args(["-n", "-f", &path("conf"), "-i", &path("pid")])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let own = Self { child, folder, port };
        let end = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "rsyslogd doesn't listen");
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(own)
    }

    /// What it was told, a line each: host, program, severity, message.
    pub fn told(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("told")).unwrap_or_default()
    }

    /// Waits for words in one line of what it was told.
    pub fn wait_for(&self, words: &[&str], patience: Duration) {
        let end = Instant::now() + patience;
        loop {
            let told = self.told();
            let has_all = |line: &str| words.iter().all(|word| line.contains(word));
            if told.lines().any(has_all) {
                return;
            }
            assert!(Instant::now() < end, "no line with {words:?} in\n{told}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
