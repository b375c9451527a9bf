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
	$(BIN)/mypy halo_daemon tests bench scripts
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
fuzz: .venv/.stamp-dev ## 10,000 generated and mutated requests
	HALO_FUZZ_EXAMPLES=10000 $(BIN)/python -m pytest tests/property/test_receiver.py
soak: .venv/.stamp-dev ## An hour of load with crashes: nothing lost, memory flat
	$(BIN)/python -m bench.soak $(ARGS)
kill-rounds: .venv/.stamp-dev ## 200 times kill -9 under load, and nothing acknowledged is missing
	HALO_KILL_ROUNDS=200 $(BIN)/python -m pytest -s tests/conformance/test_kill.py

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

bench: .venv/.stamp-dev ## Decode, ingest, store, analysis and agent figures
	$(BIN)/python -m bench.decode
	$(BIN)/python -m bench.ingest
	$(BIN)/python -m bench.workers
	$(BIN)/python -m bench.store
	$(BIN)/python -m bench.analyze
	$(BIN)/python -m bench.agent

test-wheel: .venv/.stamp-dev ## Install the wheel in a new place and test that, not the checkout
	rm -rf dist && $(PIP) wheel -q --no-deps --no-build-isolation -w dist .
	work=$$(mktemp -d) && $(PYTHON) -m venv --without-pip $$work/v && \
	$(PYTHON) -m pip --python $$work/v/bin/python install -q -c constraints.txt "$$(ls $(CURDIR)/dist/*.whl)[dev]" && \
	cd $$work && v/bin/python -m pytest -c $(CURDIR)/pyproject.toml --rootdir=$(CURDIR) $(CURDIR)/tests $(ARGS); \
	s=$$?; rm -rf $$work; exit $$s

constraints: ## Take newer versions and write them down; keep them if `make check test` passes
	rm -rf .venv && : > constraints.txt && $(MAKE) .venv/.stamp-dev && \
	$(PIP) list --format=freeze --exclude-editable > constraints.txt

clean: ## Remove what the other targets made
	rm -rf .venv .venv-halo dist .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
