//! `ova inspect` over archives of other tools.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::Path;
use std::process::{Command, Output};

fn inspect(arguments: &[&str], package: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ova"))
        .arg("inspect")
        .args(arguments)
        .arg(package)
        .output()
        .unwrap()
}

#[test]
fn long_names_of_gnu_tar_are_read_only_where_they_are_tolerated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ova");
    let mut archive = tar::Builder::new(std::fs::File::create(&path).unwrap());
    let ns = ovf::descriptor::ENVELOPE_1;
    let descriptor = format!(
        "<Envelope xmlns='{ns}' xmlns:o='{ns}'><References/><VirtualSystem o:id='s'><Info/></VirtualSystem></Envelope>"
    );
    for (name, bytes) in [("a.ovf", descriptor.as_bytes()), (&"n".repeat(150), b"x")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, bytes).unwrap();
    }
    archive.finish().unwrap();
    let refused = inspect(&[], &path);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("package.header"));
    assert_eq!(inspect(&["--tolerate", "pax"], &path).status.code(), Some(1));
    let read = inspect(&["--tolerate", "long-names"], &path);
    assert!(read.status.success(), "{read:?}");
    assert!(String::from_utf8_lossy(&read.stdout).contains(&"n".repeat(150)));
}
