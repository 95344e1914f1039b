#!/bin/bash
# Builds all tests of the packages that the arguments (`-p PACKAGE`) name, and runs their programs side by side, LANES at once, with THREADS
# each and OPTIONS: most of them wait most of the time. What one of them prints comes together, at its end; the first that fails ends all.
set -eu -o pipefail
lanes=${LANES:-3} threads=${THREADS:-2}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export work threads

cargo test --no-run --message-format=json-render-diagnostics "$@" >"$work/built"
jq -r 'select(.executable and .profile.test) | "\(.manifest_path | rtrimstr("/Cargo.toml")) \(.executable)"' \
  "$work/built" >"$work/all"
# Those that take longest begin first, so that none of them is left alone at the end.
long='/(deploy|boot|slots|attacks|kills|ways|rotation)-[0-9a-f]*$'
{ grep -E "$long" "$work/all" || true; grep -vE "$long" "$work/all" || true; } >"$work/programs"

run() {
  log=$work/$(basename "$2").log
  cd "$1"
  status=0
  # shellcheck disable=SC2086
  "$2" --test-threads="$threads" ${OPTIONS:-} >"$log" 2>&1 || status=$?
  # One after the other.
  flock "$work" bash -c 'echo; echo "$1: ${2##*/}"; cat "$3"' bash "$(basename "$1")" "${2%-*}" "$log"
  # By 255 the others are not begun any more.
  [ "$status" = 0 ] || exit 255
}
export -f run

started=$SECONDS
xargs -P "$lanes" -L 1 bash -c 'run "$@"' bash <"$work/programs"
cargo test --quiet --doc "$@"
echo "$(wc -l <"$work/programs") programs in $((SECONDS - started)) s"
