# The whole project in two commands: `make demo` and `make test`. Each makes the
# environment it needs in .venv, and uses it again while pyproject.toml and
# constraints.txt stay as they are.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.ONESHELL:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The machine's certificates, as pip uses them: a facility's proxy is trusted or not there.
export UV_SYSTEM_CERTS := 1
# An environment that is active in the calling shell is none of ours.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH

.PHONY: help env demo demo-live test test-mpi check fmt lint types imports bench docs constraints clean

help: ## this list
	@awk -F ' *## *' '/^[a-z-]+:.* ## / { split($$1, t, ":"); printf "  make %-12s %s\n", t[1], $$2 }' Makefile

env: $(READY) ## the environment alone

demo: $(READY) ## simulate a run, reduce it, and leave files and plots in ./demo
	@$(BIN)/smalldata-stream demo

demo-live: $(READY) ## the same run live: shared memory, plots and metrics, until Ctrl-C
	@exec $(BIN)/smalldata-stream demo --live

test: $(READY) ## all tests but those marked slow
	@$(BIN)/python -m pytest -n $$(($$(nproc) + 1)) --maxprocesses 8 --dist loadfile -m 'not slow' $(ARGS)

test-mpi: $(READY) ## the matrix of ranks, readers and moments to be killed at
	@$(BIN)/python -m pytest -m 'slow or not slow' tests/mpi tests/slurm $(ARGS)

check: lint types imports test ## everything that CI asks for

fmt: $(READY) ## write the code as ruff would
	@$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(READY) ## format and lint, nothing changed
	@$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY) ## mypy --strict
	@$(BIN)/mypy

imports: $(READY) ## who may import whom
	@$(BIN)/lint-imports

bench: $(READY) ## every benchmark, with figures on the screen
	@for file in benchmarks/bench_*.py; do
	  printf '\n%s\n' "$$file"
	  $(BIN)/python "$$file"
	done

docs: $(READY) ## write the pages that are made from the code
	@$(BIN)/python -m smalldata_stream.detectors_page docs/detectors.md

constraints: $(READY) ## newest versions of everything into constraints.txt
	@$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --upgrade --no-annotate --no-header --quiet --output-file constraints.txt

clean: ## remove what make and the tools have made, the environment too
	@rm -rf $(VENV) build dist demo .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	  .import_linter_cache .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Three ways to an environment, for a Python without venv's ensurepip too (Debian packs it
# apart); then uv, because it can leave out a dependency (pyproject.toml, [tool.uv]) and pip
# cannot.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
	  echo "smalldata_stream needs Python 3.11 or newer; say which: make PYTHON=python3.12" >&2
	  exit 1
	}
	if ! $(BIN)/python -c '' 2>/dev/null || ! $(BIN)/python -m uv --version >/dev/null 2>&1; then
	  rm -rf $(VENV)
	  if $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then
	    $(PYTHON) -m venv $(VENV)
	    $(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	  elif $(PYTHON) -m pip --version >/dev/null 2>&1; then
	    $(PYTHON) -m venv --without-pip $(VENV)
	    $(PYTHON) -m pip --python $(BIN)/python install --quiet --constraint constraints.txt uv
	  elif command -v uv >/dev/null; then
	    uv venv --quiet --python $(PYTHON) $(VENV)
	    uv pip install --quiet --python $(BIN)/python --constraint constraints.txt uv
	  elif command -v virtualenv >/dev/null; then
	    virtualenv --quiet --python $(PYTHON) $(VENV)
	    $(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	  else
	    echo "$(PYTHON) can make no environment: install the package python3-venv (or pip, uv or virtualenv)" >&2
	    exit 1
	  fi
	fi
	$(BIN)/python -m uv pip install --python $(BIN)/python --constraint constraints.txt \
	  --build-constraint constraints.txt --editable '.[dev]'
	touch $@
