# `make run` shows the system at work, `make test` runs every test; both say what they install. `make help` lists the rest.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build
MAKEFLAGS += --no-print-directory

GO        ?= go
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || true)
# Build tags, with commas: no_nats, no_redis, no_etcd, no_mem and no_zmq leave a driver out.
TAGS      ?=
BUILD     := CGO_ENABLED=0 $(GO) build -trimpath -tags '$(TAGS)' -ldflags '-s -w -X main.version=$(VERSION)'
LINT      := $(GO) tool -modfile=$(CURDIR)/tools/go.mod staticcheck
PLATFORMS := linux/amd64 linux/arm64 darwin/arm64

# How long each fuzz target runs, in `make fuzz` and in `make test`.
FUZZTIME  ?= 1m
TESTFUZZ  ?= 5s
# How many packages are tested at a time: most of their tests wait, for a server or for time to pass.
PACKAGES  ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))
# Further arguments: of the demo, of the comparison, of go test.
DEMO      ?=
BENCH     ?=
TESTFLAGS ?=
# How long a simulation is, and where it begins.
FAULTS    ?= 10000000
SEED      ?= 1

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 15

.PHONY: build
build: ## build bin/wyvern, a static binary; TAGS=no_nats,no_redis,no_etcd leaves drivers out
	$(BUILD) -o bin/wyvern ./cmd/wyvern

.PHONY: run
run: ## build, then run the demo: workers, the service and nodes on this machine; DEMO='--nodes 20' changes it
	@echo 'make run: installs nothing on the system; go build downloads the modules that go.mod names.'
	@$(MAKE) build
	bin/wyvern demo $(DEMO)

.PHONY: test
test: ## run every test; installs what they need on Debian
	@$(MAKE) deps
	@$(MAKE) lint
	@$(MAKE) test-go
	@$(MAKE) plant
	@$(MAKE) test-fuzz
	@$(MAKE) test-bench
	@$(MAKE) test-examples
	@$(MAKE) cross
	@$(MAKE) test-chaos
	@echo 'make test: all passed'

.PHONY: deps
deps: ## install what the tests need, on Debian; does nothing where all is there
	@tools/deps

.PHONY: lint
lint: ## gofmt and staticcheck, the version that tools/go.mod pins
	@bad=$$(gofmt -l .); test -z "$$bad" || { echo "not gofmt'd (run gofmt -w .):" $$bad; exit 1; }
	$(LINT) ./...
	cd bench/compare && $(LINT) ./...
	cd examples/tcpfan && $(LINT) ./...

# The race detector needs cgo and a C compiler; the product does not. go test runs all of go vet before the tests. The second
# run is for what the race detector hides: it allocates.
.PHONY: test-go
test-go: ## vet, unit and end-to-end tests, with the race detector; TESTFLAGS='-run X' changes it
	CGO_ENABLED=1 $(GO) test -race -vet=all -p $(PACKAGES) -timeout 20m $(TESTFLAGS) ./...
	$(GO) test -run 'Alloc|Memory' . ./drivers/... ./internal/...

# Tests of which `make test` runs a short share: what takes minutes, or goes on for as long as one says.
LONG      ?= TestS2StoppedSubscribers|TestS10Herd|TestN4LinkDown|TestN5Reconnects

.PHONY: test-long
test-long: ## the tests in LONG at full length: five minutes and DURATION (default 1h), for which subscribers are stopped
	$(GO) test ./e2e -run '^($(LONG))$$' -v -timeout 0 $(TESTFLAGS) -long $(or $(DURATION),1h)

# Without the race detector, which makes it ten times slower, and proves nothing of what has no goroutines.
.PHONY: sim
sim: ## simulate the protocol until FAULTS faults struck, from seed SEED on
	$(GO) test ./internal/sim -run TestSim -v -timeout 30m -faults $(FAULTS) -seed $(SEED)

# Real processes wait most of the time: several trials go side by side.
PLANTED = $(GO) test -tags plant -count 1 -run TestPlanted -parallel 4 -v

