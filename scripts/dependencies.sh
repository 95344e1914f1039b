#!/bin/bash
# Installs what building, running and testing need on Debian 12. Does nothing where it is all there.
set -eu -o pipefail

programs=(gcc qemu-system-x86_64 qemu-img virt-v2v xmllint sgdisk fsck.fat mcopy xorriso cpio openssl curl jq e2fsck debugfs
  cloud-init setpriv)
files=(/usr/share/OVMF/OVMF_CODE_4M.fd)
packages=(gcc libc6-dev make curl jq cpio openssl ovmf qemu-system-x86/bookworm qemu-utils/bookworm virt-v2v libxml2-utils
  gdisk dosfstools mtools xorriso e2fsprogs cloud-init util-linux)

PATH=$PATH:/usr/sbin:/sbin
missing=()
for program in "${programs[@]}"; do command -v "$program" >/dev/null || missing+=("$program"); done
for file in "${files[@]}"; do [ -e "$file" ] || missing+=("$file"); done
# The builder fetches Debian's kernel and boot loader through apt, which needs its lists.
lists=$(find /var/lib/apt/lists -name '*_Packages*' 2>/dev/null | head -1)
[ ${#missing[@]} -eq 0 ] && [ -n "$lists" ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
echo "installing what is missing: ${missing[*]:-package lists}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
  "${as_root[@]}" apt-get update -q
  [ ${#missing[@]} -eq 0 ] || "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qy --no-install-recommends --allow-downgrades "${packages[@]}"
}
if ! install >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
