//! The arguments by which a verb signs.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use ovf::certificate::Signer;
use packer::sign::{command_signer, open_signer};
use packer::{Error, input};

/// The flags' group in help texts.
const HEADING: &str = "Signing";

#[derive(Debug, Args)]
pub(crate) struct SignerArguments {
    /// The signer's certificate (PEM), then the certificates that issued it, if any
    #[arg(help_heading = HEADING, long, value_name = "CERT.pem")]
    cert: Option<PathBuf>,
    /// Sign by this command, which has the key: manifest on its stdin, signature on its stdout (docs/verify.md)
    #[arg(help_heading = HEADING, long, value_name = "COMMAND", requires = "cert")]
    sign_command: Option<String>,
    /// Seconds that the command may take
    #[arg(help_heading = HEADING, long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    sign_timeout: u32,
    /// A file whose first line is the key's passphrase
    #[arg(help_heading = HEADING, long, value_name = "FILE", conflicts_with = "passphrase_env")]
    passphrase_file: Option<PathBuf>,
    /// The environment variable that holds the key's passphrase
    #[arg(help_heading = HEADING, long, value_name = "VARIABLE")]
    passphrase_env: Option<String>,
}

/// The arguments of a verb that makes a package, signed or not.
#[derive(Debug, Args)]
pub(crate) struct Signing {
    /// Sign with this RSA private key (PEM): PKCS#8, plain or encrypted, or PKCS#1
    #[arg(
        help_heading = HEADING,
        long,
        value_name = "KEY.pem",
        requires = "cert",
        conflicts_with = "sign_command"
    )]
    sign: Option<PathBuf>,
    #[command(flatten)]
    signer: SignerArguments,
}

impl Signing {
    /// Who signs; nobody, where neither a key nor a command is given.
    pub(crate) fn signer(&self) -> anyhow::Result<Option<Signer>> {
        self.signer.open(self.sign.as_deref())
    }
}

const MAX_PASSPHRASE_BYTES: u64 = 4096;

impl SignerArguments {
    /// The signer with this key file, or with the command; nobody, where neither is given.
    pub(crate) fn open(&self, key: Option<&Path>) -> anyhow::Result<Option<Signer>> {
        let signer = match (key, &self.sign_command, &self.cert) {
            (None, None, None) => return Ok(None),
            (Some(_), Some(_), _) => return usage("give a key or --sign-command, one of the two"),
            (Some(key), None, Some(cert)) => open_signer(key, cert, || self.passphrase(key))?,
            (None, Some(command), Some(cert)) => {
                let timeout = Duration::from_secs(self.sign_timeout.into());
                command_signer(command, timeout, cert)?
            }
            (_, _, None) => return usage("a signature needs the signer's certificate: --cert CERT.pem"),
            (None, None, Some(_)) => return usage("--cert needs a key, or --sign-command"),
        };
        Ok(Some(signer))
    }

    /// The passphrase of an encrypted key: none where there is nobody to ask.
    fn passphrase(&self, key: &Path) -> packer::Result<Option<String>> {
        if let Some(path) = &self.passphrase_file {
            let text = String::from_utf8(input::read_bounded(path, MAX_PASSPHRASE_BYTES)?);
            // The error would show the bytes.
            let text = text.map_err(|_| Error::Usage(format!("{}: not UTF-8", path.display())))?;
            return Ok(text.lines().next().map(str::to_owned));
        }
        if let Some(variable) = &self.passphrase_env {
            let missing = |_| Error::Usage(format!("{variable}: no such environment variable, or not UTF-8"));
            return std::env::var(variable).map(Some).map_err(missing);
        }
        if !std::io::stdin().is_terminal() {
            return Ok(None);
        }
        Ok(rpassword::prompt_password(format!("{}: passphrase: ", key.display())).ok())
    }
}

fn usage<T>(reason: &str) -> anyhow::Result<T> {
    Err(Error::Usage(reason.to_owned()).into())
}
