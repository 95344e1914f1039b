//! Moving a version between two nodes, beside what moves bytes and checks nothing: curl from nginx, one stream, rsync.
//!
//! `make bench-transfer`; `MIB` in the environment says how large the disks are, `TIMES` how often each is moved. Peers and we
//! run in turn. It wants nginx, curl, rsync, mke2fs and qemu-img.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on says where, and prints"
)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use e2e::artefacts::success;
use e2e::clouds::{Clouds, Node};
use e2e::measure::{self, Cost};
use serde_json::{Value, json};

/// What the distant proxy adds to each direction, half of 100 ms, and lets through of each connection in a second.
const DELAY: Duration = Duration::from_millis(50);
const CAP: usize = 8 << 20;
/// API clients that are active beside a transfer.
const CLIENTS: usize = 100;

fn number(name: &str, otherwise: usize) -> usize {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn main() {
    // As `cargo test --benches` calls it.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!("{}\n", measure::machine());
    let (mib, times) = (number("MIB", 1024), number("TIMES", 5));
    let folder = tempfile::Builder::new().tempdir_in(".").unwrap();
    let path = folder.path();
    let clouds = Clouds::start(path, &["north", "south"]);
    beside_curl(&clouds, path, mib, times);
    from_afar(&clouds, path, 64);
    what_is_new(&clouds, path, mib);
    beside_clients(&clouds, path, mib);
}

/// Bytes without any order.
fn noise(seed: u64, mib: usize, path: &Path) {
    let mut file = File::create(path).unwrap();
    let mut state = seed;
    for _ in 0..mib {
        let words = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let word = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (word ^ (word >> 32)).to_be_bytes()
        });
        let piece: Vec<u8> = words.take((1 << 20) / 8).flatten().collect();
        file.write_all(&piece).unwrap();
    }
}

/// What one transfer to the second node takes, from its grant to its publication, and that node's processor.
fn moved(clouds: &Clouds, wish: &Value) -> (Cost, Value) {
    let south = &clouds.nodes[1];
    let before = processor(&south.connector.process);
    let path = clouds.order(wish);
    let begun = |transfer: &Value| !["REQUESTED", "GRANTED"].contains(&transfer["state"].as_str().unwrap());
    clouds.wait_for(&path, begun);
    let start = Instant::now();
    let end = clouds.wait_for(&path, |transfer| transfer["ended"].is_string());
    let cost = Cost {
        wall: start.elapsed().as_secs_f64(),
        cpu: processor(&south.connector.process) - before,
    };
    assert_eq!(end["state"], "PUBLISHED", "{end}");
    (cost, end)
}

/// Seconds of a core that a process had so far.
fn processor(process: &Child) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let fields: Vec<_> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

/// Removes what a node has of an item, so that nothing of it is there for the next one.
fn forget(node: &Node, item: &str) {
    let items = node.connector.get(&format!("/api/v1/items?q={item}"));
    let Some(item) = items.as_array().unwrap().first() else {
        return;
    };
    let path = format!("/api/v1/items/{}/versions", item["id"].as_str().unwrap());
    for version in node.connector.get(&path).as_array().unwrap() {
        let tag = format!("If-Match: \"{}\"", version["revision"]);
        let path = format!("/api/v1/versions/{}", version["id"].as_str().unwrap());
        assert_eq!(node.connector.ask("DELETE", &path, &[&tag], None).status, 204);
    }
}

fn wish(item: &str) -> Value {
    json!({ "source": "north", "destination": "south", "from": { "catalog": "images", "item": item } })
}

