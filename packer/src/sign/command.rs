//! A command that has the private key: the way to a hardware module or a key management service.
//!
//! `sh -c COMMAND` gets the manifest's very bytes on standard input and answers with the RSA PKCS#1 v1.5 signature on
//! standard output: raw, in Base64 or in hexadecimal. It gets the manifest and not its DigestInfo, so that whoever holds
//! the key can see what it signs, and `openssl dgst -sha256 -sign key.pem` is such a command as it stands. For services
//! that sign digests, the digest is in its environment:
//!
//! | variable | holds |
//! |---|---|
//! | `OVA_SIGN_ALGORITHM` | `sha256`, `sha384`, `sha512` |
//! | `OVA_SIGN_SCHEME` | `rsa-pkcs1-v1.5` |
//! | `OVA_SIGN_DIGEST` | the manifest's digest under that algorithm, in hexadecimal |
//! | `OVA_SIGN_MANIFEST` | the manifest's name |

use std::io::{IsTerminal as _, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use ovf::certificate::SigningDevice;
use ovf::manifest::DigestAlgorithm;
use ovf::{Error, Kind};

/// A signature is at most 1,024 bytes, and twice that in hexadecimal; the rest is room for line ends.
const MAX_ANSWER: u64 = 16 << 10;

/// How much of what the command complained about is told.
const MAX_COMPLAINT: usize = 2 << 10;

/// How often the command is asked whether it has ended.
const TICK: Duration = Duration::from_millis(10);

/// What is still in its pipes once it has ended comes within this time, unless a child of it holds them open.
const GRACE: Duration = Duration::from_secs(1);

/// A command that signs.
#[derive(Debug, Clone)]
pub struct SignCommand {
    command: String,
    timeout: Duration,
}

impl SignCommand {
    /// A command for `sh -c`, which may take so long for one signature.
    #[must_use]
    pub fn new(command: &str, timeout: Duration) -> Self {
        Self {
            command: command.to_owned(),
            timeout,
        }
    }

    fn failed(&self, reason: impl std::fmt::Display) -> Error {
        Error::new(
            Kind::KeyDevice,
            format!("sign command '{}' {reason}", self.command),
        )
    }

    fn start(
        &self,
        algorithm: DigestAlgorithm,
        manifest_name: &str,
        manifest: &[u8],
    ) -> std::io::Result<Child> {
        let mut command = Command::new("sh");
        command
            .args(["-c", &self.command])
            .env("OVA_SIGN_ALGORITHM", algorithm.option_name())
            .env("OVA_SIGN_SCHEME", "rsa-pkcs1-v1.5")
            .env("OVA_SIGN_DIGEST", algorithm.digest(manifest).to_string())
            .env("OVA_SIGN_MANIFEST", manifest_name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if !is_attended() {
            command.process_group(0);
        }
        command.spawn()
    }

    fn wait(&self, child: &mut Child) -> Result<ExitStatus, Error> {
        let end = Instant::now() + self.timeout;
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() < end => std::thread::sleep(TICK),
                Ok(None) => {
                    stop(child);
                    let seconds = self.timeout.as_secs();
                    return Err(self.failed(format!("did not end within {seconds} seconds")));
                }
                Err(error) => return Err(self.failed("cannot be waited for").caused_by(error)),
            }
        }
    }
}

impl SigningDevice for SignCommand {
    fn sign(
        &self,
        algorithm: DigestAlgorithm,
        manifest_name: &str,
        manifest: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let mut child = self
            .start(algorithm, manifest_name, manifest)
            .map_err(|error| self.failed("cannot be started").caused_by(error))?;
        if let Some(mut stdin) = child.stdin.take() {
            let manifest = manifest.to_vec();
            // A command that goes by the digest alone closes its input, which is no failure.
            std::thread::spawn(move || stdin.write_all(&manifest));
        }
        let answer = collect(child.stdout.take(), read_answer);
        let complaint = collect(child.stderr.take(), read_tail);
        let status = self.wait(&mut child)?;
        let answer = answer.recv_timeout(GRACE).unwrap_or_default();
        let complaint = complaint.recv_timeout(GRACE).unwrap_or_default();
        if !status.success() {
            let complaint = String::from_utf8_lossy(&complaint);
            return Err(self.failed(format!("left with {status}: {}", complaint.trim())));
        }
        if answer.len() as u64 > MAX_ANSWER {
            return Err(self.failed(format!("printed more than {MAX_ANSWER} bytes")));
        }
        let signature = decode(&answer);
        if signature.is_empty() {
            return Err(self.failed("printed no signature"));
        }
        Ok(signature)
    }
}

