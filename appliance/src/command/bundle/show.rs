//! `vcc bundle show`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::admin::{Meter, Output, Result, details};
use crate::bundle::Bundle;
use crate::command::Call;
use crate::digest::Hasher;
use crate::error::{Error, Kind};

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// Show what a bundle is for, and what is in it
#[derive(Debug, Args)]
pub(in crate::command) struct Show {
    /// The bundle
    bundle: PathBuf,
    /// What opens it
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// Read all of it, and compare each file with its digest
    #[arg(long)]
    check: bool,
}

impl Show {
    pub(super) fn run(self, call: &Call) -> Result<()> {
        let bundle = super::open(&self.bundle, &self.key_file)?;
        let grant = bundle.head().granted()?;
        if self.check {
            check(&bundle, call.output)?;
        }
        let told = json!({ "grant": grant, "files": bundle.head().offer.files, "checked": self.check });
        call.output.result(&told, || details(&told))
    }
}

fn check(bundle: &Bundle, output: Output) -> Result<()> {
    let meter = Meter::new("checking", bundle.head().offer.bytes(), output.json);
    let mut piece = vec![0; PIECE];
    for (index, file) in bundle.head().offer.files.iter().enumerate() {
        let (mut hasher, mut done) = (Hasher::default(), 0);
        while done < file.bytes {
            let length = usize::try_from(file.bytes - done).map_or(PIECE, |left| left.min(PIECE));
            let some = piece.get_mut(..length).unwrap_or_default();
            bundle
                .read_at(bundle.start_of(index).saturating_add(done), some)
                .map_err(super::unopened)?;
            hasher.update(some);
            done += length as u64;
            meter.add(length);
        }
        if hasher.finish() != file.digest {
            let error = Error::new(Kind::Mismatch, file.name.as_str(), "is not what its digest says");
            return Err(super::unopened(error));
        }
    }
    Ok(())
}