/// nginx on a port of the loopback interface; dropped, it is stopped.
struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    /// Serves a folder over TLS 1.3 with a node's certificate, which is of the same sort as those that nodes show each other.
    fn start(folder: &Path, node: &Node) -> Self {
        let port = e2e::web::free_port();
        let text = |path: &Path| std::path::absolute(path).unwrap().display().to_string();
        let (at, identity) = (text(folder), text(&node.state.join("identity")));
        let settings = format!(
            "daemon off; pid {at}/nginx.pid; error_log stderr; worker_processes 1; user root;
             events {{ worker_connections 64; }}
             http {{ access_log off; sendfile on; client_body_temp_path {at}/t1; proxy_temp_path {at}/t2; fastcgi_temp_path {at}/t3;
               uwsgi_temp_path {at}/t4; scgi_temp_path {at}/t5;
               server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.3; ssl_certificate {identity}/cert.pem;
                 ssl_certificate_key {identity}/key.pem; root {at}; }} }}"
        );
        let configuration = folder.join("nginx.conf");
        std::fs::write(&configuration, settings).unwrap();
        let child = Command::new("nginx")
            .arg("-c")
            .arg(std::path::absolute(configuration).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            thread::sleep(Duration::from_millis(20));
        }
        Self { child, port }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its worker ends with it.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn beside_curl(clouds: &Clouds, folder: &Path, mib: usize, times: usize) {
    let north = &clouds.nodes[0];
    let disk = folder.join("disk.bin");
    noise(7, mib, &disk);
    assert_eq!(north.bring("plain", "file", "1", &[&disk])["state"], "PUBLISHED");
    north.wait_for_indexes(1);
    let nginx = Nginx::start(folder, north);
    let taken = folder.join("taken.bin");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=times {
        let port = nginx.port.to_string();
        let arguments = [port.as_str(), taken.to_str().unwrap()];
        let script = "curl -sk --noproxy '*' -o \"$2\" https://127.0.0.1:$1/disk.bin";
        let curl = measure::command(script, &arguments, 1);
        std::fs::remove_file(&taken).unwrap();
        forget(&clouds.nodes[1], "plain");
        let (cost, _) = moved(clouds, &wish("plain"));
        // The first one warms what there is to warm.
        if round > 0 {
            ours.push(cost);
            theirs.push(curl);
        }
    }
    forget(&clouds.nodes[1], "plain");
    let (own, curl) = (measure::median(&ours), measure::median(&theirs));
    let mib = f64::from(u32::try_from(mib).unwrap());
    println!("one file of {mib} MiB over loopback TLS 1.3, medians of {times}");
    println!(
        "  curl from nginx, unverified   {:7.0} MiB/s   {:.2} s of a core per GiB",
        mib / curl.wall,
        curl.cpu * 1024.0 / mib
    );
    println!(
        "  a transfer, verified          {:7.0} MiB/s   {:.2} s of a core per GiB",
        mib / own.wall,
        own.cpu * 1024.0 / mib
    );
    println!(
        "  ratios                        {:7.2} (at least 0.9)   {:.2} (at most 1.25)\n",
        curl.wall / own.wall,
        own.cpu / curl.cpu
    );
}

/// A way that takes long and is narrow for each connection.
struct Distant {
    port: u16,
    stop: Arc<AtomicBool>,
}

impl Distant {
    fn to(target: std::net::SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let (Ok(near), Ok(far)) = (stream, TcpStream::connect(target)) else {
                    continue;
                };
                pass(near.try_clone().unwrap(), far.try_clone().unwrap());
                pass(far, near);
            }
        });
        Self { port, stop }
    }
}

