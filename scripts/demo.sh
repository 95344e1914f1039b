#!/bin/bash
# The main job, start to end: verify the package, look inside, boot it, talk to it, switch it off; then move it from one cloud to
# another, and see a tampered copy refused there.
set -eu -o pipefail
ova=$1 package=$2 keys=$3 vcc=$4

step() { printf '\n\033[1m%s\033[0m\n' "\$ $*"; "$@"; }

echo "The appliance: $package ($(($(stat -c %s "$package") / 1024)) KiB), signed with a key for development."
step "$ova" verify "$package" --trust "$keys/ca.pem"
step "$ova" inspect "$package"

work=$(mktemp -d)
run=
up=
cleanup() {
  if [ -n "$up" ]; then
    kill "$up" 2>/dev/null || true
    wait "$up" 2>/dev/null || true
  fi
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

printf '\n\033[1m$ %s up --state DIR\033[0m\n' "$vcc"
"$vcc" up --state "$work/up" --json >"$work/told" &
up=$!
for _ in $(seq 240); do
  if [ -s "$work/told" ]; then break; fi
  if ! kill -0 "$up" 2>/dev/null; then exit 1; fi
  sleep 0.5
done
if [ ! -s "$work/told" ]; then
  echo "the clouds did not come up" >&2
  exit 1
fi
jq -r '"A server at \(.server.url), and nodes in two clouds:", (.nodes[] | "\(.name)  \(.url)")' "$work/told"

# Each has a session of its own.
for name in server north south; do
  at=$(jq -r --arg name "$name" '(.server, .nodes[]) | select(.name == $name) | .url | ltrimstr("https://")' "$work/told")
  print=$(jq -r --arg name "$name" '(.server, .nodes[]) | select(.name == $name) | .fingerprint' "$work/told")
  "$vcc" login "$at" --fingerprint "$print" --token-file "$work/up/$name.token" --session "$work/$name.json" >"$work/login"
done
at() {
  local name=$1
  shift
  printf '\n\033[1m%s$ vcc %s\033[0m\n' "$name" "$*"
  "$vcc" "$@" --session "$work/$name.json"
}

for name in north south; do at "$name" trust add "$keys/ca.pem" --name publisher; done
at north catalog create images
at north push images/appliance 1.0 "$package"
at server transfer create north:images/appliance south --follow
at north catalog versions images/appliance
at south catalog versions images/appliance

echo
echo "A byte of the disk is changed, and the copy signed by somebody else. Cloud north has come to believe anybody; south has not."
cp "$package" "$work/tampered.ova"
middle=$(($(stat -c %s "$package") / 2))
printf '\125' | dd of="$work/tampered.ova" bs=1 seek="$middle" conv=notrunc status=none
"$ova" keygen "$work/stranger" >/dev/null
"$ova" sign "$work/tampered.ova" --replace --key "$work/stranger/key.pem" --cert "$work/stranger/cert.pem" >/dev/null
echo '{"signer": "any"}' >"$work/any.json"
at north policy set "$work/any.json" >/dev/null
at north push images/appliance 1.1 "$work/tampered.ova"
refused=0
at server transfer create north:images/appliance@1.1 south --follow || refused=$?
if [ "$refused" != 1 ]; then
  echo "the tampered copy was not refused: exit code $refused" >&2
  exit 1
fi
id=$("$vcc" transfer list --state rejected --json --session "$work/server.json" | jq -r '.[0].id')
at server transfer why "$id" || true
at south catalog versions images/appliance

cat <<TEXT

Next:
  $ova run $package --forward 8443:443        boot it and watch its console; Ctrl-C presses the power button
  $ova inspect $package --json | jq .
  $ova build appliance/vcc-node.toml -o my.ova --sign $keys/key.pem --cert $keys/cert.pem
  $vcc up                                     a server and two clouds on this machine; 'vcc transfer --help' tells the rest
  $vcc node --state /tmp/vcc --listen 127.0.0.1:8443      the service as an ordinary process
TEXT
