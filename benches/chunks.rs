//! How fast a file is cut into chunks and digested, in MB/s on one core, over 1 GiB without any order.
//!
//! Run by `cargo bench -p e2e --bench chunks`; prints Markdown. The best of three, because machines are shared.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a failed measurement is a panic, and figures are rounded"
)]

use std::io::sink;
use std::time::Instant;

use appliance::chunk::{Builder, Class, Cutter};
use appliance::digest::{Digest, Hasher};

const SIZE: usize = 1 << 30;
const PIECE: usize = 256 << 10;

fn main() {
    let bytes = noise();
    println!("| what | MB/s |\n|---|---|");
    for size in [1_u64 << 30, 8 << 30, 64 << 30, 1 << 40] {
        let class = Class::of(size);
        measure(&format!("cut, {} KiB on average", class.average() >> 10), || {
            let mut cutter = Cutter::new(class);
            for piece in bytes.chunks(PIECE) {
                let mut rest = piece;
                while let Some(end) = cutter.take(rest) {
                    rest = &rest[end..];
                }
            }
        });
    }
    measure("chunk index", || {
        let mut builder = Builder::new(SIZE as u64, sink()).unwrap();
        for piece in bytes.chunks(PIECE) {
            builder.update(piece).unwrap();
        }
        builder.finish(Digest::of(b"")).unwrap();
    });
    measure("file digest", || {
        let mut hasher = Hasher::default();
        bytes.chunks(PIECE).for_each(|piece| hasher.update(piece));
        hasher.finish();
    });
    measure("chunk index and file digest", || {
        let (mut builder, mut hasher) = (Builder::new(SIZE as u64, sink()).unwrap(), Hasher::default());
        for piece in bytes.chunks(PIECE) {
            hasher.update(piece);
            builder.update(piece).unwrap();
        }
        builder.finish(hasher.finish()).unwrap();
    });
}

fn measure(what: &str, mut run: impl FnMut()) {
    let took = (0..3).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    });
    let best = took.fold(f64::MAX, f64::min);
    println!("| {what} | {:.0} |", SIZE as f64 / 1e6 / best);
}

fn noise() -> Vec<u8> {
    let mut bytes = vec![0; SIZE];
    let mut state = 1_u64;
    for word in bytes.as_chunks_mut::<8>().0 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let mixed = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        *word = (mixed ^ (mixed >> 32)).to_be_bytes();
    }
    bytes
}
