#!/bin/bash
# scripts/deb.sh VCC makes out/vcc_VERSION_amd64.deb of the static command, its services, manual pages and completions. The
# same source gives the same bytes.
set -eu -o pipefail
cd "$(dirname "$0")/.."
vcc=$1
export LC_ALL=C TZ=UTC
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

version=$("$vcc" --version | cut -d' ' -f2)
architecture=amd64
package=out/vcc_${version}_$architecture.deb
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
umask 022
chmod 755 "$root"

share=$root/usr/share
doc=$share/doc/vcc
install -D -m 755 "$vcc" "$root/usr/bin/vcc"
install -D -m 644 -t "$root/usr/lib/systemd/system" appliance/systemd/*.service
install -D -m 644 appliance/debian/sysusers.conf "$root/usr/lib/sysusers.d/vcc.conf"
install -D -m 644 -t "$doc" appliance/debian/copyright
gzip -9nc CHANGELOG.md >"$doc/changelog.gz"
CARGO_TERM_QUIET=true ${CARGO:-cargo} tree --locked --offline -p appliance -e normal --prefix none \
  -f '{p}|{l}' | sed 's/ (.*)|/|/; s/ (\*)$//' | sort -u | grep -v '^\(appliance\|image\|ovf\) ' |
  sed 's/|/, /' | gzip -9nc >"$doc/crates.gz"

"$vcc" man "$share/man/man1"
gzip -9n "$share/man/man1"/*
bash=$share/bash-completion/completions zsh=$share/zsh/vendor-completions fish=$share/fish/vendor_completions.d
mkdir -p "$bash" "$zsh" "$fish"
"$vcc" completions bash >"$bash/vcc"
"$vcc" completions zsh >"$zsh/_vcc"
"$vcc" completions fish >"$fish/vcc.fish"

control=$root/DEBIAN
mkdir "$control"
install -m 755 -t "$control" appliance/debian/{postinst,prerm,postrm}
size=$(du -k -s --apparent-size --exclude=DEBIAN "$root" | cut -f1)
# The first of the workspace's authors, where it names some.
maintainer=$(sed -n '/^\[workspace\.package\]/,/^\[/s/^authors *= *\["\([^"]*\)".*/\1/p' Cargo.toml)
maintainer=${maintainer:-The vcc maintainers <vcc@localhost>}
sed "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@SIZE@/$size/; s|@MAINTAINER@|${maintainer//&/\\&}|" \
  appliance/debian/control >"$control/control"
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$control/md5sums"
chmod 644 "$control/control" "$control/md5sums"
find "$root" -print0 | xargs -0 touch --no-dereference --date="@$SOURCE_DATE_EPOCH"

mkdir -p out
dpkg-deb --root-owner-group -Zxz --build "$root" "$package" >/dev/null
echo "$package"
