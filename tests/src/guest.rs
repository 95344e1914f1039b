//! The appliance, running in QEMU through `ova run`.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use packer::machine::Monitor;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::artefacts;
use crate::plug::Plug;
use crate::web::{self, Answer};

/// Emulated machines on shared cores: a boot takes 20 to 60 seconds, now and then far more.
const PATIENCE: Duration = Duration::from_secs(300);

/// A running guest; it is killed when this is dropped.
pub struct Guest {
    run: Child,
    folder: TempDir,
    port: u16,
    /// QEMU's process.
    pub pid: u32,
}

impl Guest {
    /// Starts the package that `make` built, with more arguments for `ova run`.
    pub fn start<S: AsRef<OsStr>>(arguments: &[S]) -> Self {
        Self::start_package(&artefacts::package(), arguments)
    }

    /// Starts a package, with more arguments for `ova run`.
    pub fn start_package<S: AsRef<OsStr>>(package: &Path, arguments: &[S]) -> Self {
        Self::start_by(artefacts::ova(), package, arguments)
    }

    /// Starts the package that `make` built, its first adapter where the plug says, and the one with the forwarded port after that.
    pub fn start_on<S: AsRef<OsStr>>(plug: &Plug, arguments: &[S]) -> Self {
        let mut ova = artefacts::ova();
        ova.env("PATH", plug.path());
        Self::start_by(ova, &artefacts::package(), arguments)
    }

    fn start_by<S: AsRef<OsStr>>(mut ova: Command, package: &Path, arguments: &[S]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = web::free_port();
        let mut run = ova
            .args([
                "--json",
                "run",
                "--accel",
                "tcg",
                "--forward",
                &format!("{port}:443"),
                "--console",
            ])
            .arg(folder.path().join("console"))
            .arg("--monitor")
            .arg(folder.path().join("qmp"))
            .args(arguments)
            .arg(package)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(run.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let started: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            // An error takes more lines than this.
            stdout.read_to_string(&mut line).unwrap();
            panic!("the machine was not started: {line}")
        });
        let pid = u32::try_from(started["pid"].as_u64().unwrap()).unwrap();
        Self {
            run,
            folder,
            port,
            pid,
        }
    }

    /// Waits until the service answers `/healthz` with 200.
    pub fn wait_healthy(&self) {
        self.wait_for("/healthz", |answer| answer.status == 200);
    }

    /// Waits until an answer is as wanted, and returns it.
    pub fn wait_for(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let end = Instant::now() + PATIENCE;
        let mut last = None;
        while Instant::now() < end {
            last = self.try_get(path);
            match last {
                Some(answer) if wanted(&answer) => return answer,
                _ => std::thread::sleep(Duration::from_millis(300)),
            }
            assert!(self.is_running(), "QEMU is gone\n{}", self.console());
        }
        panic!(
            "{path} was not answered as wanted; last: {last:?}\n{}",
            self.console()
        );
    }

    /// Asks the service, which must answer.
    pub fn get(&self, path: &str) -> Answer {
        self.try_get(path)
            .unwrap_or_else(|| panic!("{path}: no answer\n{}", self.console()))
    }

    /// Asks the service, which may not answer yet.
    pub fn try_get(&self, path: &str) -> Option<Answer> {
        web::get(&self.origin(), path)
    }

    /// Where the service is reached from here.
    pub fn origin(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// What the guest printed on its serial line so far.
    pub fn console(&self) -> String {
        let bytes = std::fs::read(self.folder.path().join("console")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until the console shows `text` at least `times` times.
    pub fn wait_console(&self, text: &str, times: usize) {
        let end = Instant::now() + PATIENCE;
        while self.console().matches(text).count() < times {
            assert!(
                self.is_running() && Instant::now() < end,
                "'{text}' was not printed {times} times:\n{}",
                self.console()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn is_running(&self) -> bool {
        Path::new(&format!("/proc/{}", self.pid)).exists()
    }

    /// The fingerprint of the certificate that the service shows, by openssl.
    pub fn fingerprint(&self) -> String {
        web::fingerprint(self.port)
    }

    /// The code that the console shows to whoever sets it up, as soon as it can be reached.
    pub fn setup_code(&self) -> String {
        const CODE: &str = "vcc: set-up code=";
        self.wait_console(CODE, 1);
        self.wait_console("vcc: ready", 1);
        let console = self.console();
        let code = console.split(CODE).nth(1).unwrap();
        code.split_whitespace().next().unwrap().to_owned()
    }

    /// QEMU's monitor; one connection at a time.
    pub fn monitor(&self) -> Monitor {
        Monitor::connect(&self.folder.path().join("qmp"), Duration::from_secs(60)).unwrap()
    }

    /// A keyboard at the serial line from now on; what is printed is still in [`Guest::console`].
    pub fn keyboard(&self) -> UnixStream {
        let path = self.folder.path().join("serial");
        let backend = json!({ "type": "socket", "data": {
            "addr": { "type": "unix", "data": { "path": path } },
            "server": true, "wait": false,
        } });
        let change = json!({ "id": "console", "backend": backend });
        self.monitor().execute("chardev-change", &change).unwrap();
        let keyboard = UnixStream::connect(path).unwrap();
        // QEMU's own log has a byte twice where the socket was full.
        let mut printed = keyboard.try_clone().unwrap();
        let console = self.folder.path().join("console");
        let mut console = std::fs::File::options().append(true).open(console).unwrap();
        std::thread::spawn(move || std::io::copy(&mut printed, &mut console));
        keyboard
    }

    /// Waits for one of QEMU's events, such as `WATCHDOG`, from now on.
    pub fn wait_event(&self, name: &str) -> Value {
        let stream = UnixStream::connect(self.folder.path().join("qmp")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        (&stream)
            .write_all(b"{\"execute\":\"qmp_capabilities\"}\n")
            .unwrap();
        for line in BufReader::new(stream).lines() {
            let line = line.unwrap_or_else(|error| panic!("no event {name}: {error}\n{}", self.console()));
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["event"] == name {
                return message["data"].clone();
            }
        }
        panic!("the monitor closed before the event {name}\n{}", self.console());
    }

    /// Presses the reset button.
    pub fn reset(&self) {
        self.monitor().execute("system_reset", &json!({})).unwrap();
    }

    /// Presses the power button, waits until QEMU has left by itself, and returns the console's whole text.
    pub fn power_down(mut self) -> String {
        // What answers already may not have the button's driver yet, and a press that nobody hears is lost.
        let started = self.console().matches("vcc: boot").count();
        self.wait_console("vcc: drivers", started);
        self.monitor().execute("system_powerdown", &json!({})).unwrap();
        let status = self.wait_end();
        assert!(status.success(), "ova run left with {status}\n{}", self.console());
        self.console()
    }

    /// Kills QEMU as a power cut would.
    pub fn pull_the_plug(mut self) {
        let status = Command::new("kill")
            .args(["-9", &self.pid.to_string()])
            .status()
            .unwrap();
        assert!(status.success());
        self.wait_end();
    }

    fn wait_end(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.run.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the guest did not end:\n{}", self.console());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if self.run.try_wait().is_ok_and(|status| status.is_none()) {
            // By the process's own id: whatever else runs here is not ours.
            let _ = Command::new("kill").args(["-9", &self.pid.to_string()]).status();
            let _ = self.run.wait();
        }
    }
}

/// A folder that keeps a guest's disks between runs.
pub fn kept_disks() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disks");
    (folder, path)
}
