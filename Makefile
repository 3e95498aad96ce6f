# Every target makes what it needs: two virtual environments, one holding torch alone (.venv-torch, gigabytes,
# installed once), one layered over it with the five packages and the tools (.venv).

PYTHON ?= python3
PACKAGES := ot core data tasks cli
TORCH := .venv-torch
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test install lint types arrows pytest coverage wheels docs bench soak clean

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

demo: install ## generate scenes, pre-train the tiny model on them, test it
	$(BIN)/uniter demo

test: lint types arrows docs pytest wheels ## everything: lint, types, architecture, docs, all tests, each wheel alone

lint: install ## style and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: install ## mypy --strict over the five packages
	$(BIN)/mypy

arrows: install ## which package may import which
	$(BIN)/lint-imports

pytest: install ## all tests but the long ones
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not soak" -n auto --dist loadfile --durations 25

coverage: install ## the same, saying which lines they leave out; a third slower
	$(BIN)/python -m pytest -m "not soak" --cov --cov-report=term:skip-covered

wheels: install ## build each wheel, install it alone, prove its dependencies, run its smoke test
	$(BIN)/python tests/wheels/check_wheels.py --torch-env $(TORCH)

docs: install ## build the documentation strictly, into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir build/site

bench: install ## time transport, stores and training steps against what people use instead (leave the machine alone)
	$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python benchmarks/ot.py
	$(BIN)/python benchmarks/data.py
	$(BIN)/python benchmarks/step.py

soak: install ## the long proofs
	$(BIN)/python -m pytest -m soak

install: $(VENV)/.installed

$(TORCH)/.installed:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "UNITER needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(TORCH)
	$(TORCH)/bin/python -m pip install --quiet --upgrade pip
	$(TORCH)/bin/python -m pip install "torch>=2.11"
	touch $@

$(VENV)/.installed: $(TORCH)/.installed pyproject.toml $(PACKAGES:%=packages/uniter-%/pyproject.toml)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python tests/wheels/layer.py $(VENV) $(TORCH)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --group dev --group docs $(PACKAGES:%=-e packages/uniter-%) -e "packages/uniter-data[extract,fast,hdf5,lmdb]"
	touch $@

clean: ## remove the virtual environments and what tools leave behind
	rm -rf $(VENV) $(TORCH) build dist .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
