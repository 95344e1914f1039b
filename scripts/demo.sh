#!/bin/bash
# The main job, start to end: verify the package, look inside, boot it, talk to it, switch it off.
set -eu -o pipefail
ova=$1 package=$2 keys=$3

step() { printf '\n\033[1m%s\033[0m\n' "\$ $*"; "$@"; }

echo "The appliance: $package ($(($(stat -c %s "$package") / 1024)) KiB), signed with a key for development."
step "$ova" verify "$package" --trust "$keys/ca.pem"
step "$ova" inspect "$package"

work=$(mktemp -d)
run=
cleanup() {
  if [ -n "$run" ]; then
    kill "$run" 2>/dev/null || true
    wait "$run" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap cleanup EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])' 2>/dev/null || echo 18443)
printf '\n\033[1m$ ova run %s --trust %s --prop hostname=demo --forward %s:443\033[0m\n' "$package" "$keys/ca.pem" "$port"
"$ova" run "$package" --trust "$keys/ca.pem" --prop hostname=demo --forward "$port:443" --console "$work/console" &
run=$!
for _ in $(seq 600); do
  if curl -skf --max-time 5 "https://127.0.0.1:$port/healthz" >"$work/healthz"; then break; fi
  if ! kill -0 "$run" 2>/dev/null; then
    cat "$work/console" >&2
    exit 1
  fi
  sleep 0.5
done
if [ ! -s "$work/healthz" ]; then
  echo "the appliance did not answer" >&2
  cat "$work/console" >&2
  exit 1
fi
tr -d '\r' <"$work/console" | tail -n 16
printf '\n\033[1m$ curl -k https://127.0.0.1:%s/healthz\033[0m\n%s\n' "$port" "$(cat "$work/healthz")"
printf '\n\033[1m$ curl -k https://127.0.0.1:%s/api/v1/about\033[0m\n' "$port"
curl -sk "https://127.0.0.1:$port/api/v1/about" | jq .

echo
echo "Pressing its power button."
kill -TERM "$run"
wait "$run"
run=
cat <<TEXT

Next:
  $ova run $package --forward 8443:443        boot it and watch its console; Ctrl-C presses the power button
  $ova inspect $package --json | jq .
  $ova build appliance/vcc-node.toml -o my.ova --sign $keys/key.pem --cert $keys/cert.pem
  out/vcc node --state /tmp/vcc --listen 127.0.0.1:8443      the same service as an ordinary process
TEXT
