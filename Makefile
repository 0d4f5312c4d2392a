# `make demo` and `make test` need Python 3.11+ and nothing else; each makes what it needs.
# `make fast` is the part of `make test` that starts no process and opens no socket.
# `make pin` writes what the bundle installs: the newest versions that pyproject.toml allows.
# `make bundle` needs Node.js as well, because the tool that packs bundles is written for it, and so
# does `make conformance`, which brings the version that the suite wants. `make test-view` needs Node.js
# and Chromium: it shows the view in a real browser, with the reference code of hosts.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check
MCPB := npx --yes --package @anthropic-ai/mcpb@2.1.2 mcpb
CONFORMANCE := @modelcontextprotocol/conformance@0.2.0-alpha.12 node@22
# The reference code of hosts, the client that it leans on, and what makes one script of both.
VIEW := @modelcontextprotocol/ext-apps@2.0.4 @modelcontextprotocol/client@2.4.0 esbuild@0.28.2
BUNDLE := dist/hailuo-tasks-mcp.mcpb

.PHONY: demo test fast test-view view-needs pin bundle bench conformance clean

demo: .venv/installed
	@$(BIN)/hailuo-tasks-mcp demo

test: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n auto --maxprocesses 8 --dist loadgroup --cov --cov-report=term-missing:skip-covered

fast: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/pytest -n auto --maxprocesses 8 --dist loadgroup -m 'not real_time' -q

test-view: view-needs .venv/installed-view .view/host.js
	$(BIN)/pytest -n 2 tests/view

view-needs: .venv/bin/python
	@$(BIN)/python tests/view/needs.py

pin: .venv/installed-test
	$(BIN)/uv pip compile pyproject.toml --upgrade --universal --python-version 3.11 --no-build --generate-hashes \
	  --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command 'make pin' \
	  --quiet --output-file bundle-requirements.txt

bundle:
	$(MCPB) validate manifest.json
	@mkdir -p dist
	$(MCPB) pack . $(BUNDLE)

bench: .venv/installed-bench
	$(BIN)/python benchmarks/compare.py

conformance: .venv/installed-test .conformance/installed
	$(BIN)/python scripts/conformance.py

clean:
	rm -rf .venv .bench .conformance .view .packages dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("hailuo-tasks-mcp needs Python 3.11 or newer; try make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv .venv

# Installed editable, so that a change of the code needs no new installation; one of pyproject.toml does.
.venv/installed: .venv/bin/python pyproject.toml
	@echo "Installing hailuo-tasks-mcp into .venv ..."
	@$(INSTALL) --editable .
	@touch $@

.venv/installed-test: .venv/bin/python pyproject.toml
	@echo "Installing hailuo-tasks-mcp and its test tools into .venv ..."
	@$(INSTALL) --editable '.[test]'
	@touch $@ .venv/installed

.venv/installed-bench: .venv/installed-test
	@$(INSTALL) --editable '.[bench]'
	@touch $@

.venv/installed-view: .venv/installed-test
	@$(INSTALL) --editable '.[view]'
	@touch $@

.conformance/installed: Makefile
	@mkdir -p .conformance
	@npm install --prefix .conformance --no-audit --no-fund --loglevel error $(CONFORMANCE)
	@touch $@

.view/installed: Makefile
	@mkdir -p .view
	@npm install --prefix .view --no-audit --no-fund --loglevel error $(VIEW)
	@touch $@

.view/host.js: .view/installed tests/view/host/host.js
	@NODE_PATH=.view/node_modules .view/node_modules/.bin/esbuild tests/view/host/host.js --bundle --format=esm \
	  --log-level=warning --outfile=$@
