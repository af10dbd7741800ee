PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: run
run: $(READY) ## Set up what is missing, start the database and serve.
	@$(BIN)/synap serve

.PHONY: test
test: $(READY) ## Run every test, against a real PostgreSQL (and real clients, where node is).
	$(BIN)/python -m pytest --numprocesses $(or $(JOBS),2) --dist worksteal $(TESTS)

.PHONY: check
check: $(READY) ## Format, lint, types and import contracts; changes nothing.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy app procedures schemas tests benchmarks examples clients/python/src
	$(BIN)/lint-imports

.PHONY: fmt
fmt: $(READY) ## Format, and mend what the linter can mend.
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: bench
bench: $(READY) ## Measure beside a plain node server, in one run (needs node and wrk).
	$(BIN)/python -m benchmarks

.PHONY: soak
soak: $(READY) ## The long forms of tests: 500 readers (SOAK="--seconds 600"), 20,000 webhook deliveries, 20,000 events while servers are killed, 20 stops in each state, every door called at random.
	$(BIN)/python -m benchmarks soak $(SOAK)
	WEBHOOK_EVENTS=$(or $(WEBHOOK_EVENTS),20000) $(BIN)/python -m pytest -s tests/acceptance/test_webhooks.py
	CLIENT_EVENTS=$(or $(CLIENT_EVENTS),20000) $(BIN)/python -m pytest -s tests/acceptance/test_python_client.py
	IMPORT_LINES=$(or $(IMPORT_LINES),200000) $(BIN)/python -m pytest -s tests/acceptance/test_import.py
	STOP_ROUNDS=$(or $(STOP_ROUNDS),20) $(BIN)/python -m pytest --timeout 3600 tests/acceptance/test_stop.py
	SCHEMATHESIS_EXAMPLES=$(or $(SCHEMATHESIS_EXAMPLES),50) $(BIN)/python -m pytest tests/surfaces/test_openapi_fuzz.py

.PHONY: lock
lock: $(READY) ## Renew the pinned versions from pyproject.toml.
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url \
		--group dev pyproject.toml -o requirements.lock --upgrade

# One environment for everything, made anew when the pinned versions change. The build backend is pinned with the rest,
# so nothing is fetched that the lock does not name.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
