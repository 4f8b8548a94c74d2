# Needs Python >= 3.11 and make; everything else comes from the package registries.
# Another Python: make run PYTHON=python3.12

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
# Test processes side by side; 0 runs all in one, as a debugger wants it.
WORKERS ?= 2

BIN := $(VENV)/bin
# A Python that was named, here or in the environment, replaces an environment of another one.
CHOSEN := $(if $(filter environment command,$(firstword $(origin PYTHON))),--chosen)
SETUP := $(PYTHON) -m infra.setup.environment --venv $(VENV) $(CHOSEN)

RUN_LOCKS ?= runtime content
TEST_LOCKS ?= $(RUN_LOCKS) test
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup setup-test run test lint unit bench bench-events bench-steering bench-players bench-watching faults faults-long secrets-scan bench-licenses test-faults test-long status doctor simulate lock clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what running needs (make run does it too)
	@$(SETUP) $(RUN_LOCKS)

setup-test: ## Install what the tests need besides (make test does it too)
	@$(SETUP) $(TEST_LOCKS)

run: setup ## Start everything in the foreground; Ctrl-C stops it. ARGS="--only gateway"
	@$(BIN)/playhead run $(ARGS)

test: setup-test ## Check style, types and imports, then run the tests, two at a time. ARGS="-k license"
	@status=0; \
	$(MAKE) --no-print-directory checks || status=1; \
	$(PYTEST) $(ARGS) || status=1; \
	exit $$status

lint: setup-test checks ## Check style, types and imports alone

.PHONY: checks
checks:
	@status=0; \
	$(BIN)/ruff check . || status=1; \
	$(BIN)/ruff format --check . || status=1; \
	$(BIN)/mypy || status=1; \
	$(BIN)/lint-imports || status=1; \
	exit $$status

unit: setup-test ## Run the fast tests alone
	@$(PYTEST) tests/unit $(ARGS)

bench: setup-test ## Measure this machine: gateway, licenses, sink, time to queryable
	@$(BIN)/playhead bench $(ARGS)

bench-events: setup-test ## Measure the event path: gateway, sink, consumer, then a steady load through it
	@$(BIN)/playhead bench --only gateway --only sink --only consumer
	@$(BIN)/playhead bench throughput --path-only --seconds 60 $(ARGS)

bench-steering: setup-test ## Simulate 10,000 viewers over CDNs that fail, slow down or cost
	@for each in infra/bench/steering/scenarios/*.json; do \
	  $(BIN)/python -m infra.bench.steering --scenario $$each --out $${TMPDIR:-/tmp}/steering-$$(basename $$each) || exit 1; \
	done

bench-players: setup-test ## Play recorded networks in Chromium. ARGS="--data DIR --out FILE"
	@$(BIN)/python -m infra.bench.players $(ARGS)

bench-watching: setup-test ## Simulate viewers with known tastes; recommendations beside the best possible
	@for each in infra/bench/watching/scenarios/*.json; do \
	  $(BIN)/python -m infra.bench.watching --scenario $$each --out $${TMPDIR:-/tmp}/watching-$$(basename $$each) || exit 1; \
	done

faults: setup ## Prove it: 72 faults under load, then the clients' ledger against ClickHouse
	@$(BIN)/playhead faults $(ARGS)

faults-long: setup ## The same with 3,000,000 events and 540 faults: two hours and more
	@$(BIN)/playhead faults --faults 540 --events 3000000 $(ARGS)

test-long: setup-test ## Test at full size what make test tests at a smaller one
	@$(PYTEST) -m long $(ARGS)

bench-licenses: setup ## Measure licenses at 100, 300 and 1,000 a second, and ten times too many
	@$(BIN)/playhead bench licenses $(ARGS)

secrets-scan: setup ## Prove it: no key, token or password in topics, tables, logs, metrics, dumps
	@$(BIN)/playhead secrets-scan $(ARGS)

test-faults: setup-test ## Test that proof: broken builds must be caught (minutes, so not in make test)
	@$(BIN)/python -m pytest -m harness tests/faults $(ARGS)

status: setup ## Show what runs, since when, and how far behind
	@$(BIN)/playhead status $(ARGS)

doctor: setup ## Find what is wrong and how to mend it
	@$(BIN)/playhead doctor $(ARGS)

simulate: setup ## Let realistic viewers watch. ARGS="--viewers 50"
	@$(BIN)/playhead simulate $(ARGS)

# All extras are resolved together first, so that the other locks agree with it in their pins.
COMPILE = $(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate
lock: setup ## Write the locks anew from pyproject.toml
	@$(COMPILE) --all-extras --generate-hashes pyproject.toml -o infra/locks/test.txt
	@$(COMPILE) --extra embedded --generate-hashes -c infra/locks/test.txt pyproject.toml \
		-o infra/locks/runtime.txt
	@$(COMPILE) --extra content --generate-hashes -c infra/locks/test.txt pyproject.toml \
		-o infra/locks/content.txt
	@printf 'setuptools>=80\nuv\n' | $(COMPILE) --generate-hashes - -o infra/setup/installer.txt

clean: ## Remove the environment and caches; .playhead (all data) stays
	@rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