/// Whether somebody may be asked for a PIN: only the foreground's process group may read a terminal.
fn is_attended() -> bool {
    std::io::stdin().is_terminal()
}

/// Ends the command, and where it has a process group of its own, its children.
fn stop(child: &mut Child) {
    if !is_attended() {
        let group = rustix::process::Pid::from_child(child);
        // It may have ended by itself in the meantime.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Reads a pipe beside the wait: a command that fills one pipe while nobody reads the other would never end.
fn collect<R: Read + Send + 'static>(pipe: Option<R>, read: fn(R) -> Vec<u8>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    if let Some(pipe) = pipe {
        // The receiver may have given up.
        std::thread::spawn(move || drop(sender.send(read(pipe))));
    }
    receiver
}

fn read_answer<R: Read>(pipe: R) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read before a failure is judged as it is: half a signature does not verify.
    let _ = pipe.take(MAX_ANSWER + 1).read_to_end(&mut bytes);
    bytes
}

/// The last words of a pipe that is read to its end.
fn read_tail<R: Read>(mut pipe: R) -> Vec<u8> {
    let (mut tail, mut piece) = (Vec::new(), [0; 1024]);
    while let Ok(read @ 1..) = pipe.read(&mut piece) {
        tail.extend_from_slice(&piece[..read]);
        let excess = tail.len().saturating_sub(MAX_COMPLAINT);
        tail.drain(..excess);
    }
    tail
}

/// A signature in hexadecimal or Base64, over any number of lines; anything else is the signature itself.
fn decode(answer: &[u8]) -> Vec<u8> {
    let text: Option<String> = std::str::from_utf8(answer)
        .ok()
        .map(|text| text.split_ascii_whitespace().collect());
    let decoded = text.and_then(|text| {
        from_hex(&text).or_else(|| base64::engine::general_purpose::STANDARD.decode(text).ok())
    });
    decoded.unwrap_or_else(|| answer.to_vec())
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes = pairs
        .iter()
        .map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok());
    rest.is_empty().then(|| bytes.collect()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(command: &str, timeout: Duration) -> Result<Vec<u8>, Error> {
        SignCommand::new(command, timeout).sign(DigestAlgorithm::Sha256, "a.mf", b"manifest")
    }

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn the_manifest_is_on_standard_input_and_the_rest_in_the_environment() {
        assert_eq!(sign("cat; printf '\\0'", SOON).unwrap(), b"manifest\0");
        let told = sign(
            "printf '%s %s %s \\0' $OVA_SIGN_ALGORITHM $OVA_SIGN_SCHEME $OVA_SIGN_MANIFEST",
            SOON,
        );
        assert_eq!(told.unwrap(), b"sha256 rsa-pkcs1-v1.5 a.mf \0");
        let digest = sign("printf %s $OVA_SIGN_DIGEST", SOON).unwrap();
        assert_eq!(digest, DigestAlgorithm::Sha256.digest(b"manifest").as_bytes());
    }

    #[test]
    fn the_answer_may_be_raw_hexadecimal_or_base64() {
        assert_eq!(sign("printf '\\377\\376\\n'", SOON).unwrap(), b"\xFF\xFE\n");
        assert_eq!(sign("echo 00fF; echo 10", SOON).unwrap(), [0, 0xFF, 0x10]);
        assert_eq!(sign("echo //79; echo AA==", SOON).unwrap(), [0xFF, 0xFE, 0xFD, 0]);
    }

    #[test]
    fn a_failure_names_the_exit_status_and_what_was_complained_about() {
        let error = sign("echo 'no token' >&2; exit 7", SOON).unwrap_err();
        assert_eq!(error.kind(), Kind::KeyDevice);
        assert!(
            error.reason().contains('7') && error.reason().contains("no token"),
            "{error}"
        );
        let error = sign("true", SOON).unwrap_err();
        assert!(error.reason().contains("no signature"), "{error}");
        let error = sign("head -c 100000 /dev/zero", SOON).unwrap_err();
        assert_eq!(error.kind(), Kind::KeyDevice);
        let loud = sign("head -c 1000000 /dev/zero >&2; exit 1", SOON).unwrap_err();
        assert!(loud.reason().len() < 4096);
    }

    #[test]
    fn a_command_that_does_not_end_is_ended() {
        let start = Instant::now();
        let error = sign("sleep 30; sleep 30", Duration::from_millis(200)).unwrap_err();
        assert!(error.reason().contains("did not end"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
