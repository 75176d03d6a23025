# What a developer does, by name. `make` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO := cargo
# Longest time of all benchmarks together.
BENCH_SECONDS := 7200

.PHONY: help build bench demo demo-down test test-full lint docs prerequisites

help: ## List these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name says; do printf '  make %-14s %s\n' "$$name" "$$says"; done

build: ## Build the programs (target/debug/tidegate, target/debug/local-cluster)
	$(CARGO) build --locked --workspace --bins

demo: prerequisites ## Play the demo on a Kubernetes of this machine, and leave it running
	$(CARGO) build --locked --package tidegate --package local-cluster
	deploy/demo/demo.sh up

demo-down: ## End the demo and remove all that it made
	deploy/demo/demo.sh down

test: prerequisites ## Check and test everything, on a Kubernetes of its own
	deploy/test/suites.sh sample

test-full: prerequisites ## The same with every case of every suite, without samples
	deploy/test/suites.sh full

# Parts by BENCH (p1,p2,p3,p4,p5,p6,p7,p8,p9,p10,p11,p13), apps by SIZE, environments by ENVIRONMENTS, requests during rollouts by REQUESTS
# (the long form: REQUESTS=1000000, more than an hour); `bench --help` has the rest. A build of its own.
bench: prerequisites ## Measure the daemon beside a raw client (BENCH=p1,p4 SIZE=100)
	nice $(CARGO) build --locked --profile measured --package tidegate --package bench --package local-cluster
	VERSIONS=1.0.0 LOCAL_CLUSTER=$(or $(CARGO_TARGET_DIR),target)/measured/local-cluster nice deploy/demo/images.sh build
	BENCH_IMAGE=$(or $(CARGO_TARGET_DIR),target)/images/shop-1.0.0.tar BENCH_DAEMON=$(or $(CARGO_TARGET_DIR),target)/measured/tidegate timeout --signal=INT --kill-after=60 $(BENCH_SECONDS) $(or $(CARGO_TARGET_DIR),target)/measured/bench

lint: ## Format, clippy, licences and bans
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	deploy/test/dependencies.sh

# Private items too: the readers are developers, and links to them are welcome.
docs: ## The documentation of the code; a broken link is an error
	RUSTDOCFLAGS="-D warnings --allow rustdoc::private_intra_doc_links" $(CARGO) doc --locked --workspace --no-deps --document-private-items

prerequisites: ## Check Rust and Go, install missing Debian packages
	@deploy/prerequisites.sh --install
