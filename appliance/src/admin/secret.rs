//! Secrets, from files or the terminal, into files or a pipe; never from the command line.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::{Failure, Result};
use super::{output, terminal};
use crate::error::{Error, Kind};
use crate::file::{self, PrivateFile};

/// The longest secret in bytes.
const LIMIT: usize = 4096;
const STANDARD_INPUT: &str = "-";

/// A secret from a file's only line, or asked for. `option` is what names the file.
pub(crate) fn secret(from: Option<&Path>, question: &str, option: &str) -> Result<String> {
    let secret = match from {
        Some(path) => of_file(path)?,
        None => terminal::hidden(
            question,
            &format!("{option} FILE takes it from a file, or from standard input ('-')"),
        )?,
    };
    match secret.is_empty() {
        true => Err(Failure::usage(
            question.trim_end_matches([':', ' ']),
            "is empty",
            "a secret is one line of text",
        )),
        false => Ok(secret),
    }
}

/// A token from a file's only line.
pub(crate) fn token(path: &Path) -> Result<String> {
    let token = of_file(path)?;
    match !token.is_empty() && token.chars().all(|c| c.is_ascii_graphic()) {
        true => Ok(token),
        false => Err(Failure::usage(
            path.display().to_string(),
            "holds no token",
            "vcc token add NAME --scope RIGHTS --output FILE makes one",
        )),
    }
}

fn of_file(path: &Path) -> Result<String> {
    let bytes = match path == Path::new(STANDARD_INPUT) {
        true => standard_input()?,
        false => file::read(path, LIMIT)?,
    };
    let wrong = |reason: &str| Error::new(Kind::Malformed, path.display().to_string(), reason);
    let text = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    match line.contains('\n') {
        true => Err(wrong("has more than one line, and a secret is one").into()),
        false => Ok(line.to_owned()),
    }
}

fn standard_input() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(LIMIT).unwrap_or(u64::MAX).saturating_add(1);
    let read = io::stdin().lock().take(most).read_to_end(&mut bytes);
    read.map_err(|error| Error::new(Kind::Io, "standard input", "cannot be read").because(error))?;
    match bytes.len() > LIMIT {
        true => {
            let reason = format!("is longer than {LIMIT} bytes");
            Err(Error::new(Kind::Ceiling, "standard input", reason).into())
        }
        false => Ok(bytes),
    }
}

/// A password for somebody.
#[derive(Debug, Args)]
pub(crate) struct NewPassword {
    /// Take the password from this file's only line ('-': standard input); asked for twice if not given
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl NewPassword {
    /// Whether a file was named.
    pub(crate) fn is_given(&self) -> bool {
        self.password_file.is_some()
    }

    /// The password, asked for twice where it is typed.
    pub(crate) fn read(&self, of: &str) -> Result<String> {
        let from = self.password_file.as_deref();
        let password = secret(
            from,
            &format!("New password of {}: ", output::printable(of)),
            "--password-file",
        )?;
        if from.is_none() && secret(None, "The same again: ", "--password-file")? != password {
            return Err(Failure::usage(
                "the password",
                "was typed in two ways",
                "type it again",
            ));
        }
        Ok(password)
    }
}

/// Where a secret goes that is shown once.
#[derive(Debug, Args)]
pub(crate) struct SecretOutput {
    /// Write the secret into this file, for its owner alone, in place of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl SecretOutput {
    /// Sees that it can be written, before there is a secret that would be lost.
    pub(crate) fn open(&self) -> Result<Option<PrivateFile>> {
        Ok(self.output.as_deref().map(PrivateFile::create).transpose()?)
    }
}

/// Keeps the secret in its file, or prints it alone. The connector's secrets are of plain characters.
pub(super) fn hand_over(secret: &str, to: Option<PrivateFile>) -> Result<()> {
    if secret.is_empty() || !secret.chars().all(|c| c.is_ascii_graphic()) {
        return Err(Error::new(
            Kind::Malformed,
            "the connector's answer",
            "has no secret as it should be",
        )
        .into());
    }
    let line = format!("{secret}\n");
    match to {
        Some(file) => Ok(file.keep(line.as_bytes())?),
        None => output::print(&line),
    }
}
