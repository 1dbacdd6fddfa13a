# Python 3.11 and make are all that has to be there: every target sets up what it needs, once.

PYTHON ?= python3
SEEDS ?= 20
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help run demo test check format lint types requirements docs simulate emulators clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(READY) ## Run everything here: API, worker, scheduler; Ctrl-C stops all
	@exec $(BIN)/keytide up

demo: $(READY) ## Watch one edit travel to a file
	@$(BIN)/keytide demo

test: $(READY) ## Run the tests
	@$(BIN)/pytest -q --numprocesses 2 --dist loadfile

check: lint types test ## Do what CI does: format, lint, layers, types, tests

format: $(READY) ## Format the code and mend what can be mended
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

lint: $(READY) ## Check format, style and who imports whom
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/lint-imports

types: $(READY) ## Check the types
	@$(BIN)/mypy

requirements: $(READY) ## Pin the newest dependencies, with their hashes, for every platform
	@$(COMPILE) --output-file requirements.txt pyproject.toml
	@$(COMPILE) --extra dev --output-file requirements-dev.txt pyproject.toml

docs: $(READY) ## Write the pages that are made of the code
	@$(BIN)/python -m cli.docs docs/cli.md

simulate: $(READY) ## Try orders of events and faults: make simulate SEEDS=500
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS)

emulators: $(READY) ## Serve the provider emulators on loopback
	@$(BIN)/python -m tests.fakes

clean: ## Remove what was set up and built here; the data directory stays
	@rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

COMPILE := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url

$(READY): requirements-dev.txt pyproject.toml
	@echo "Setting up .venv; this takes a minute, once."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
