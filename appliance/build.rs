//! Packs the API's description, as it is served.

use std::path::Path;
use std::{env, fs, io};

use flate2::{Compression, GzBuilder};

fn main() -> io::Result<()> {
    let out = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    for name in ["server.json", "node.json"] {
        let path = Path::new("openapi").join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        let document: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
        let file = fs::File::create(Path::new(&out).join(format!("{name}.gz")))?;
        // Without a time in its head: the same bytes each time.
        let mut packed = GzBuilder::new().write(file, Compression::best());
        serde_json::to_writer(&mut packed, &document)?;
        packed.finish()?;
    }
    Ok(())
}
