# Every recipe sets up what it needs. `make help` lists them.
.DEFAULT_GOAL := help
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
BASE ?= python
else
BIN := .venv/bin
BASE ?= python3
endif
PYTHON := $(BIN)/python
BIN_OF_LOWEST := $(BIN:.venv/%=.venv-lowest/%)
BIN_OF_NEWEST := $(BIN:.venv/%=.venv-newest/%)

.PHONY: help setup demo test test-lowest test-newest lint types interop bench docs definitions mcpb

help: ## List the recipes
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

# A stamp, so that a second call costs nothing.
.venv/installed: pyproject.toml constraints.txt
	@command -v uv >/dev/null 2>&1 && uv venv -q --allow-existing .venv || $(BASE) -m venv .venv
	@command -v uv >/dev/null 2>&1 \
		&& uv pip install -q --python $(PYTHON) -c constraints.txt -e '.[langchain,dev,adapter]' \
		|| $(PYTHON) -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[langchain,dev,adapter]'
	@touch .venv/installed

setup: .venv/installed ## Make .venv with the package and its tools

demo: .venv/installed ## Ask a video a question, end to end, offline
	@$(BIN)/memories-mcp demo

test: .venv/installed ## Run the whole test suite
	@$(PYTHON) -m pytest -n auto

test-lowest: .venv/installed ## Run the suite with the lowest versions that are allowed
	@$(PYTHON) -m tools.lowest > .lowest.txt
	@$(BASE) -m venv --clear .venv-lowest
	@$(BIN_OF_LOWEST)/python -m pip install -q --disable-pip-version-check -c .lowest.txt -e '.[langchain,dev]'
	@$(BIN_OF_LOWEST)/python -m pytest -n auto

test-newest: ## Run the suite with the newest versions that are allowed
	@$(BASE) -m venv --clear .venv-newest
	@$(BIN_OF_NEWEST)/python -m pip install -q --disable-pip-version-check -e '.[langchain,dev,adapter]'
	@$(BIN_OF_NEWEST)/python -m pytest -n auto

lint: .venv/installed ## Check style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: .venv/installed ## Check types over package, tests and examples
	@$(BIN)/pyright

interop: .venv/installed ## Run clients and checks that others wrote, from the npm registry
	@$(PYTHON) -m interop.run

bench: .venv/installed ## Measure speed and size against references
	@$(PYTHON) -m benchmarks.run

mcpb: .venv/installed ## Make the bundle for Claude Desktop, in dist/
	@$(PYTHON) -m tools.pack_mcpb

docs: .venv/installed ## Write the documents and manifests that are made from the code
	@$(PYTHON) -m tools.write_docs

definitions: .venv/installed ## Write the tools' definitions, which models see, from their code
	@$(PYTHON) -m tools.write_definitions
