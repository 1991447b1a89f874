# Everything a contributor runs. `make` alone lists the targets; the first one installs what it needs into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest
CONTROLPLANE := $(BIN)/python -m hack.controlplane
UV := .state/uv/bin/uv
STATE ?= .state/cluster
ARGS ?=

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check unit sim e2e bench bench-short format cluster-up cluster-down cluster-status lock clean venv

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# -- installing ----------------------------------------------------------------------------------------------------

venv: $(STAMP) ## install the pinned dependencies and this checkout into .venv

$(STAMP): requirements/dev.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "No $(PYTHON). Install Python 3.11 or newer (Debian: apt install python3 python3-venv)." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is $$($(PYTHON) -V); 3.11 or newer is needed: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments (Debian: apt install python3-venv)." >&2; exit 1; }
	@echo "Installing into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

# -- trying it -----------------------------------------------------------------------------------------------------

demo: $(STAMP) ## a prefill/decode group becomes Ready on an embedded cluster (ARGS="--cluster real": on Kubernetes)
	@$(BIN)/rbgctrl demo $(ARGS)

cluster-up: $(STAMP) ## start a real control plane that stays (STATE=folder, ARGS="--nodes 100 --no-lws")
	@$(CONTROLPLANE) up --state $(STATE) $(ARGS)

cluster-down: $(STAMP) ## stop it
	@$(CONTROLPLANE) down --state $(STATE)

cluster-status: $(STAMP) ## say what of it runs
	@$(CONTROLPLANE) status --state $(STATE)

# -- testing -------------------------------------------------------------------------------------------------------

test: check unit sim e2e ## everything CI runs: check, unit, sim, e2e
	@echo "make test: check, unit, sim and e2e passed"

check: $(STAMP) ## format, lint, types, import contracts, generated files
	@echo "== format";    $(BIN)/ruff format --check .
	@echo "== lint";      $(BIN)/ruff check .
	@echo "== types";     $(BIN)/mypy
	@echo "== layers";    $(BIN)/lint-imports
	@echo "== generated files"; $(BIN)/python -m hack.crds --check; $(BIN)/python -m hack.rbac --check

unit: $(STAMP) ## tables and properties of every module, in seconds
	@echo "== unit tests"
	@$(PYTEST) -q -m "not e2e" -n auto --dist worksteal $(ARGS) tests/unit

sim: $(STAMP) ## the daemon on the embedded cluster: faults, crashes at every write, drawn specs, the contract
	@echo "== simulation"
	@$(PYTEST) -q -m "not e2e" -n auto --dist worksteal $(ARGS) tests/sim tests/contract

e2e: $(STAMP) ## the tests on the real control plane (built once, cached after)
	@echo "== end-to-end tests"
	@$(CONTROLPLANE) build >/dev/null
	@$(PYTEST) -m e2e --durations=10 $(ARGS) tests/e2e tests/contract

bench: $(STAMP) ## measure requests, writes, memory and times
	@$(BIN)/python -m bench $(ARGS)

bench-short: $(STAMP) ## the benchmarks' short form
	@$(BIN)/python -m bench --short $(ARGS)

format: $(STAMP) ## format and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# -- upkeep --------------------------------------------------------------------------------------------------------

LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
  --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock"

lock: $(UV) ## renew the pinned versions in requirements/
	@$(LOCK) pyproject.toml -o requirements/runtime.lock
	@$(LOCK) pyproject.toml --extra dev -o requirements/dev.lock
	@$(LOCK) requirements/build.in -o requirements/build.lock
	@$(LOCK) requirements/go.in -o requirements/go.lock

$(UV):
	@$(PYTHON) -m venv .state/uv
	@.state/uv/bin/python -m pip install --quiet --disable-pip-version-check uv

clean: ## remove .venv, caches and build results; stops the cluster of cluster-up first
	@if [ -e $(STATE)/state.json ] && [ -e $(STAMP) ]; then $(CONTROLPLANE) down --state $(STATE); fi
	@rm -rf $(VENV) .state .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
