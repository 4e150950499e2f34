# For GNU make 3.81 and a POSIX shell; everything else comes from scripts/bootstrap.
# `make up ARGS="--port 9000"` hands arguments on, and so does `make test ARGS="tests/unit -k cursors"`.

# Tests mostly wait for servers, so two files at a time suit two cores; WORKERS=0 runs them in one process.
# tests/support/together.py says what stays together, and what begins first.

BIN = .venv/bin
ARGS =
WORKERS = 2

PIN = uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock" --quiet

.PHONY: help up install test minute fuzz chaos soak lint format wheel sbom audit lock docs types vendor pictures clean

help: ## say what there is (the default)
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

up: install ## install into .venv and start the mesh on http://127.0.0.1:8000/
	@exec $(BIN)/mesh up $(ARGS)

install: ## install into .venv what requirements.lock pins
	@sh scripts/bootstrap 2>&1

test: lint ## install, lint, and run every test
	@echo "pytest: started"
	@exec $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder --durations=10 --durations-min=1 $(ARGS) 2>&1

minute: install ## in Chromium for a whole minute each: 500 events a second, a tab asleep, a network that is cut
	@WHOLE_MINUTE=1 exec $(BIN)/python -m pytest -m minute -rP $(ARGS) tests/browser 2>&1

# ARGS="--target frames --inputs 5000000" for one target, and longer; --reproduce for what it found.
fuzz: install ## a million inputs, in many minutes, for each place where bytes of strangers come in
	@exec $(BIN)/python -m tests.fuzz $(ARGS) 2>&1

# ARGS="--only edge --clients 200 --rate 200" for some of it; --seed for the pairs of another run. As root it can do more.
chaos: install ## kill, freeze, cut off and fill up a cluster under load, and check that nothing was lost
	@exec $(BIN)/python -m tests.chaos $(ARGS) 2>&1

# ARGS="--minutes 60" for an hour; --publish puts the report into docs/soak.md.
soak: install ## thousands of clients that come and go, for ten minutes, and check that nothing grows or is left
	@exec $(BIN)/python -m tests.soak $(ARGS) 2>&1

lint: install ## ruff, mypy --strict, import-linter, codespell
	@sh scripts/timed "ruff check" $(BIN)/ruff check --quiet --output-format concise . 2>&1
	@sh scripts/timed "ruff format" $(BIN)/ruff format --check --output-format concise . 2>&1
	@sh scripts/timed "mypy" $(BIN)/mypy --no-error-summary 2>&1
	@sh scripts/timed "import-linter" $(BIN)/lint-imports 2>&1
	@sh scripts/timed "codespell" $(BIN)/codespell 2>&1

format: install ## let ruff put the code in shape
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format .

wheel: install ## build dist/daena_mesh-….whl, with the page and the JavaScript client in it
	@$(BIN)/python -m hatchling build --target wheel

sbom: install ## write dist/sbom.json: what is installed, as CycloneDX
	@mkdir -p dist
	@$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file dist/sbom.json $(BIN)/python
	@echo "dist/sbom.json"

# Needs the network. ARGS=--offline compares the pins with the oldest versions that are accepted, and asks nobody.
audit: install ## ask a database of known vulnerabilities about what requirements.lock pins
	@$(BIN)/python -m scripts.audit $(ARGS) 2>&1

# Keeps what is pinned unless UPGRADE=--upgrade. Needs uv, the one tool that resolves for all platforms at once.
lock: ## pin anew what pyproject.toml asks for, in requirements.lock and those of deploy and tests/adapters
	@command -v uv >/dev/null || { echo "make lock needs uv; this helps: python3 -m pip install --user uv" >&2; exit 1; }
	@$(PIN) --extra server --extra brain --extra creds --extra edge-client --extra cluster --extra demo --extra otel --extra dev --extra fuzz --output-file requirements.lock $(UPGRADE)
	@$(PIN) --extra server --extra brain --extra creds --extra otel --constraints requirements.lock \
		--output-file deploy/requirements.lock $(UPGRADE)
	@$(PIN) --extra langgraph --extra openai-agents --extra mcp --group adapters \
		--output-file tests/adapters/requirements.lock $(UPGRADE)

docs: install ## write docs/configuration.md, the figures in docs/performance.md and docs/scaling.md, and deploy/grafana
	@$(BIN)/python -m mesh_cli.configuration > docs/configuration.md.new
	@mv docs/configuration.md.new docs/configuration.md
	@$(BIN)/python -m mesh_cli.bench.document docs/performance.md bench/results
	@$(BIN)/python -m mesh_cli.capacity.document docs/scaling.md bench/results
	@$(BIN)/python scripts/dashboards.py deploy/grafana

# Needs the pinned TypeScript: npm ci --prefix tests/sdk
types: ## write sdk/js/types from the comments in sdk/js, and check the types of console
	@$(BIN)/python -m tests.support.js_event_types > sdk/js/event_types.js.new
	@mv sdk/js/event_types.js.new sdk/js/event_types.js
	@tests/sdk/node_modules/.bin/tsc -p tests/sdk
	@tests/sdk/node_modules/.bin/tsc -p tests/sdk/tsconfig.console.json

# Needs what is pinned there: npm ci --prefix tests/sdk
pictures: install ## write docs/rooms, pictures of the page with the demo at work, in two minutes
	@$(BIN)/python -m tests.browser.pictures docs/rooms

vendor: ## write console/vendor from the packages that tests/sdk pins
	@for file in console/vendor/*.js; do (cd tests/sdk && node vendor.mjs $$(basename $$file .js)) > $$file.new && mv $$file.new $$file; done

clean: ## remove what was built and installed; the mesh's data in .mesh/ stays
	@rm -rf .venv build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
