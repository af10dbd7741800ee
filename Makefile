BIN := .venv/bin
# Some containers set this variable. Each of the hundreds of Python processes of a run would then compile its imports.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest
# Four tests run at once: while two compute, two wait for a server, a browser or a limit.
AT_ONCE = --numprocesses $(or $(JOBS),4) --dist worksteal

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: run
run: server ## Set up what is missing, start the database and serve.
	@$(BIN)/synap serve

.PHONY: test
test: dev ## Run every test, against a real PostgreSQL (and real clients, if node is installed).
	$(PYTEST) $(AT_ONCE) --durations 20 $(TESTS)

.PHONY: check
check: dev ## Check format, lint, types and import contracts; changes nothing.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy synap_events.py app procedures schemas deploy tests benchmarks examples clients/python/src
	$(BIN)/lint-imports

.PHONY: fmt
fmt: dev ## Format, and fix what the linter can fix.
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: bench
bench: dev ## Measure every call beside a plain node server and UmaDB, and the tiles of a million events (needs node and wrk). COMPARE=old.json prints what changed.
	$(BIN)/python -m benchmarks calls --json bench-$(shell date -u +%Y%m%dT%H%M%SZ).json $(if $(COMPARE),--compare $(COMPARE))
	$(BIN)/python -m benchmarks tiles

.PHONY: soak
soak: dev ## Run the long forms of tests: 500 readers (SOAK="--seconds 600"), 20,000 webhook deliveries, 20,000 events while servers are killed, 10,000 in a browser, 20 stops in each state, every door called at random, 1,000 checkpoints cosigned for and by independent programs while both sides are killed, pages in a log of 20,000 events (needs wrk), every example of every test.
	$(BIN)/python -m benchmarks soak $(SOAK)
	WEBHOOK_EVENTS=$(or $(WEBHOOK_EVENTS),20000) $(PYTEST) -s tests/acceptance/test_webhooks.py
	TAIL_EVENTS=$(or $(TAIL_EVENTS),10000) $(PYTEST) -s --timeout 3600 tests/browser/test_tail.py
	CLIENT_EVENTS=$(or $(CLIENT_EVENTS),20000) $(PYTEST) -s tests/acceptance/test_python_client.py
	IMPORT_LINES=$(or $(IMPORT_LINES),200000) $(PYTEST) -s tests/acceptance/test_import.py
	STOP_ROUNDS=$(or $(STOP_ROUNDS),20) $(PYTEST) --timeout 3600 tests/acceptance/test_stop.py
	CONSOLE_EVENTS=$(or $(CONSOLE_EVENTS),200000) CONSOLE_TAIL_SECONDS=60 $(PYTEST) -s --timeout 3600 tests/console/test_events.py tests/console/test_pace.py
	WITNESS_CHECKPOINTS=$(or $(WITNESS_CHECKPOINTS),1000) $(PYTEST) -s --timeout 3600 tests/surfaces/test_strange_witnesses.py tests/delivery/test_strange_witness.py
	SCHEMATHESIS_EXAMPLES=$(or $(SCHEMATHESIS_EXAMPLES),50) $(PYTEST) tests/surfaces/test_openapi_fuzz.py
	$(BIN)/python -m benchmarks browse --sizes 1000 20000 --seconds 1
	EXAMPLES=all $(PYTEST) $(AT_ONCE)

.PHONY: cluster
cluster: dev ## Run the tests of the store and of whole servers on a Citus cluster, and with one of its nodes dead. CLUSTER=postgresql://... is a superuser's URL of its coordinator, on this machine.
	@test -n "$(CLUSTER)" || { echo "Name the coordinator: make cluster CLUSTER=postgresql://postgres@127.0.0.1:5432/postgres" >&2; exit 2; }
	TEST_DATABASE_URL=$(CLUSTER) $(PYTEST) --timeout 600 $(or $(TESTS),tests/store tests/acceptance tests/cli/test_distribute.py tests/cli/test_sizes.py)

.PHONY: console
console: dev ## Build the console from its sources (needs node); its files are committed.
	$(BIN)/synap contract --typescript > console/src/contract.ts
	cd console && npm ci && npx tsc && node build.mjs

.PHONY: dist
dist: server ## Build the wheel and the sdist, into dist/.
	$(BIN)/hatchling build

.PHONY: lock
lock: dev ## Renew the pinned versions from pyproject.toml; fails if one has no wheel for a supported system.
	$(BIN)/python -m deploy.lock

.PHONY: dev
dev: ## Set up what tests and tools need. PYTHON=/path/to/python3 chooses the Python.
	@sh deploy/environment.sh tests

.PHONY: server
server: ## Set up what the server needs.
	@sh deploy/environment.sh server
