//! libvirt's daemon with QEMU, in namespaces of its own: its files, network and processes are nobody else's, and go with it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{artefacts, counterpart};

/// The daemon asks every QEMU that it finds what it can, which takes a while on a slow machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// A running daemon with an active pool `disks` and the network `default`.
pub struct Libvirtd {
    folder: TempDir,
    unshare: Child,
}

/// What the daemon and its helper find in place of the machine's own folders.
const SCRIPT: &str = r#"
cp -r /etc/libvirt "$1/etc"
# What the machine itself keeps is none of ours.
rm -rf "$1/etc/storage"
mkdir "$1/lib" "$1/cache" "$1/sock" "$1/disks"
mount --bind "$1/etc" /etc/libvirt
mount -t tmpfs tmpfs /run
mkdir -p /var/lib/libvirt /var/cache/libvirt /run/libvirt /run/lock
mount --bind "$1/lib" /var/lib/libvirt
mount --bind "$1/cache" /var/cache/libvirt
ip link set lo up
printf 'unix_sock_dir = "%s"\nauth_unix_rw = "none"\n' "$1/sock" >"$1/libvirtd.conf"
virtlogd -d
# The shell stays as the namespace's first process, and buries what QEMU leaves behind when it is asked what it can.
libvirtd -f "$1/libvirtd.conf" --pid-file "$1/pid" &
wait $!
"#;

impl Libvirtd {
    /// Starts one, unless the machine has none.
    pub fn start() -> Option<Self> {
        for program in ["libvirtd", "virtlogd", "virsh", "dnsmasq", "unshare", "nsenter"] {
            counterpart::find(program)?;
        }
        let folder = tempfile::tempdir().unwrap();
        // QEMU runs as a user of its own, who has to get at the disks.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut unshare = Command::new("unshare");
        unshare
            .args([
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ])
            .args(["bash", "-euc", SCRIPT, "libvirtd"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let mut daemon = Self {
            unshare: unshare.spawn().unwrap(),
            folder,
        };
        let start = Instant::now();
        while !daemon.virsh(&["uri"]).output().unwrap().status.success() {
            let ended = daemon.unshare.try_wait().unwrap();
            assert!(ended.is_none() && start.elapsed() < PATIENCE, "{}", daemon.log());
            thread::sleep(Duration::from_millis(200));
        }
        let disks = daemon.path("disks");
        daemon.run(&[
            "pool-define-as",
            "disks",
            "dir",
            "--target",
            disks.to_str().unwrap(),
        ]);
        daemon.run(&["pool-start", "disks"]);
        daemon.run(&["net-start", "default"]);
        Some(daemon)
    }

    /// The target as an argument of `ova`.
    pub fn uri(&self) -> String {
        let socket = self.path("sock/libvirt-sock");
        format!("qemu+unix:///system?socket={}", socket.display())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn virsh(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("virsh");
        command
            .args(["--quiet", "--connect", &self.uri()])
            .args(arguments);
        command
    }

    /// What virsh answers; it has to succeed.
    pub fn run(&self, arguments: &[&str]) -> String {
        artefacts::success(&mut self.virsh(arguments))
    }

    /// What there is: machines and volumes, by name.
    pub fn holds(&self) -> Vec<String> {
        let machines = self.run(&["list", "--all", "--name"]);
        let volumes = self.run(&["vol-list", "disks"]);
        let names = machines.lines().map(str::trim);
        let volumes = volumes
            .lines()
            .map(|line| line.split_whitespace().next().unwrap_or(""));
        let names = names.chain(volumes).filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    }

    /// Runs a program in the daemon's network, where its machines can be reached.
    pub fn inside(&self, program: &str) -> Command {
        self.enter("--net", program)
    }

    /// Runs a program that sees the daemon's mounts.
    pub fn namespace(&self, program: &str) -> Command {
        self.enter("--mount", program)
    }

    fn enter(&self, namespace: &str, program: &str) -> Command {
        let child = format!("/proc/{0}/task/{0}/children", self.unshare.id());
        let child = std::fs::read_to_string(child).unwrap();
        let mut command = Command::new("nsenter");
        command.args([namespace, "--target", child.trim(), "--", program]);
        command
    }

    /// The address that a machine got by DHCP.
    pub fn address(&self, machine: &str) -> String {
        let start = Instant::now();
        loop {
            let told = self.run(&["domifaddr", machine]);
            let address = told.split_whitespace().find_map(|word| word.strip_suffix("/24"));
            if let Some(address) = address {
                return address.to_owned();
            }
            assert!(start.elapsed() < PATIENCE, "no address: {told}");
            thread::sleep(Duration::from_secs(1));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Libvirtd {
    fn drop(&mut self) {
        // All processes of its namespace go with the first.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

/// What a request over HTTPS answers, once it does.
pub fn https(daemon: &Libvirtd, url: &str) -> String {
    let start = Instant::now();
    loop {
        let mut curl = daemon.inside("curl");
        let output = artefacts::output(curl.args(["-skf", "--max-time", "5", url]));
        if output.status.success() {
            return String::from_utf8(output.stdout).unwrap();
        }
        assert!(start.elapsed() < PATIENCE, "{url}: no answer");
        thread::sleep(Duration::from_secs(1));
    }
}

/// What a file takes on the disk, in bytes: holes take no room.
pub fn allocated(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().unwrap().blocks() * 512
}