.PHONY: plant
plant: ## put known bugs into the code, one at a time: simulation and fault suites must find each, campaigns a share (50 s)
	$(GO) test -tags plant -run TestPlanted -v -timeout 20m ./internal/sim
	$(PLANTED) -short -timeout 10m ./chaos/campaign
	$(PLANTED) -timeout 10m ./drivers/etcd

.PHONY: plant-process
plant-process: ## put each that processes can have into real ones, one at a time, and none as a control (3 min); SEED=7
	$(PLANTED) -timeout 20m ./chaos/campaign -seed $(SEED)

.PHONY: build-plant
build-plant:
	CGO_ENABLED=0 $(GO) build -tags plant -o bin/plant/wyvern ./cmd/wyvern
	CGO_ENABLED=0 $(GO) build -tags plant -o bin/plant/chaos ./chaos/cmd/chaos

.PHONY: test-fuzz
test-fuzz:
	@tools/fuzz $(TESTFUZZ)

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (default 1m)
	@tools/fuzz $(FUZZTIME)

.PHONY: test-bench
test-bench: ## the comparison's own tests: its rivals run to their end and lose nothing
	cd bench/compare && CGO_ENABLED=1 $(GO) test -vet=all ./...

# Each is a module of its own, as it would be elsewhere.
.PHONY: test-examples
test-examples: ## the examples' own tests: a driver as somebody else would write it
	cd examples/tcpfan && CGO_ENABLED=1 $(GO) test -race -vet=all -timeout 10m ./...

# RACE=1 builds what runs in a campaign with the race detector.
RACE      ?=
CHAOS     = CGO_ENABLED=$(if $(RACE),1,0) $(GO) build $(if $(RACE),-race) -o

.PHONY: build-chaos
build-chaos:
	$(CHAOS) bin/chaos/wyvern ./cmd/wyvern
	$(CHAOS) bin/chaos/chaos ./chaos/cmd/chaos

.PHONY: chaos
chaos: build-chaos ## break a small system on purpose for DURATION (default 10m), by the schedule of SEED (default: random)
	bin/chaos/chaos campaign -wyvern bin/chaos/wyvern -duration $(or $(DURATION),10m) -seed $(or $(SEED),0) $(CHAOSFLAGS)

.PHONY: chaos-short
chaos-short: ## the same for about two minutes
	@$(MAKE) chaos DURATION=90s

.PHONY: test-chaos
test-chaos:
	@$(MAKE) chaos-short

.PHONY: soak
soak: build-chaos ## run 200 subscribers for DURATION (default 1h): none may be told to resync without need
	bin/chaos/chaos soak -wyvern bin/chaos/wyvern -duration $(or $(DURATION),1h) -seed $(or $(SEED),0) $(CHAOSFLAGS)

.PHONY: notice
notice: build-chaos ## measure how soon a loss is told, in 500 trials of each kind
	bin/chaos/chaos notice -wyvern bin/chaos/wyvern -seed $(or $(SEED),0) $(CHAOSFLAGS)

.PHONY: bench
bench: ## compare with libzmq on this machine (takes minutes); BENCH='-scenario fanout' changes it
	@tools/deps
	cd bench/compare && CGO_ENABLED=1 $(GO) build -o ../../bin/compare .
	bin/compare $(BENCH)

.PHONY: bench-go
bench-go: ## the benchmarks of the packages
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: cross
cross: $(addprefix cross-,$(subst /,-,$(PLATFORMS))) ## build for every platform into bin/<system>-<processor>

.PHONY: cross-%
cross-%: # one after the other: each uses all processors
	CGO_ENABLED=0 GOOS=$(word 1,$(subst -, ,$*)) GOARCH=$(word 2,$(subst -, ,$*)) $(GO) build -trimpath ./...
	GOOS=$(word 1,$(subst -, ,$*)) GOARCH=$(word 2,$(subst -, ,$*)) $(BUILD) -o bin/$*/wyvern ./cmd/wyvern

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
