#!/bin/bash
# The last commit, built twice at different paths, one after the other (so by different clocks), with different umask, time zone and
# locale, commands and all, must give the same package and bill of materials, byte for byte. What was built here already is one of the
# two, unless something here isn't committed: then two clones are.
set -eu -o pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
commit=$(git -C "$here" rev-parse HEAD)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build CLONE UMASK TZ LOCALE
build() {
  echo "building in $1 (umask $2, TZ $3, LC_ALL $4, $(date -u +%H:%M:%S))"
  (
    umask "$2"
    git clone --quiet --no-hardlinks "$here" "$1"
    cd "$1"
    git checkout --quiet --detach "$commit"
    if [ -d "$work/keys" ]; then
      mkdir out
      cp -r "$work/keys" out/keys
    fi
    unset SOURCE_DATE_EPOCH RUSTFLAGS CARGO_BUILD_TARGET_DIR MAKEFLAGS MAKELEVEL
    env CARGO_TARGET_DIR=target TZ="$3" LC_ALL="$4" make package >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  )
  # A signature is the same only under the same key.
  [ -d "$work/keys" ] || cp -r "$1/out/keys" "$work/keys"
}

first=$here
second=$work/a/place/much/further/down/two
mkdir -p "$(dirname "$second")"
if [ -z "$(git -C "$here" status --porcelain)" ]; then
  rm -f "$here/out/vcc-node.ova"
  make -C "$here" --no-print-directory package >/dev/null
  cp -r "$here/out/keys" "$work/keys"
else
  echo "note: changes that are not committed are not in the clones" >&2
  first=$work/one
  build "$first" 022 UTC C
fi
build "$second" 077 Pacific/Kiritimati C.UTF-8

for file in vcc vcc-node.ova vcc-node.cdx.json; do
  if ! cmp "$first/out/$file" "$second/out/$file"; then
    echo "not reproducible: $file" >&2
    exit 1
  fi
  echo "the same: $(cd "$first/out" && sha256sum "$file")"
done
