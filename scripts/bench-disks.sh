#!/bin/bash
# Makes the disks that benches/disks.rs measures with, in the folder that is given: a file system of this machine's own
# files, noise, and a file system with nearly nothing in it. What is there already is kept.
set -eu -o pipefail
folder=$1
PATH=$PATH:/usr/sbin:/sbin
mkdir -p "$folder"
cd "$folder"
work=$(mktemp -d -p .)
trap 'rm -rf "$work"' EXIT

# ext4 NAME SIZE TREE: the same bytes for the same tree.
ext4() {
  E2FSPROGS_FAKE_TIME=1 mkfs.ext4 -q -F -U 3d0ca351-5f5a-4f0c-8bb6-7e1f3ba1d6a1 -E hash_seed=3d0ca351-5f5a-4f0c-8bb6-7e1f3ba1d6a1 \
    -d "$3" "$work/$1" "$2"
  mv "$work/$1" "$1"
}

# Programs, libraries, text, headers: what an appliance's system disk holds, 400 MiB of it.
if [ ! -e realistic.raw ]; then
  mkdir "$work/tree"
  find /usr/bin /usr/sbin /usr/lib /usr/share /usr/include -xdev -type f -readable -size -8M -printf '%s %p\n' 2>/dev/null |
    LC_ALL=C sort -k 2 | awk -v step=7 'NR % step == 0 && (sum += $1) < 400 * 1024 * 1024 { print substr($0, index($0, " ") + 1) }' |
    tar -cf - --verbatim-files-from -T - 2>/dev/null | tar -xf - -C "$work/tree"
  ext4 realistic.raw 768M "$work/tree"
fi

if [ ! -e noise.raw ]; then
  openssl enc -aes-128-ctr -nosalt -K 00112233445566778899aabbccddeeff -iv 0 </dev/zero 2>/dev/null |
    head -c 536870912 >"$work/noise" || true
  [ "$(stat -c %s "$work/noise")" -eq 536870912 ]
  mv "$work/noise" noise.raw
fi

if [ ! -e empty.raw ]; then
  mkdir "$work/nothing"
  ext4 empty.raw 10G "$work/nothing"
fi
