# Sendlog's commands. `make help` lists them; `make run` and `make test` need nothing but Python 3.11+ and make.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
PY := .venv/bin/python

# A stamp is named after what it was installed from, so that a checkout of another commit installs again
# and an unchanged one is ready at once. What tests need includes what runs.
key = $(shell cat $(1) pyproject.toml | cksum | cut -d ' ' -f 1)
RUN_KEY := $(call key,requirements.lock)
RUN := .venv/installed-run-$(RUN_KEY)
DEV := .venv/installed-dev-$(RUN_KEY)-$(call key,requirements-dev.lock)

.PHONY: help run test check lint bench chaos format lock clean install

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUN) ## start the whole local world in the foreground; Ctrl-C stops it
	@$(PY) -m deploy.local

test: $(DEV) ## run all tests, on real servers that they start themselves
	@$(PY) -m pytest $(ARGS)

check: lint ## what CI runs: format, lint, types, import rules, generated docs, tests
	@$(PY) -m pytest --ignore=tests/architecture/test_tools.py $(ARGS)

lint: $(DEV) ## the checks alone, without the tests
	@$(PY) -m ruff format --check --quiet . || { echo "make format puts it right" >&2; exit 1; }
	@$(PY) -m ruff check --quiet .
	@$(PY) -m mypy
	@.venv/bin/lint-imports
	@$(PY) -m shared.events.catalogue --check
	@$(PY) -m services.gateway.catalogue --check

bench: $(DEV) ## measure speed beside controls; prints a table and writes JSON
	@$(PY) -m bench $(ARGS)

chaos: $(DEV) ## kill, stop, fill and cut everything, and print each invariant
	@$(PY) -m tests.chaos $(ARGS)

format: $(DEV) ## format the code and sort its imports
	@$(PY) -m ruff check --quiet --select I --fix .
	@$(PY) -m ruff format --quiet .

install: $(DEV) ## make .venv with everything for running and testing

# From the public index alone, whatever this machine's pip is set up to use beside it, and without addresses.
lock: $(DEV) ## renew requirements*.lock from requirements*.in (UPGRADE=-U takes newer releases)
	@for name in requirements requirements-dev; do \
		PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS= PIP_EXTRA_INDEX_URL= CUSTOM_COMPILE_COMMAND="make lock" \
		.venv/bin/pip-compile --quiet $(UPGRADE) --generate-hashes --allow-unsafe --strip-extras \
			--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
			--output-file $$name.lock $$name.in || exit 1; \
	done

clean: ## remove what was made here: .venv, caches, and the local world's state (.sendlog)
	@rm -rf .venv .sendlog build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN):
	@sh deploy/local/install.sh requirements.lock $@

$(DEV):
	@sh deploy/local/install.sh requirements-dev.lock $@ $(RUN)
