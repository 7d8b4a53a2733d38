# The one door. Every recipe installs what it needs first; a second run starts in seconds.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
CARGO := source scripts/env.sh && cargo

.PHONY: help demo test check python wheel bench differential acceptance faults endure fuzz models sbom setup

help:
	@echo 'make demo            build, ingest documents, serve, ask   (DIR=/a/folder for your own)'
	@echo 'make test            every test in Rust'
	@echo 'make check           format, lints, licences, documentation'
	@echo 'make python          a wheel of the Python package, and its tests   (TESTS=tests/test_hits.py for some)'
	@echo 'make wheel           the wheel as it is published, small, and its tests; takes long'
	@echo 'make bench           the figures of section Engine of benches/RESULTS.md; the others have their command there'
	@echo 'make acceptance      the test suites of other projects against a server of this build   (SUITES="langchain haystack")'
	@echo 'make faults          kills, failing disks, losses of power, damage: docs/reliability.md   (KILLS=2000 ROUNDS=10 DISKS=500 CUTS=100 SEED=1 JOBS=1)'
	@echo 'make endure          half an hour of load, little memory, many collections   (MINUTES=30 MEMORY_MIB=512 TIMES=5 TENANTS=10000)'
	@echo 'make fuzz            decoders under libFuzzer   (SECONDS=60 of each, TARGETS="filter rows", SANITIZER=none)'
	@echo 'make models          the sequencer, and views that are read and purged, under shuttle'
	@echo 'make sbom            what the binary is made of, as CycloneDX: target/kithdb.cdx.json'
	@echo 'make differential    random questions beside the engine of Qdrant   (COUNT=2000 of each kind)'

setup:
	@scripts/setup.sh build

demo: setup
	@scripts/setup.sh model
	@$(CARGO) build --release --locked --workspace
	@scripts/demo.sh "$(DIR)"

test: setup
	@$(CARGO) test --release --locked --workspace

check: setup
	@scripts/setup.sh deny
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings
	@$(CARGO) deny --log-level error check bans licenses sources
	@source scripts/env.sh && RUSTDOCFLAGS='-D warnings -A rustdoc::private-intra-doc-links' cargo doc --release --locked --workspace --no-deps

python: setup
	@scripts/python.sh $(TESTS)

wheel: setup
	@KITHDB_PROFILE=wheel scripts/python.sh $(TESTS)

differential: setup
	@$(CARGO) build --release --locked --workspace
	@scripts/differential.sh $(COUNT)

acceptance: setup
	@$(CARGO) build --release --locked --workspace
	@scripts/acceptance.sh $(SUITES)

faults: setup
	@$(CARGO) test --release --locked --workspace --no-run
	@scripts/faults.sh

endure: setup
	@$(CARGO) build --release --locked --workspace
	@scripts/endure.sh

fuzz: setup
	@scripts/setup.sh fuzz
	@scripts/fuzz.sh $(SECONDS)

models:
	@$(CARGO) test --release --locked --manifest-path models/Cargo.toml

sbom: setup
	@source scripts/env.sh && scripts/sbom.py "$$KITHDB_TARGET/kithdb.cdx.json"

bench: setup
	@$(CARGO) run --release --locked --package kithdb-benches -- engine
