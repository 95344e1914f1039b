use std::io::Read;

use super::*;
use crate::error::Error;
use crate::fixture::least_archive;

/// The walk alone, without digests and signatures.
fn walk(archive: &[u8]) -> Result<usize, Error> {
    let mut reader = Reader::new(archive);
    let mut members = 0;
    while reader.next_member()?.is_some() {
        members += 1;
    }
    Ok(members)
}

#[test]
fn an_archive_cut_anywhere_is_refused() {
    let archive = least_archive(&keys().signer());
    let policy = policy();
    let marker = archive.iter().rposition(|byte| *byte != 0).unwrap() / 512 * 512 + 512 + 1024;
    for length in (0..archive.len()).filter(|length| *length != marker) {
        let error = walk(&archive[..length]).unwrap_err();
        assert_eq!(error.kind(), Kind::Truncated, "cut at {length}");
        assert_eq!(error.place().offset, Some(length as u64));
    }
    for length in (0..archive.len()).step_by(61).filter(|length| *length != marker) {
        let verdict = judge(archive[..length].to_vec(), &policy);
        let found = failures(&verdict);
        assert!(
            found.iter().any(|(code, _)| *code == "package.truncated"),
            "cut at {length}: {found:?}"
        );
    }
    // At the end marker nothing but padding is lost: that is how some tars write archives.
    assert!(judge(archive[..marker].to_vec(), &policy).is_accepted());
}

#[test]
fn an_archive_lengthened_is_refused() {
    for tail in [vec![0; 512], vec![0; 10240], b"x".to_vec(), signed()] {
        let mut archive = signed();
        archive.extend(tail);
        let found = judge(archive, &policy());
        assert_eq!(failures(&found), [("package.trailing-data", None)]);
    }
}

#[test]
fn a_byte_changed_anywhere_is_refused() {
    let archive = least_archive(&keys().signer());
    let policy = policy();
    let end = archive.iter().rposition(|byte| *byte != 0).unwrap();
    for at in 0..archive.len() {
        let mut changed = archive.clone();
        changed[at] ^= [0x01, 0x10, 0x80, 0xFF][at % 4];
        if means_the_same(&archive, &changed, at) {
            continue;
        }
        // What stands after the last member needs no judge: the walk refuses it.
        let refused = match at > end {
            true => walk(&changed).is_err(),
            false => !judge(changed, &policy).is_accepted(),
        };
        assert!(refused, "byte {at}");
    }
}

/// Whether a change is of a byte that no reader gives a meaning: white space and leading zeros of a header's checksum
/// field, and the case of hexadecimal digits in the signature.
fn means_the_same(before: &[u8], after: &[u8], at: usize) -> bool {
    let field = at / 512 * 512;
    let is_header = before[field + 257..].starts_with(b"ustar");
    if is_header && (148..156).contains(&(at - field)) {
        let number = |bytes: &[u8]| {
            let text: String = bytes[field + 148..field + 156]
                .iter()
                .map(|byte| char::from(*byte))
                .collect();
            u32::from_str_radix(text.trim_start_matches(' ').trim_end_matches([' ', '\0']), 8).ok()
        };
        return number(before) == number(after);
    }
    before[at].is_ascii_hexdigit() && before[at].eq_ignore_ascii_case(&after[at])
}

#[test]
fn short_reads_and_single_bytes_give_the_same_verdict() {
    struct Short<R>(R, usize);
    impl<R: Read> Read for Short<R> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 = self.1 * 7 % 11 + 1;
            if self.1 == 3 {
                return Err(std::io::ErrorKind::Interrupted.into());
            }
            let length = buffer.len().min(self.1);
            self.0.read(&mut buffer[..length])
        }
    }
    let archive = signed();
    let mut broken = archive.clone();
    broken[9000] ^= 1;
    for bytes in [
        archive.clone(),
        broken,
        archive[..7000].to_vec(),
        b"no archive".to_vec(),
        Vec::new(),
    ] {
        let whole = judge(bytes.clone(), &policy());
        for step in [1, 2] {
            let slow = verify(
                &mut Source::stream(Short(Cursor::new(bytes.clone()), step)),
                &policy(),
            );
            assert_eq!(slow, whole);
        }
    }
}
