//! A support bundle: a tar file, compressed, of files that hold no secrets.
//!
//! What is in it is named one by one; of the state directory only `network.json` and the folder `logs` are read, in
//! which whatever looks like a code, a token, a password or a key is left out, line by line.

use std::io::{Read as _, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::addressing::kept;
use crate::clock::Moment;
use crate::error::{Error, Kind, Result};

/// The folder of logs in the state directory.
const LOGS: &str = "logs";
const MOST_LOGS: usize = 16;
/// Of each log its end counts.
const LOG_LIMIT: u64 = 1 << 20;
const BLOCK: usize = 512;
/// Words that tell of a secret in the same line.
const TELLTALE: [&str; 9] = [
    "code=",
    "token",
    "password",
    "secret",
    "bearer",
    "private key",
    "argon2",
    "vcc1-",
    "cookie",
];
const LEFT_OUT: &str = "(a line that may hold a secret is left out)";

/// A bundle being made.
#[derive(Debug)]
pub struct Bundle {
    out: GzEncoder<Vec<u8>>,
    at: Moment,
}

impl Bundle {
    /// An empty one, of this time.
    pub fn new(at: Moment) -> Self {
        Self {
            out: GzEncoder::new(Vec::new(), Compression::default()),
            at,
        }
    }

    /// Adds a file.
    ///
    /// # Errors
    /// [`Kind::Ceiling`] for a name of more than 100 bytes or contents of 8 GiB.
    pub fn add(&mut self, name: &str, contents: &[u8]) -> Result<()> {
        let header = header(name, contents.len(), self.at)?;
        let rest = contents.len().next_multiple_of(BLOCK) - contents.len();
        let padding = [0; BLOCK];
        [&header[..], contents, &padding[..rest]]
            .iter()
            .try_for_each(|part| self.out.write_all(part))
            .map_err(failed)
    }

    /// Adds what may be told of a state directory. What can't be read is left out.
    ///
    /// # Errors
    /// As [`Bundle::add`].
    pub fn add_state(&mut self, root: &Path) -> Result<()> {
        // Read by its rules and written anew: what else a file of this name may hold stays where it is.
        if let Ok(Some(addressing)) = kept::read(root) {
            self.add(kept::NAME, &kept::render(&addressing)?)?;
        }
        let entries = std::fs::read_dir(root.join(LOGS)).into_iter().flatten().flatten();
        let is_file = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_file());
        let mut names: Vec<_> = entries
            .filter(is_file)
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| {
                name.len() <= 64
                    && name
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            })
            .collect();
        names.sort();
        for name in names.into_iter().take(MOST_LOGS) {
            if let Ok(text) = end_of(&root.join(LOGS).join(&name)) {
                self.add(&format!("{LOGS}/{name}"), redacted(&text).as_bytes())?;
            }
        }
        Ok(())
    }

    /// The whole file.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn finish(mut self) -> Result<Vec<u8>> {
        // Two empty blocks end a tar file.
        self.out.write_all(&[0; 2 * BLOCK]).map_err(failed)?;
        self.out.finish().map_err(failed)
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::new(Kind::Io, "support bundle", "cannot be written").because(error)
}

/// A header of POSIX.1-1988's ustar format.
fn header(name: &str, size: usize, at: Moment) -> Result<[u8; BLOCK]> {
    let ceiling = || Error::new(Kind::Ceiling, name.to_owned(), "does not fit a tar file");
    if name.len() > 100 || u64::try_from(size).is_ok_and(|size| size >= 1 << 33) {
        return Err(ceiling());
    }
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &str| -> Result<()> {
        let field = header.get_mut(at..at + text.len()).ok_or_else(ceiling)?;
        field.copy_from_slice(text.as_bytes());
        Ok(())
    };
    put(0, name)?;
    put(100, "0000600\0")?;
    put(108, "0000000\0")?;
    put(116, "0000000\0")?;
    put(124, &format!("{size:011o}\0"))?;
    put(136, &format!("{:011o}\0", at.0.max(0) / 1000))?;
    // The sum is made with blanks in its place.
    put(148, "        ")?;
    put(156, "0")?;
    put(257, "ustar\0")?;
    put(263, "00")?;
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    let sum = format!("{sum:06o}\0 ");
    header[148..156].copy_from_slice(sum.as_bytes());
    Ok(header)
}

fn end_of(path: &Path) -> std::io::Result<String> {
    use std::io::Seek as _;
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(std::io::SeekFrom::Start(length.saturating_sub(LOG_LIMIT)))?;
    let mut bytes = Vec::new();
    file.take(LOG_LIMIT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn redacted(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for line in text.lines() {
        let small = line.to_ascii_lowercase();
        let tells = TELLTALE.iter().any(|word| small.contains(word));
        clean.push_str(if tells { LEFT_OUT } else { line });
        clean.push('\n');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn tar_reads_the_bundle_and_of_the_state_only_what_may_be_told_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("logs/deeper")).unwrap();
        std::fs::create_dir(root.join("identity")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(root.join(name), text).unwrap();
        write("identity/key.pem", "HUSH");
        write("network.json", r#"{"dhcp": true}"#);
        write(
            "logs/service.log",
            "started\nset-up code=HUSH-HUSH\nAuthorization: Bearer HUSH\nstopped\n",
        );
        write("logs/deeper/x", "HUSH");
        std::os::unix::fs::symlink(root.join("identity/key.pem"), root.join("logs/link")).unwrap();

        let mut bundle = Bundle::new(Moment(1_764_000_000_000));
        bundle.add("about.json", &vec![b'x'; 513]).unwrap();
        bundle.add_state(root).unwrap();
        let path = root.join("bundle.tar.gz");
        std::fs::write(&path, bundle.finish().unwrap()).unwrap();
        let tar = |arguments: &[&str]| {
            let mut command = Command::new("tar");
            command
                .args(arguments)
                .arg("-zf")
                .arg(&path)
                .stderr(Stdio::inherit());
            let output = command.output().unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(tar(&["-t"]), "about.json\nnetwork.json\nlogs/service.log\n");
        let all = tar(&["-xO"]);
        assert!(!all.contains("HUSH") && all.contains("started\n(a line"), "{all}");
        assert_eq!(all.matches(LEFT_OUT).count(), 2);
    }

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        let mut bundle = Bundle::new(Moment(0));
        assert_eq!(
            bundle.add(&"x".repeat(101), b"").unwrap_err().kind(),
            Kind::Ceiling
        );
    }
}
