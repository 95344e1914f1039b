use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use time::OffsetDateTime;

use crate::progress::Progress;
use crate::report;

/// Make a certificate authority and a signing key for development
///
/// Writes ca.pem (for --trust), cert.pem (for --cert) and key.pem (for --sign). The certificates say in their names that
/// they are for development only, and the authority's own key is thrown away.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Folder for the three files; made if it isn't there
    folder: PathBuf,
}

impl Arguments {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let progress = Progress::new("making two RSA keys of 3072 bits", json);
        let keys = packer::keygen::generate(OffsetDateTime::now_utc())?;
        packer::keygen::write(&keys, &self.folder)?;
        progress.finish();
        let file = |name: &str| self.folder.join(name);
        if json {
            report::print_json(
                &json!({ "ca": file("ca.pem"), "cert": file("cert.pem"), "key": file("key.pem") }),
            )?;
        } else {
            report::print(&format!(
                "{}  certificate authority, for --trust\n{}  signer's certificate, for --cert\n{}  \
                 signer's private key, for --sign\nFor development only: do not sign releases with them.\n",
                file("ca.pem").display(),
                file("cert.pem").display(),
                file("key.pem").display(),
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
