.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
REPLAY = $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY))

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY) ## install everything into .venv

$(READY): requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.txt
	@# setuptools warns at length of every editable install
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $(READY)

run: $(READY) ## run everything here; reads .env if there is one
	@set -a; if [ -f .env ]; then . ./.env; fi; set +a; exec $(BIN)/bridge up

test: $(READY) ## the whole test suite
	$(BIN)/coverage erase
	$(BIN)/pytest -n 2 --cov --cov-report=term

lint: $(READY) ## style, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

faults: $(READY) ## kill, stop and starve the parts of the bridge, and count tickets; SEED=n ONLY=scenario replay
	$(BIN)/python -m tests.faults --full $(REPLAY)

faults-short: $(READY) ## the same in 3 minutes
	$(BIN)/python -m tests.faults $(REPLAY)

new-source: $(READY) ## begin a source: NAME=acmeforms LABEL="Acme Forms" CAPTURE=file
	$(BIN)/python -m tests.new_source $(NAME) $(if $(LABEL),--label "$(LABEL)") $(if $(CAPTURE),--capture "$(CAPTURE)")

sign: $(READY) ## sign the recorded requests of SOURCE=x that should hold and do not
	$(BIN)/python -m tests.new_source $(SOURCE) --sign

golden: $(READY) ## write the golden files that SOURCE=x lacks
	$(BIN)/python -m tests.new_source $(SOURCE) --golden

mutate: $(READY) ## send 10,000 mutated requests through every source; REQUESTS=n
	BRIDGE_MUTATIONS=$(or $(REQUESTS),10000) $(BIN)/pytest -q --no-header -p no:cacheprovider tests/sources/test_mutations.py

check: lint test faults-short ## everything that CI checks

lock: $(READY) ## compile the pinned requirements from pyproject.toml
	$(BIN)/pip-compile --quiet --no-strip-extras --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file requirements.txt pyproject.toml
	$(BIN)/pip-compile --quiet --no-strip-extras --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --extra dev --output-file requirements-dev.txt pyproject.toml

clean: ## remove what was made, but not the data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* build

.PHONY: help setup run test lint faults faults-short new-source sign golden mutate check lock clean