impl Drop for Distant {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Passes bytes on later than they came, and no more of them in a second than may.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    let (sender, pieces) = mpsc::sync_channel::<(Instant, Vec<u8>)>(256);
    thread::spawn(move || {
        let mut piece = vec![0; 16 << 10];
        while let Ok(read) = from.read(&mut piece) {
            let part = piece.get(..read).unwrap_or_default().to_vec();
            if read == 0 || sender.send((Instant::now() + DELAY, part)).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        let mut free = Instant::now();
        for (due, piece) in pieces {
            let at = due.max(free);
            thread::sleep(at.saturating_duration_since(Instant::now()));
            free = at
                + Duration::from_secs(1) * u32::try_from(piece.len()).unwrap() / u32::try_from(CAP).unwrap();
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}

fn from_afar(clouds: &Clouds, folder: &Path, mib: usize) {
    let [north, south] = &clouds.nodes[..] else { return };
    let distant = Distant::to(north.connector.address);
    endpoint(clouds, north, Some(format!("127.0.0.1:{}", distant.port)));
    let disk = folder.join("far.bin");
    noise(11, mib, &disk);
    assert_eq!(north.bring("far", "file", "1", &[&disk])["state"], "PUBLISHED");
    north.wait_for_indexes(2);
    println!(
        "one file of {mib} MiB through a proxy that adds 100 ms and lets {} MiB/s through a connection",
        CAP >> 20
    );
    let mut one = 0.0;
    for parallel in [1, 4, 8] {
        forget(south, "far");
        let mut wanted = wish("far");
        wanted["parallel"] = json!(parallel);
        wanted["route"] = json!("direct");
        let (cost, _) = moved(clouds, &wanted);
        if parallel == 1 {
            one = cost.wall;
        }
        let rate = f64::from(u32::try_from(mib).unwrap()) / cost.wall;
        println!(
            "  {parallel} connections   {rate:6.1} MiB/s   {:.2} times one",
            one / cost.wall
        );
    }
    println!();
    endpoint(clouds, north, None);
}

/// Says where other nodes reach one.
fn endpoint(clouds: &Clouds, node: &Node, at: Option<String>) {
    let scope = format!("/api/v1/configurations/node:{}", node.id);
    let settings = match &at {
        Some(at) => json!({ "settings": { "peer_endpoint": at } }),
        None => json!({ "settings": {} }),
    };
    let own = clouds.server.ask("GET", &scope, &[], None);
    let version = match own.status {
        200 => own.json()["version"].as_u64().unwrap_or_default(),
        _ => 0,
    };
    let tag = format!("If-Match: \"{version}\"");
    let put = clouds.server.ask("PUT", &scope, &[&tag], Some(&settings));
    assert!(put.status < 300, "{put:?}");
    clouds.wait_for(&format!("/api/v1/nodes/{}", node.id), |told| match &at {
        Some(at) => told["endpoint"] == at.as_str(),
        None => told["endpoint"] == node.connector.address.to_string(),
    });
}

/// A disk with a file system and files, and the next build of it.
fn builds(folder: &Path, mib: usize) -> [PathBuf; 2] {
    let (old, new) = (folder.join("old.raw"), folder.join("new.raw"));
    let files = folder.join("files");
    std::fs::create_dir_all(&files).unwrap();
    success(
        Command::new("bash")
            .args([
                "-c",
                "cp -a /usr/bin /usr/lib/x86_64-linux-gnu \"$1\" 2>/dev/null; du -sm \"$1\"",
                "bash",
            ])
            .arg(&files),
    );
    // As much of it as has room.
    let script = "cd \"$1\"; while [ $(du -sm . | cut -f1) -gt $(( $2 * 8 / 10 )) ]; do find . -type f -size +64k | sort | awk 'NR % 4 == 0' | xargs -d '\\n' rm -f; done";
    success(
        Command::new("bash")
            .args(["-c", script, "bash"])
            .arg(&files)
            .arg(mib.to_string()),
    );
    let size = format!("{mib}M");
    success(
        Command::new("mke2fs")
            .args([
                "-q",
                "-t",
                "ext4",
                "-E",
                "hash_seed=7f8e2f4c-3b5d-4c2e-9a6f-1d2c3b4a5f60",
                "-U",
                "7f8e2f4c-3b5d-4c2e-9a6f-1d2c3b4a5f61",
                "-d",
            ])
            .arg(&files)
            .arg(&old)
            .arg(&size),
    );
    std::fs::remove_dir_all(&files).unwrap();
    // Twenty changes of 100 KiB, and 4 KiB that come in between.
    let mut bytes = std::fs::read(&old).unwrap();
    let changed = folder.join("changed.bin");
    noise(13, 3, &changed);
    let fresh = std::fs::read(&changed).unwrap();
    let step = bytes.len() / 21;
    for change in 0..20 {
        let at = change * step + 12_345;
        let part = fresh.get(change * 102_400..(change + 1) * 102_400).unwrap();
        bytes.get_mut(at..at + part.len()).unwrap().copy_from_slice(part);
    }
    let middle = bytes.len() / 2 + 777;
    bytes.splice(middle..middle, fresh.iter().rev().take(4096).copied());
    bytes.truncate(mib << 20);
    std::fs::write(&new, bytes).unwrap();
    [old, new]
}

fn what_is_new(clouds: &Clouds, folder: &Path, mib: usize) {
    let [north, south] = &clouds.nodes[..] else { return };
    let [old, new] = builds(folder, mib);
    let copy = folder.join("copy.raw");
    std::fs::copy(&old, &copy).unwrap();
    let script = "rsync --no-whole-file --stats \"$1\" \"$2\"";
    let told = success(
        Command::new("bash")
            .args(["-c", script, "bash"])
            .arg(&new)
            .arg(&copy),
    );
    let bytes = |name: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().replace(',', "").parse::<f64>().unwrap()
    };
    let rsync = bytes("Total bytes sent:") + bytes("Total bytes received:");
    println!("two builds of a disk of {mib} MiB: 20 changes of 100 KiB, 4 KiB that come in between");
    println!("  rsync, raw disk            {:8.0} KiB", rsync / 1024.0);
    for (item, kind) in [("raw", ""), ("vmdk", "streamOptimized")] {
        let mut files = [old.clone(), new.clone()];
        if !kind.is_empty() {
            for file in &mut files {
                let to = file.with_extension("vmdk");
                success(
                    e2e::artefacts::ova()
                        .args(["disk", "convert"])
                        .arg(&*file)
                        .arg(&to),
                );
                *file = to;
            }
        }
        let mut wire = 0.0;
        for (version, file) in (1..).zip(&files) {
            let named = folder.join(format!("{item}.disk"));
            std::fs::rename(file, &named).unwrap();
            assert_eq!(
                north.bring(item, "file", &version.to_string(), &[&named])["state"],
                "PUBLISHED"
            );
            std::fs::rename(&named, file).unwrap();
            let (_, end) = moved(clouds, &wish(item));
            wire = end["wire"].as_f64().unwrap();
            south.wait_for_indexes(count(&south.state.join("blobs/provider")));
        }
        println!(
            "  a transfer, {item:<15} {:8.0} KiB   {:.2} of rsync's (at most 1.3)",
            wire / 1024.0,
            wire / rsync
        );
    }
    println!();
}

fn count(folder: &Path) -> usize {
    let shards = std::fs::read_dir(folder).into_iter().flatten().flatten();
    shards
        .map(|shard| std::fs::read_dir(shard.path()).unwrap().count())
        .sum()
}

fn beside_clients(clouds: &Clouds, folder: &Path, mib: usize) {
    let south = &clouds.nodes[1];
    let disk = folder.join("beside.bin");
    noise(17, mib, &disk);
    assert_eq!(
        clouds.nodes[0].bring("beside", "file", "1", &[&disk])["state"],
        "PUBLISHED"
    );
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let stop = Arc::clone(&stop);
            let mut curl = south.curl("/api/v1/items?limit=100");
            thread::spawn(move || {
                let mut times = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    let done = curl.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
                    times.push((start.elapsed().as_secs_f64(), done.success()));
                    thread::sleep(Duration::from_millis(900));
                }
                times
            })
        })
        .collect();
    thread::sleep(Duration::from_secs(2));
    let (cost, _) = moved(clouds, &wish("beside"));
    stop.store(true, Ordering::Relaxed);
    let times: Vec<_> = clients
        .into_iter()
        .flat_map(|client| client.join().unwrap())
        .collect();
    let mut taken: Vec<_> = times.iter().map(|(time, _)| *time).collect();
    taken.sort_by(f64::total_cmp);
    let failed = times.iter().filter(|(_, is_fine)| !is_fine).count();
    let status = std::fs::read_to_string(format!("/proc/{}/status", south.connector.process.id())).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let peak: f64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("a transfer of {mib} MiB beside {CLIENTS} clients that each ask once a second");
    println!(
        "  {:.1} s; {} answers, {failed} failed; median {:.0} ms with curl's start",
        cost.wall,
        times.len(),
        taken[taken.len() / 2] * 1000.0
    );
    println!(
        "  the node's peak of resident memory so far: {:.1} MiB (at most 64)",
        peak / 1024.0
    );
}
