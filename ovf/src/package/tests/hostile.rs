//! Archives through readers that give little, and that late.

use super::*;

/// Every member's name, role, size and digest, or the code of what was refused.
fn listing(reader: impl Read) -> Result<Vec<String>, String> {
    let mut reader = ova::Reader::new(reader);
    let mut list = Vec::new();
    let refused = |error: Error| format!("{} {:?}", error.code(), error.place().offset);
    while let Some(mut member) = reader.next_member().map_err(refused)? {
        let mut digester = crate::manifest::Digester::new(DigestAlgorithm::Sha256);
        let mut buffer = [0; 4096];
        loop {
            match member.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => digester.update(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(refused(Error::io("", error))),
            }
        }
        list.push(format!("{:?} {}", member.info(), digester.finish()));
    }
    Ok(list)
}

/// The archives of the corpus, and an archive of each descriptor in it with a disk.
fn archives(corpus: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut archives = Vec::new();
    for path in files_under(corpus) {
        let bytes = std::fs::read(&path).unwrap();
        let bytes = match path.extension().and_then(|it| it.to_str()) {
            Some("ova" | "tar") => bytes,
            Some("ovf") => fixture::tar(&[("a.ovf", bytes), ("disk", noise(archives.len() * 7))]),
            _ => continue,
        };
        archives.push((path.display().to_string(), bytes));
    }
    archives
}

#[test]
fn archives_of_the_field_read_the_same_through_hostile_readers_as_whole() {
    let Some(corpus) = corpus() else { return };
    let archives = archives(&corpus);
    let (mut members, mut refused, mut reads) = (0, 0, 0);
    for (name, bytes) in &archives {
        let whole = listing(bytes.as_slice());
        members += whole.as_ref().map_or(0, Vec::len);
        refused += u64::from(whole.is_err());
        let one_byte = (0, Halting::one_byte(bytes.as_slice()));
        let short = (1..=3).map(|seed| (seed, Halting::new(bytes.as_slice(), seed)));
        for (seed, mut reader) in std::iter::once(one_byte).chain(short) {
            assert_eq!(listing(&mut reader), whole, "{name}, seed {seed}");
            reads += reader.reads();
        }
    }
    let count = archives.len();
    println!("{count} archives, {members} members, {refused} refused; {reads} hostile reads find the same");
    assert!(
        count > 480 && members > 950,
        "{count} archives, {members} members"
    );
}
