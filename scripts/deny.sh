#!/bin/bash
# Licences, bans and sources of every crate, by cargo-deny.
set -eu
if ! command -v cargo-deny >/dev/null; then
  cargo install --locked --quiet cargo-deny
fi
cargo deny --locked check --hide-inclusion-graph licenses bans sources
