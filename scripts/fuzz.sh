#!/bin/bash
# Runs the fuzz targets, FUZZ_SECONDS each (60); FUZZ_TARGETS names a few of them. A failing input is left in
# fuzz/artifacts/TARGET: put it into fuzz/seeds/TARGET, and the ordinary tests replay it.
set -eu -o pipefail

missing() {
  echo "fuzz: $1 is missing: $2" >&2
  exit 2
}
cargo +nightly --version >/dev/null 2>&1 || missing "Rust nightly" "rustup toolchain install nightly"
cargo fuzz --version >/dev/null 2>&1 || missing "cargo-fuzz" "cargo install cargo-fuzz"

for target in ${FUZZ_TARGETS:-archive certificate descriptor environment file index manifest offer qcow2 signed sparse stream vhd vhdx}; do
  mkdir -p "fuzz/corpus/$target"
  cargo +nightly fuzz run --target-dir fuzz/target "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
    -max_total_time="${FUZZ_SECONDS:-60}" -max_len=65536 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
done
