# Needs make and Python 3.11 or newer; everything else goes into .venv.

# A shim of python3.11 may exist without an interpreter behind it: take the first that answers.
PYTHON ?= $(shell for python in python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	echo $$python && break; done)
WORKERS ?= 2
# How long `make mutants` may take.
MUTANTS_FOR ?= 30m

# Each has one extra, for a library that wants other versions than ours beside it.
ENVIRONMENTS := build/env-mlflow/made build/env-spark/made build/env-ray/made

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# The package of Debian and Ubuntu with a server that the tests start, unless it is there. Another,
# PostgreSQL, comes with the environment.
SERVERS = $(shell command -v redis-server >/dev/null || echo redis-server)
AS_ROOT = $(shell test "$$(id -u)" = 0 || echo sudo -n)
APT = $(AS_ROOT) env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300

.DEFAULT_GOAL := help
# Two pips at once would work in one environment.
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help venv demo test test-all check bench mutants migrations dist constraints servers clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

venv: .venv/base  ## the environment with the package in it

demo: .venv/base  ## a tour of the product on generated data
	$(BIN)/ai-hub demo

test: servers .venv/test  ## the tests, without the long ones
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not long"

test-all: servers .venv/test $(ENVIRONMENTS)  ## every test, and properties on more examples
	HYPOTHESIS_PROFILE=all $(BIN)/pytest -n $(WORKERS) --dist worksteal

check: .venv/check .venv/test  ## style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	test ! -x $(BIN)/hadolint || $(BIN)/hadolint Dockerfile
	$(BIN)/pytest --quiet tests/test_imports.py

bench: .venv/bench  ## the benchmarks
	$(BIN)/python -m benchmarks

# What was found is kept in mutants/: where the time was too short, another call goes on from there.
mutants: .venv/mutants .venv/test  ## deliberate faults in what decides, and those no test noticed
	HYPOTHESIS_PROFILE=mutants timeout $(MUTANTS_FOR) \
		$(BIN)/mutmut run --max-children $(WORKERS) || test $$? -eq 124
	$(BIN)/mutmut results

# With no settings but the defaults, whatever the environment says.
migrations: .venv/base  ## write migrations/001_create_feature_views.sql anew, after a new migration
	$(BIN)/python -c 'from pathlib import Path; from ai_hub.config import Settings; \
		from ai_hub.administration import migration_script as script; \
		Path("migrations/001_create_feature_views.sql").write_text(script(Settings()), "utf-8")'

# The wheel is made of the source archive, so both are tried.
dist: .venv/dist  ## the wheel and the source archive, tried in an empty environment
	rm -rf dist build/dist
	$(BIN)/python -m build --outdir dist .
	$(PYTHON) -m venv build/dist
	build/dist/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		dist/*.whl
	$(BIN)/python tests/try_wheel.py dist/*.whl build/dist

# One stamp for the environment and one for each extra in it, so that the demo installs no test
# library and the tests start from the environment that the demo left.
.venv/base: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=<interpreter>"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	$(INSTALL) -e .
	@touch $@

.venv/test .venv/check .venv/bench .venv/mutants .venv/dist: .venv/base
	$(INSTALL) -e '.[$(@F)]'
	@touch $@

# An environment of its own, build/env-NAME: the package with the extra NAME.
build/env-%/made: pyproject.toml constraints-%.txt
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-$*.txt \
		-e '.[$*]' 'pytest>=8.4' 'hypothesis>=6.100'
	@touch $@

# Written only when all of it is known, and only if no line holds an address.
constraints:  ## pin the newest release of every dependency in constraints.txt, constraints-*.txt
	@set -e; pins() { $(PYTHON) -m venv --clear build/pins; \
		build/pins/bin/python -m pip install --quiet --disable-pip-version-check "$$@"; \
		build/pins/bin/python -m pip freeze --quiet --exclude-editable > build/pins/freeze; \
		! grep -nE '@|://' build/pins/freeze; }; \
	pins -e '.[test,check,bench,mutants,dist]'; \
	{ echo '# Every dependency of every extra; written by `make constraints`.'; \
		cat build/pins/freeze; } > constraints.txt; \
	for name in $(patsubst build/env-%/made,%,$(ENVIRONMENTS)); do \
		pins -e ".[$$name]" 'pytest>=8.4' 'hypothesis>=6.100'; \
		{ echo "# Of the extra $$name, for build/env-$$name; written by \`make constraints\`."; \
			cat build/pins/freeze; } > constraints-$$name.txt; \
	done

# Without it the tests run too, and say loudly what they skipped. Only the installation counts:
# `update` also fails for a package source that does not have it.
servers:  ## install Redis, which the tests start, where that may be
	@packages="$(SERVERS)"; test -z "$$packages" || { \
		$(APT) update; $(APT) install -y --no-install-recommends $$packages; } >/dev/null 2>&1 || \
		echo "Some tests need Redis. On Debian or Ubuntu: apt-get install $$packages"

clean:  ## remove the environment and everything that was generated
	rm -rf .venv build dist mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests -name __pycache__ -type d -exec rm -rf {} +
