//! Packages on a server, read by the library and by the command.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod server;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ovf::descriptor::{Descriptor, VirtualSystem};
use packer::location::{Location, Reading};
use packer::package::Contents;
use packer::remote::Settings;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use self::server::{Mode, Server};

const GIB: u64 = 1 << 30;

/// A descriptor with these files, each named by its size.
fn descriptor(disks: &[u64]) -> Vec<u8> {
    let mut descriptor = Descriptor::new(VirtualSystem {
        id: "node".to_owned(),
        ..VirtualSystem::default()
    });
    let file = |(index, size): (usize, &u64)| ovf::descriptor::File {
        id: format!("f{index}"),
        href: format!("disk{index}.vmdk"),
        size: Some(*size),
        ..ovf::descriptor::File::default()
    };
    descriptor.files = disks.iter().enumerate().map(file).collect();
    descriptor.render().unwrap()
}

/// An OVA with holes for disks, which take no room here and would take long over a network.
fn archive(path: &Path, disks: &[u64]) {
    let mut file = File::create(path).unwrap();
    let mut member = |name: &str, size: u64, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_size(size);
        header.set_cksum();
        file.write_all(header.as_bytes()).unwrap();
        file.write_all(bytes).unwrap();
        let rest = size.next_multiple_of(512) - bytes.len() as u64;
        file.seek(SeekFrom::Current(rest.cast_signed())).unwrap();
    };
    let text = descriptor(disks);
    member("node.ovf", text.len() as u64, &text);
    member("node.mf", 0, b"");
    for (index, size) in disks.iter().enumerate() {
        member(&format!("disk{index}.vmdk"), *size, b"");
    }
    let end = file.stream_position().unwrap();
    file.set_len((end + 1024).next_multiple_of(10240)).unwrap();
}

/// A small OVA and its folder.
fn small() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.ova");
    archive(&path, &[200_000, 1000]);
    (folder, path)
}

fn settings() -> Settings {
    Settings {
        stall: Duration::from_millis(300),
        ..Settings::default()
    }
}

fn inspect(url: &str) -> packer::Result<Contents> {
    let location = Location::of(Path::new(url))?;
    let mut source = location.open(Reading::Parts, &settings())?;
    Contents::read(&mut source, &location)
}

/// The words of an error and of what caused it.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// What `inspect` says of a server in this mode.
fn refused(mode: Mode) -> String {
    let (_folder, path) = small();
    let server = Server::start(mode, &[("/x.ova", path)]);
    told(&inspect(&server.url("/x.ova")).unwrap_err())
}

fn ova(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ova"));
    for variable in [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ] {
        command.env_remove(variable);
    }
    command.args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn inspecting_an_archive_at_a_url_fetches_none_of_its_disks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.ova");
    let disks = [3 * GIB, 10 * GIB, 5 * GIB];
    archive(&path, &disks);
    let server = Server::start(Mode::Proper, &[("/x.ova", path.clone())]);
    let output = ova(&["--json", "inspect", &server.url("/x.ova")]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(
        output.stdout,
        ova(&["--json", "inspect", path.to_str().unwrap()]).stdout,
        "the same as from the file"
    );
    let (requests, bytes) = (server.requests().len(), server.sent());
    println!(
        "{requests} requests, {bytes} bytes of {}",
        path.metadata().unwrap().len()
    );
    assert_eq!(requests, 1 + disks.len());
    assert!(bytes < 256 << 10, "{bytes} bytes");
}

#[test]
fn inspecting_a_descriptor_at_a_url_asks_for_sizes_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("node.ovf"), descriptor(&[8 * GIB])).unwrap();
    File::create(path("disk0.vmdk"))
        .unwrap()
        .set_len(8 * GIB)
        .unwrap();
    let files = [
        ("/a/node.ovf", path("node.ovf")),
        ("/a/disk0.vmdk", path("disk0.vmdk")),
    ];
    let server = Server::start(Mode::Proper, &files);
    let contents = inspect(&server.url("/a/node.ovf?token")).map(|_| ());
    assert!(
        told(&contents.unwrap_err()).contains("404"),
        "the query belongs to the descriptor"
    );
    let contents = inspect(&server.url("/a/node.ovf")).unwrap();
    let sizes: Vec<_> = contents
        .members
        .iter()
        .map(|member| (member.name.as_str(), member.size))
        .collect();
    assert_eq!(sizes[1], ("disk0.vmdk", 8 * GIB));
    let requests = server.requests();
    let gets: Vec<_> = requests
        .iter()
        .filter(|request| request.method == "GET")
        .collect();
    assert_eq!(gets.len(), 1, "{requests:?}");
    println!("{} requests, {} bytes", requests.len() - 1, server.sent());
    assert!(server.sent() < 4096);
}

