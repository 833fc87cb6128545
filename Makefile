# What there is to do: `make help`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test simulate fuzz sanitize torture check-openapi bench build lint clean

root := $(CURDIR)
demo_dir ?= demo
workers ?= 2
# Debug: on a fresh machine it is built in half the time, `make test` uses the same build, and 240 tasks do not feel it.
configuration ?= debug

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

demo: ## Run a sweep of 240 real training runs in demo/; run again, it resumes; `rm -r demo` starts afresh
	@scripts/install-needs demo
	swift build -c $(configuration) --product manager
	@mkdir -p $(demo_dir)
	@bin="$$(swift build -c $(configuration) --show-bin-path)" && cd $(demo_dir) && exec "$$bin/manager" \
		run "$(root)/Fixtures/sweeps/label_flip.yaml" --workers $(workers) -- \
		python3 "$(root)/Fixtures/experiments/train.py" \
		--seed '{seed}' --width '{width}' --lr '{lr}' --poison-ratio '{poison_ratio}'

test: ## Install what is missing, lint, build, run all tests
	@scripts/install-needs test
	$(MAKE) --no-print-directory lint
	swift build --build-tests
# One by one: many tests wait for real processes, and on two cores a few of those would keep all others from running.
	swift test --skip-build --no-parallel

# 30 seconds of it are part of `make test`; the seed is printed.
torture: ## Kill workers, programs and the manager at random for five minutes (seconds=300 seed=N)
	@scripts/install-needs test
	swift build --build-tests
	TORTURE_SECONDS=$(or $(seconds),300) TORTURE_SEED=$(seed) swift test --skip-build --no-parallel --filter TortureTests

# Rounds in all simulations together; `only=NAME seed=N` replays one round, as a failure prints it.
rounds ?= 100000
only ?= Simulation
# Optimised: a round takes a fifth of the time.
simulated := -c release -Xswiftc -enable-testing --scratch-path .build/simulate
simulate: ## Simulated crashes by seed: rounds=100000; only=NAME seed=N replays one
	@scripts/install-needs test
	swift build --build-tests $(simulated)
	SIMULATE_ROUNDS=$(rounds) $(if $(seed),SIMULATE_SEED=$(seed)) swift test --skip-build --no-parallel $(simulated) --filter '$(only)'

fuzz: ## Let libFuzzer make up files and requests: targets="lines gzip protocol csv state" seconds=600 (each)
	@scripts/install-needs test
	FUZZ_SECONDS=$(or $(seconds),600) scripts/fuzz $(targets)

sanitize: ## Run the tests with the thread and the address sanitizer: sanitizers="thread address" suites=PATTERN
	@scripts/install-needs test
	SUITES='$(suites)' scripts/sanitize $(sanitizers)

# Not part of `make test`: schemathesis comes from PyPI, and takes from half a minute (15 examples) to some (100).
check-openapi: ## Let schemathesis try the interface against its description (examples=30 seed=1)
	@scripts/install-needs test
	swift build --product manager
	EXAMPLES=$(or $(examples),30) SEED=$(or $(seed),1) scripts/check-openapi .build/debug/manager

bench: ## Measure replay and durable steps against gzip, zlib, fdatasync and an ideal server
	@scripts/install-needs bench
	python3 Benchmarks/run.py $(options)

build: ## The release build: .build/release/manager
	@scripts/install-needs build
	swift build -c release --product manager

lint: ## Check the format of the Swift sources
	swift format lint --strict -r -p Sources Tests Package.swift

clean: ## Remove build products, the benchmarks' files and demo/
	swift package clean
	rm -rf .build/bench $(demo_dir)
