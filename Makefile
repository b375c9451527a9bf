# The only entry. A fresh machine needs python3 (3.11+), pip, make and gcc; everything
# else goes into .venv inside the checkout. Extra pytest arguments: make test ARGS="-k shard"
PYTHON ?= python3
BIN    := .venv/bin
# --without-pip and `pip --python` need no python3-venv package on Debian.
PIP    := $(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check
EXTRAS ?= dev

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types imports docs fix coverage bench eval faults interop fuzz soak kill-rounds halo test-wheel constraints clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "%-12s %s\n", $$1, $$2}'

$(BIN)/python:
	$(PYTHON) -m venv --without-pip .venv
.venv/.stamp-run: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install -q -c constraints.txt hatchling editables
	$(PIP) install -q -c constraints.txt --no-build-isolation -e .
	touch $@
.venv/.stamp-dev: .venv/.stamp-run
	$(PIP) install -q -c constraints.txt --no-build-isolation -e '.[$(EXTRAS)]'
	touch $@

demo: .venv/.stamp-run ## Sample agents -> OTLP ports -> analysis -> report; no key, no network
	$(BIN)/halo-daemon demo --exit

test: .venv/.stamp-dev ## All tests
	$(BIN)/python -m pytest $(ARGS)

check: lint types imports docs ## Lint, types, import contracts, generated docs
lint: .venv/.stamp-dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
types: .venv/.stamp-dev
	$(BIN)/mypy halo_daemon tests bench scripts hatch_build.py
imports: .venv/.stamp-dev
	$(BIN)/lint-imports
docs: .venv/.stamp-dev
	$(BIN)/python -m scripts.reference --check
	$(BIN)/python -m scripts.conventions --check

eval: .venv/.stamp-dev ## Score reports on labelled traces, where HALO_SHARED names them
	$(BIN)/python -m bench.eval
faults: .venv/.stamp-dev ## Inject failures at known rates: precision, recall, rates
	$(BIN)/python -m bench.faults
interop: .venv/.stamp-dev ## Real SDKs and instrumentations, where node and go are installed
	HALO_INTEROP=1 $(BIN)/python -m pytest -rs $(or $(ARGS),tests/interop)
# hypothesis' plugin marks what draws examples. CI would have it draw the same each round.
ROUNDS ?= 20
fuzz: .venv/.stamp-dev ## Every property ROUNDS=20 times, each time with new examples
	for round in $$(seq $(ROUNDS)); do \
	  env -u CI $(BIN)/python -m pytest -q -n 2 -m hypothesis $(or $(ARGS),$(shell grep -rl '^@given' tests)) || exit; done
soak: .venv/.stamp-dev ## An hour of load with crashes: nothing lost, memory flat
	$(BIN)/python -m bench.soak $(ARGS)
kill-rounds: .venv/.stamp-dev ## 200 times kill -9 under load, and nothing acknowledged is missing
	HALO_KILL_ROUNDS=200 $(BIN)/python -m pytest -s --timeout=7200 tests/conformance/test_kill.py

# HALO's reader needs pydantic alone; the rest of its pins do not install everywhere.
.venv-halo/.stamp:
	$(PYTHON) -m venv --without-pip .venv-halo
	$(PYTHON) -m pip --python .venv-halo/bin/python --disable-pip-version-check install -q --no-deps halo-engine==0.3.5
	$(PYTHON) -m pip --python .venv-halo/bin/python --disable-pip-version-check install -q pydantic==2.13.3 2>/dev/null
	touch $@
halo: .venv-halo/.stamp ## Install stock HALO's reader, so that its tests run
	.venv-halo/bin/python -c "import engine.traces.trace_store"

fix: .venv/.stamp-dev ## Format, and fix what can be fixed
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

coverage: .venv/.stamp-dev ## Tests with branch coverage
	$(BIN)/coverage run -m pytest $(ARGS); $(BIN)/coverage combine -q && $(BIN)/coverage report

# The wheel in a place of its own, away from the checkout. COMPILE is empty for pure Python;
# 1 compiles the modules of every span, as the image does; debug does so in half the time.
WHEEL := .venv-wheel$(COMPILE)
$(WHEEL)/.stamp: .venv/.stamp-dev hatch_build.py $(shell find halo_daemon -type f -not -name '*.pyc')
	rm -rf $(WHEEL) && mkdir -p $(WHEEL)/run
	HALO_DAEMON_COMPILE=$(COMPILE) $(PIP) wheel -q --no-deps --no-build-isolation -w $(WHEEL)/dist .
	$(PYTHON) -m venv --without-pip $(WHEEL)
	$(PYTHON) -m pip --python $(WHEEL)/bin/python --disable-pip-version-check install -q \
	  -c constraints.txt "$$(ls $(CURDIR)/$(WHEEL)/dist/*.whl)[$(EXTRAS)]"
	ln -s $(CURDIR)/bench $(CURDIR)/scripts $(WHEEL)/run
	touch $@

test-wheel: $(WHEEL)/.stamp ## Test the installed wheel, not the checkout; COMPILE=1 for the compiled one
	cd $(WHEEL)/run && ../bin/python -m pytest -c $(CURDIR)/pyproject.toml --rootdir=$(CURDIR) \
	  $(CURDIR)/$(or $(TESTS),tests) $(ARGS)

bench: $(WHEEL)/.stamp ## Decode, ingest, store, analysis and agent figures; COMPILE=1 as in the image
	cd $(WHEEL)/run && for b in decode ingest workers store analyze agent; do \
	  ../bin/python -m bench.$$b || exit; done

constraints: ## Take newer versions and write them down; keep them if `make check test` passes
	rm -rf .venv && : > constraints.txt && $(MAKE) .venv/.stamp-dev && \
	$(PIP) list --format=freeze --exclude-editable > constraints.txt

clean: ## Remove what the other targets made
	rm -rf .venv .venv-halo .venv-wheel* dist .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