#[test]
fn a_package_at_a_url_is_verified_by_reading_it_once() {
    let (_folder, path) = small();
    let size = path.metadata().unwrap().len();
    let server = Server::start(Mode::Proper, &[("/x.ova", path.clone())]);
    let remote = ova(&["--json", "verify", &server.url("/x.ova")]);
    assert_eq!(
        remote.stdout,
        ova(&["--json", "verify", path.to_str().unwrap()]).stdout
    );
    assert_eq!((server.requests().len(), server.sent()), (1, size));
}

#[test]
fn a_descriptor_at_a_url_is_verified_with_the_files_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = descriptor(&[3000]);
    std::fs::write(path("node.ovf"), &text).unwrap();
    std::fs::write(path("disk0.vmdk"), [7; 3000]).unwrap();
    let mut manifest = ovf::manifest::Manifest::new();
    for (name, bytes) in [("node.ovf", text.as_slice()), ("disk0.vmdk", &[7; 3000])] {
        let digest = ovf::manifest::DigestAlgorithm::Sha256.digest(bytes);
        let name = ovf::package::MemberName::parse(name).unwrap();
        manifest.add(name, digest).unwrap();
    }
    std::fs::write(path("node.mf"), manifest.render()).unwrap();
    let names = ["/node.ovf", "/node.mf", "/disk0.vmdk"];
    let files = names.map(|name| (name, path(&name[1..])));
    let server = Server::start(Mode::Proper, &files);
    let remote = ova(&["--json", "verify", &server.url("/node.ovf")]);
    assert!(remote.status.success(), "{remote:?}");
    let local = ova(&["--json", "verify", path("node.ovf").to_str().unwrap()]);
    assert_eq!(remote.stdout, local.stdout);
    std::fs::write(path("disk0.vmdk"), [8; 3000]).unwrap();
    let spoiled = ova(&["--json", "verify", &server.url("/node.ovf")]);
    assert_eq!(spoiled.status.code(), Some(1), "{spoiled:?}");
}

