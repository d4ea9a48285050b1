# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TOOLS := $(VENV)/.tools

.DEFAULT_GOAL := help
.PHONY: help demo test check bench bench-peers lock

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(INSTALLED)  ## real data through Kafka, a drift, a kill and a proof: a minute, some more the first time
	@echo "the demo, about a minute:"
	@$(BIN)/inferwatch demo

test: $(TOOLS)  ## every test that needs no real broker and no patience
	@$(BIN)/python -m pytest -m "not kafka and not slow" -n 2 --dist loadfile
	@echo "not run here: slow tests and those on a real Kafka; \`bash .ci/run\` runs them, with Java and Maven"

check: $(TOOLS)  ## formatter, linter, types, direction of imports, generated files
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/schemas.py --check
	@$(BIN)/python scripts/telemetry.py --check
	@$(BIN)/python scripts/manifests.py --check

bench: $(INSTALLED)  ## throughput, kernels and the fold beside river, cost of an import; prints ratios
	@$(BIN)/python benchmarks/run.py

bench-peers: $(INSTALLED)  ## the fold beside whylogs and Evidently; installs them apart, a gigabyte
	@$(BIN)/python benchmarks/peers.py

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade \
	--generate-hashes --no-annotate --no-header pyproject.toml
lock: $(INSTALLED)  ## rewrite both locks from pyproject.toml: what runs, and what tests and checks add
	@$(BIN)/pip install --quiet uv
	@echo hatchling | $(COMPILE) --extra worker --output-file requirements.lock -
	@$(COMPILE) --extra dev --extra gpu --constraint requirements.lock --output-file requirements-dev.lock

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "inferwatch needs Python 3.11 or newer; name it with PYTHON=")'
	@echo "installing into $(VENV), once: 0.8 GB. Two minutes, on a busy machine or a slow line more"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/inferwatch warmup
	@touch $@

$(TOOLS): $(INSTALLED) requirements-dev.lock
	@echo "adding what tests and checks need, once: 0.4 GB. Two minutes, on a busy machine or a slow line more"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
