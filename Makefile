# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:

BIN := .venv/bin
RECIPE := pyproject.toml setup.py $(wildcard src/glassbook/*/native/*.cpp) constraints.txt scripts/environment.sh scripts/install_torch.py
MODEL ?= smollm2-135m
CHROMIUM := $(shell /sbin/ldconfig -p 2>/dev/null | grep -q libatomic.so.1 && command -v chromium)
TIER := not slow$(if $(CHROMIUM),, and not browser)
# Two workers share two cores, so each computes with one thread.
PYTEST := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python -m pytest -n 2

.PHONY: demo test test-full oracles bench lint install model clean help

# Threads that sleep while they wait leave a busy machine's cores to those that work.
demo: install ## set up what is missing, then show the main job on real text (about two minutes)
	@OMP_WAIT_POLICY=passive $(BIN)/glassbook demo

test: lint model ## everything that must hold, in at most eight minutes on two cores
	@$(if $(CHROMIUM),,echo "No chromium here, so the browser's tests are left out: 'sudo apt-get install chromium libatomic1' brings it.")
	@$(BIN)/python scripts/budgets.py
	@$(PYTEST) -m "$(TIER)" $(TESTS)

test-full: lint model ## the tests of `make test` and the slow ones, and more examples of every law
	@GLASSBOOK_TESTS=full $(PYTEST) $(TESTS)

lint: .venv/tests.stamp ## ruff, the floors of the house (import-linter), types (mypy)
	@$(BIN)/ruff check src tests scripts
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/mypy

oracles: .venv/tests.stamp ## rebuild the golden files with the peers, each in an environment under .oracles/
	@$(BIN)/python scripts/oracles/run.py

bench: install ## the benchmarks, each contender in a process and an environment of its own
	@bash benchmarks/install.sh
	@for part in forward capture generation sweep training dictionaries text_to_dictionary cards notebook startup; do $(BIN)/python benchmarks/$$part.py; done
	@$(BIN)/python benchmarks/results.py

install: .venv/install.stamp ## the environment in .venv, pinned by constraints.txt

model: install ## the default model, fetched once and kept in the cache
	@$(BIN)/glassbook open $(MODEL) >/dev/null

clean: ## remove what make made here: .venv, .oracles and the tools' caches (never runs, never the model)
	@rm -rf .venv .oracles .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache build dist src/*.egg-info

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)$$/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F '|' '{printf "%-18s %s\n", $$1, $$2}'

.venv/install.stamp: $(RECIPE)
	@bash scripts/environment.sh
	@touch $@

.venv/tests.stamp: $(RECIPE)
	@bash scripts/environment.sh test
	@touch .venv/install.stamp $@
