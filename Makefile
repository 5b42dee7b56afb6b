# Every target installs what it needs. `make help` lists the targets.
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

.PHONY: help setup demo ci check test test-lowest test-newest lint types interop team bench docs definitions mcpb

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

# A stamp file, so that the installation is skipped if nothing changed.
.venv/installed: pyproject.toml constraints.txt
	@command -v uv >/dev/null 2>&1 && uv venv -q --allow-existing .venv || $(BASE) -m venv .venv
	@command -v uv >/dev/null 2>&1 \
		&& uv pip install -q --python $(PYTHON) -c constraints.txt -e '.[langchain,media,team,dev,adapter]' \
		|| $(PYTHON) -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[langchain,media,team,dev,adapter]'
	@touch .venv/installed

setup: .venv/installed ## Create .venv with the package and the development tools

demo: .venv/installed ## Show an agent at work on the sandbox, offline
	@$(BIN)/memories-mcp demo

# One list for `.ci/run` and the workflow. The loop keeps the order under `make -j`; `test` is last, so that the output
# ends with the summary of pytest.
ci: CHECKS = setup lint types interop team mcpb test
check: CHECKS = setup lint types test
ci: ## Run every check that a change must pass
check: ## Run the checks that need no npm registry
ci: export COVERAGE = 1
ci check:
	@for target in $(CHECKS); do $(MAKE) --no-print-directory $$target || exit 1; done

test: .venv/installed ## Run the whole test suite; COVERAGE=1 measures it and fails below the limit
	@$(PYTHON) -m pytest -n auto $(if $(COVERAGE),--cov --cov-report=term:skip-covered)

test-lowest: .venv/installed ## Run the test suite with the lowest allowed versions of the dependencies
	@$(PYTHON) -m tools.lowest > .lowest.txt
	@$(BASE) -m venv --clear .venv-lowest
	@$(BIN_OF_LOWEST)/python -m pip install -q --disable-pip-version-check -c .lowest.txt -e '.[langchain,media,team,dev]'
	@$(BIN_OF_LOWEST)/python -m pytest -n auto

test-newest: ## Run the test suite with the newest allowed versions of the dependencies
	@$(BASE) -m venv --clear .venv-newest
	@$(BIN_OF_NEWEST)/python -m pip install -q --disable-pip-version-check -e '.[langchain,media,team,dev,adapter]'
	@$(BIN_OF_NEWEST)/python -m pytest -n auto

lint: .venv/installed ## Check style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: .venv/installed ## Check types of package, tests and examples
	@$(BIN)/pyright

interop: .venv/installed ## Run third-party clients and conformance checks, from the npm registry
	@$(PYTHON) -m interop.run

team: .venv/installed ## Run three replicas behind nginx, with the files of deploy/, and check them
	@$(PYTHON) -m interop.team.team

bench: .venv/installed ## Measure speed, size and memory against reference servers
	@$(PYTHON) -m benchmarks.run

mcpb: .venv/installed ## Build the bundle for Claude Desktop, in dist/
	@$(PYTHON) -m tools.pack_mcpb

docs: .venv/installed ## Write the documents and manifests that are generated from the code
	@$(PYTHON) -m tools.write_docs

definitions: .venv/installed ## Write the tool definitions that models see, from the code
	@$(PYTHON) -m tools.write_definitions