#[test]
fn a_server_that_ignores_ranges_is_named_and_not_read() {
    let (_folder, path) = small();
    let server = Server::start(Mode::IgnoresRanges, &[("/x.ova", path)]);
    let output = ova(&["inspect", &server.url("/x.ova")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("ignores the Range header"),
        "{output:?}"
    );
}

#[test]
fn answers_that_are_not_what_was_asked_for_are_refused() {
    for (mode, words) in [
        (Mode::WrongRange, "were asked for"),
        (Mode::LongRange, "were asked for"),
        (Mode::TinyRange, "were asked for"),
        (Mode::NoContentRange, "without telling which"),
        (Mode::ShortBody, "reading the response"),
        (Mode::Encodes, "encodes the file"),
        (Mode::RedirectsForEver, "more than 5 redirects"),
        (Mode::EndlessHeaders, "header"),
        (Mode::Answers(404), "404"),
        (Mode::Answers(503), "503"),
    ] {
        let error = refused(mode);
        assert!(error.contains(words), "{mode:?}: {error}");
        assert!(error.contains("http://127.0.0.1:"), "{mode:?}: {error}");
    }
}

#[test]
fn a_server_that_sends_nothing_is_not_waited_for() {
    for mode in [Mode::Stalls, Mode::Silent] {
        let start = Instant::now();
        let error = refused(mode);
        assert!(
            error.contains("took too long") || error.contains("timeout"),
            "{mode:?}: {error}"
        );
        assert!(start.elapsed() < Duration::from_secs(4), "{mode:?}");
    }
}

#[test]
fn a_file_that_changes_between_two_requests_is_refused_as_a_package() {
    let (_folder, path) = small();
    for heeds_if_range in [true, false] {
        let mode = Mode::Changes { heeds_if_range };
        let server = Server::start(mode, &[("/x.ova", path.clone())]);
        let output = ova(&["inspect", &server.url("/x.ova")]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let error = text(&output.stderr);
        assert!(error.contains("package.changed"), "{error}");
        let conditions = server.requests()[1].headers.get("if-range").cloned();
        assert_eq!(conditions.as_deref(), Some("\"old\""));
    }
    // Beside a descriptor, between the request for the size and the one for the bytes.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.ovf");
    std::fs::write(&path, descriptor(&[])).unwrap();
    let mode = Mode::Changes {
        heeds_if_range: false,
    };
    let server = Server::start(mode, &[("/node.ovf", path)]);
    let error = told(&inspect(&server.url("/node.ovf")).unwrap_err());
    assert!(error.contains("package.changed"), "{error}");
}

#[test]
fn a_response_that_ends_early_is_not_taken_for_the_package() {
    let (_folder, path) = small();
    let server = Server::start(Mode::ShortBody, &[("/x.ova", path)]);
    let output = ova(&["verify", &server.url("/x.ova")]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn redirects_are_followed_and_remembered() {
    let (_folder, path) = small();
    let redirects = [("/old.ova", "/deep/x.ova?sig=abc".to_owned())];
    let server = Server::with(Mode::Proper, &[("/deep/x.ova?sig=abc", path)], &redirects, None);
    assert_eq!(inspect(&server.url("/old.ova")).unwrap().members.len(), 4);
    let asked: Vec<_> = server
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(
        asked[..3],
        ["/old.ova", "/deep/x.ova?sig=abc", "/deep/x.ova?sig=abc"]
    );
}

#[test]
fn credentials_reach_their_server_and_no_other_and_no_message() {
    let (_folder, path) = small();
    let other = Server::start(Mode::Proper, &[("/x.ova", path.clone())]);
    let redirects = [("/away.ova", other.url("/x.ova"))];
    let server = Server::with(Mode::Proper, &[("/x.ova", path)], &redirects, None);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    std::fs::write(&file, "user:hunter2\n").unwrap();
    let output = ova(&[
        "inspect",
        &server.url("/x.ova"),
        "--credentials",
        file.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{output:?}");
    let authorization = |server: &Server| server.requests()[0].headers.get("authorization").cloned();
    assert_eq!(authorization(&server).as_deref(), Some("Basic dXNlcjpodW50ZXIy"));
    let away = ova(&[
        "inspect",
        &server.url("/away.ova"),
        "--credentials",
        file.to_str().unwrap(),
    ]);
    assert!(away.status.success(), "{away:?}");
    assert_eq!(authorization(&other), None);
    for verb in ["inspect", "verify", "run"] {
        for path in [
            "/missing.ova?sig=hunter2",
            "/missing.ovf?sig=hunter2",
            " ?hunter2",
        ] {
            let output = ova(&[verb, &server.url_as("user:hunter2@", path)]);
            let said = text(&output.stdout) + &text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}

/// A server's certificate for the loopback, and the authority that issued it in PEM.
fn authority() -> (Arc<rustls::ServerConfig>, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&own, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(own.serialize_der()).unwrap(),
        )
        .unwrap();
    (Arc::new(config), root.pem())
}

#[test]
fn https_wants_an_authority_that_is_trusted_and_never_leads_to_http() {
    let (folder, path) = small();
    let (tls, root) = authority();
    let plain = Server::start(Mode::Proper, &[("/x.ova", path.clone())]);
    let redirects = [("/down.ova", plain.url("/x.ova"))];
    let server = Server::with(Mode::Proper, &[("/x.ova", path)], &redirects, Some(tls));
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, root).unwrap();
    let ca = ca.to_str().unwrap();

    let unknown = ova(&["inspect", &server.url("/x.ova")]);
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
    assert!(text(&unknown.stderr).contains("UnknownIssuer"), "{unknown:?}");
    let known = ova(&["inspect", "--ca", ca, &server.url("/x.ova")]);
    assert!(known.status.success(), "{known:?}");
    let down = ova(&["inspect", "--ca", ca, &server.url("/down.ova")]);
    assert_eq!(down.status.code(), Some(2), "{down:?}");
    assert!(
        text(&down.stderr).contains("redirect from https to http://"),
        "{down:?}"
    );
    assert!(plain.requests().is_empty());
}

#[test]
fn a_disk_at_a_url_is_read_by_growing_parts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.ova");
    archive(&path, &[20 << 20]);
    let server = Server::start(Mode::Proper, &[("/x.ova", path)]);
    let location = Location::of(Path::new(&server.url("/x.ova"))).unwrap();
    let mut index = ovf::package::Index::read(location.open(Reading::Parts, &settings()).unwrap()).unwrap();
    let file = index.descriptor().files[0].clone();
    let mut reader = index.file(&file, &ovf::package::Limits::default()).unwrap();
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    assert!(bytes.len() == 20 << 20 && bytes.iter().all(|byte| *byte == 0));
    let requests = server.requests().len();
    println!("{requests} requests for 20 MiB");
    assert!(requests < 30, "{requests}");
}
