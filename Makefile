# `make demo` shows the main job, `make test` runs every test, `make check` guards a commit.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
TARGET := x86_64-unknown-linux-gnu
CARGO_TARGET_DIR ?= target
export CARGO_TARGET_DIR
OVA := $(CARGO_TARGET_DIR)/release/ova
VCC := $(CARGO_TARGET_DIR)/$(TARGET)/appliance/vcc
REGISTRY := $(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src
# Static, and without the paths of this checkout: the same source gives the same bytes wherever it is built.
# Nothing unwinds in it: there are fewer tables for that, no index of them, and those of what comes compiled, as Rust's standard library
# and glibc do, are left out by the linker. A panic tells its message and aborts; a backtrace would have no frames. Its own addresses are
# put right from a short list (RELR), and functions that are the same are one (ICF). The linker's script has a path of the workspace:
# Cargo links there.
RUNTIME_FLAGS := -C target-feature=+crt-static -C force-unwind-tables=no \
  -C link-arg=-Wl,--no-eh-frame-hdr,--pack-dyn-relocs=relr,--icf=safe,-T,appliance/no-unwind.ld \
  --remap-path-prefix=$(CURDIR)=/vcc --remap-path-prefix=$(REGISTRY)=/registry
RUNTIME_CFLAGS := -fno-asynchronous-unwind-tables
KEYS := out/keys
PACKAGE := out/vcc-node.ova

.PHONY: help demo test check soak fuzz bench-inputs bench-peers e2e package deb dependencies lint deny unit commands openapi reproducible bench clean

help:
	@echo "make demo    build, sign, verify and boot an appliance, talk to it, and move it between two clouds"
	@echo "make test    every test (installs what it needs)"
	@echo "make check   format, lints and unit tests"
	@echo "make deb     a Debian package of vcc: services, command line, manual"
	@echo "make openapi the API's description anew, from the code"
	@echo "make fuzz    every reader against made-up input, FUZZ_SECONDS (60) each"
	@echo "make soak    transfers under 200 kills and 50 power cuts"
	@echo "make bench   sizes and speeds, beside their peers; bench-NAME for one of benches/"

dependencies:
	@scripts/dependencies.sh

# The two commands: `ova`, and `vcc` as the appliance ships it, without what only shells need.
commands: dependencies
	@$(CARGO) build --locked --release -p packer
	@RUSTFLAGS="$(RUNTIME_FLAGS)" CFLAGS="$(RUNTIME_CFLAGS)" \
	  $(CARGO) build --locked --profile appliance --target $(TARGET) -p appliance --no-default-features
	@mkdir -p out
	@cmp -s $(VCC) out/vcc || cp $(VCC) out/vcc

# The package is made again where anything it is made of is newer.
INPUTS := $(OVA) out/vcc Cargo.lock $(KEYS) appliance/vcc-node.toml appliance/debian.lock appliance/eula.txt
package: commands
	@[ -e $(KEYS)/key.pem ] || $(OVA) keygen $(KEYS)
	@if [ ! -e $(PACKAGE) ] || [ -n "$$(find $(INPUTS) -maxdepth 0 -newer $(PACKAGE))" ]; then \
	  $(OVA) build appliance/vcc-node.toml -o $(PACKAGE) --sign $(KEYS)/key.pem --cert $(KEYS)/cert.pem; \
	fi

# Beside the appliance's command, this one has the verbs for completions and manual pages, and makes those in the package.
deb: dependencies
	@RUSTFLAGS="$(RUNTIME_FLAGS)" CFLAGS="$(RUNTIME_CFLAGS)" \
	  $(CARGO) build --locked --profile appliance --target $(TARGET) -p appliance
	@CARGO=$(CARGO) scripts/deb.sh $(VCC)

demo: package
	@scripts/demo.sh $(OVA) $(PACKAGE) $(KEYS) out/vcc

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

unit:
	@scripts/tests.sh --locked -p ovf -p image -p vdc -p packer -p appliance

check: lint unit

# The seeds are replayed on stable by the tests of ovf and image; this looks for new inputs.
fuzz:
	@scripts/fuzz.sh

# The API's description as it is served; a test sees that it is what the code says.
openapi:
	VCC_WRITE_OPENAPI=1 $(CARGO) test --locked -q -p appliance --lib openapi

deny: dependencies
	@scripts/deny.sh

ARTEFACTS = OVA=$(abspath $(OVA)) VCC=$(abspath out/vcc) PACKAGE=$(abspath $(PACKAGE)) KEYS=$(abspath $(KEYS))

e2e: package
	@$(ARTEFACTS) LANES=2 OPTIONS=--nocapture scripts/tests.sh --locked -p e2e

reproducible: dependencies
	@scripts/reproducible.sh

test: dependencies lint unit deny e2e reproducible

# `make test` kills and cuts the power 25 times; this does it 250 times, for an hour or so.
soak: dependencies
	KILLS=200 $(CARGO) test --locked -p appliance --test kills -- --nocapture

bench-inputs: dependencies
	@scripts/bench-disks.sh out/bench

bench: package bench-inputs
	@$(ARTEFACTS) $(CARGO) bench --locked -q -p e2e

# One of benches/. Most need the command alone.
bench-appliance bench-nodes: package
bench-transfer: commands bench-peers
bench-peers:
	@command -v nginx rsync >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends nginx-light rsync >/dev/null
bench-disks bench-deploy: package bench-inputs
bench-%: dependencies
	@$(CARGO) build --locked -q --release -p packer
	@$(ARTEFACTS) $(CARGO) bench --locked -q -p e2e --bench $*

clean:
	rm -rf out $(CARGO_TARGET_DIR)
