# Two commands for a newcomer: make demo, make test. Everything else: make help.

CARGO  ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
need    = ./cross/install-packages

.PHONY: help
help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##\(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-13s%s\n", $$1, $$2 }'

# test and demo share one profile and one set of features: their dependencies are built once.
.PHONY: demo
demo:  ## the main job on this machine, with real parts; ONCE=1 ends with an exit code instead of staying up
	$(need) build run
	$(CARGO) build --workspace --bins
	$(TARGET)/debug/demo $(if $(filter-out 0,$(ONCE)),--once)

.PHONY: test
test:  ## all tests; installs the Debian packages they need, and wants root
	$(need)
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-2} $(CARGO) test --workspace --no-fail-fast

.PHONY: lint
lint:  ## formatting, and clippy without a warning
	$(need) build
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

.PHONY: promises
promises:  ## the long lanes: 10,000 simulated worlds, 1,000 kills, 200 cuts of the link and 200 of the power at a real site: target/promises.json
	$(need)
	mkdir -p $(TARGET)
	rm -f $(TARGET)/promises.json
	PROMISES_JSON=$(abspath $(TARGET))/promises.json \
	    WORLD_SEEDS=$${WORLD_SEEDS:-10000} SITE_KILLS=$${SITE_KILLS:-1000} SITE_CUTS=$${SITE_CUTS:-200} POWER_CUTS=$${POWER_CUTS:-200} \
	    RUST_TEST_THREADS=1 $(CARGO) test --workspace --no-fail-fast

.PHONY: bench
bench: build  ## figures of the node, each against a floor of the same run: target/bench/node.json
	$(need) run
	$(CARGO) build --release -p scenarios --bin bench
	mkdir -p $(TARGET)/bench
	$(TARGET)/release/bench --json $(TARGET)/bench/node.json

.PHONY: bench-hub
bench-hub:  ## figures of the hub's gate with 5,000 nodes: target/bench/hub.json
	$(need) build
	$(CARGO) build --release -p scenarios --bin swarm
	mkdir -p $(TARGET)/bench
	$(TARGET)/release/swarm bench --json $(TARGET)/bench/hub.json

# The pairs are made once and stay; so do the figures of what others would send for them.
.PHONY: bench-images
bench-images: build  ## what bringing a new image costs, us and others, on real pairs: target/bench/images.json
	$(need) build pairs
	$(CARGO) build --release -p scenarios --bin pairs
	mkdir -p $(TARGET)/bench
	$(TARGET)/release/pairs make --dir $(TARGET)/pairs --keep-going
	$(TARGET)/release/pairs rivals --dir $(TARGET)/pairs --json $(TARGET)/bench/rivals.json \
	    --figures $(TARGET)/bench/images.json

# Only what ships: with the tests in the same build, features that only they need would become part of it.
.PHONY: build
build:  ## cloud-hub, hubctl and edge-node, small and stripped: target/release
	$(need) build
	$(CARGO) build --release -p cloud-hub -p edge-node

.PHONY: clean
clean:  ## remove everything that was built
	$(CARGO) clean
