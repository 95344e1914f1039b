#!/bin/bash
# Installs what building, running and testing need on Debian 12. Does nothing where it is all there.
set -eu -o pipefail

programs=(gcc qemu-system-x86_64 qemu-img virt-v2v xmllint sgdisk fsck.fat mcopy xorriso cpio openssl curl jq e2fsck debugfs
  cloud-init setpriv python3 libvirtd virsh dnsmasq iptables ip unshare nsenter
  chromium chromedriver rsyslogd aria2c)
files=(/usr/share/OVMF/OVMF_CODE_4M.fd /usr/lib/python3.11/ensurepip/__init__.py)
packages=(gcc libc6-dev make curl jq cpio openssl ovmf qemu-system-x86/bookworm qemu-utils/bookworm virt-v2v libxml2-utils
  gdisk dosfstools mtools xorriso e2fsprogs cloud-init util-linux python3-venv libvirt-daemon-system libvirt-clients
  dnsmasq-base iptables iproute2 chromium chromium-driver rsyslog aria2)

PATH=$PATH:/usr/sbin:/sbin
missing=()
for program in "${programs[@]}"; do command -v "$program" >/dev/null || missing+=("$program"); done
for file in "${files[@]}"; do [ -e "$file" ] || missing+=("$file"); done
# The builder fetches Debian's kernel and boot loader through apt, which needs its lists.
lists=$(find /var/lib/apt/lists -name '*_Packages*' 2>/dev/null | head -1)

log=$(mktemp)
trap 'rm -f "$log"' EXIT
as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
install() {
  "${as_root[@]}" apt-get update -q
  [ ${#missing[@]} -eq 0 ] || "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qy --no-install-recommends --allow-downgrades "${packages[@]}"
}
if [ ${#missing[@]} -ne 0 ] || [ -z "$lists" ]; then
  echo "installing what is missing: ${missing[*]:-package lists}" >&2
  if ! install >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
  fi
fi

# Neither is in a Debian. Only tests that skip without them want them, so a machine without PyPI builds all the same.
cd "$(dirname "$0")/.."
install_python() {
  /usr/bin/python3 -m venv --clear "out/$1.new" &&
    "out/$1.new/bin/pip" install -q --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
      -r "scripts/$1.txt" &&
    "out/$1.new/bin/python" -c "import $2" &&
    cp "scripts/$1.txt" "out/$1.new/" && rm -rf "out/$1" && mv "out/$1.new" "out/$1"
}
for pair in cot:COT.vm_description.ovf schemathesis:schemathesis; do
  name=${pair%%:*}
  if ! cmp -s "scripts/$name.txt" "out/$name/$name.txt"; then
    echo "installing $name in out/$name" >&2
    if ! install_python "$name" "${pair#*:}" >"$log" 2>&1; then
      cat "$log" >&2
      [ -z "${CI:-}" ] || exit 1
    fi
  fi
done
