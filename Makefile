# Everything here works on a fresh machine with Python 3.10 or newer and make.
#   make demo   run the penguins pipeline twice: the second time nothing runs
#   make test   the tests, always with the same seeds (STARTED=1: no command is forked, each is started)
#   make test-fast  the rooms unit and property, with fewer examples: less than a minute
#   make test-matrix  test-fast under every Python from 3.10 on that this machine has
#   make fuzz   the fuzzers, FUZZ seconds each (default: 600), and ten times the examples, from seeds that a failure names
#   make storm  kills and broken hosts, STORM rounds of each (default: 100), from seeds that a failure names
#   make coverage   the tests, and which lines no test runs
#   make check  format, lint, types, and that imports go one way only
#   make tables the tables of docs/ that come from f0make's own, written anew
#   make zipapp dist/f0make.pyz: one file, to copy to a machine that has Python only (make zipapp-energy: with CodeCarbon)
#   make lock   the newest versions into the lock files that make test, make check and make zipapp go by
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= auto

.PHONY: demo test test-fast test-matrix fuzz storm coverage check tables bench bench-quick zipapp zipapp-energy lock clean

demo: $(VENV)/.installed
	@echo "--- first run: everything is made"
	$(BIN)/f0make run recipes/penguins/penguins.yaml
	@echo "--- second run: nothing to do"
	$(BIN)/f0make run recipes/penguins/penguins.yaml
	@echo "--- the page: build/penguins/index.html"

test: $(VENV)/.developing
	@sh tests/system-packages.sh
	F0MAKE_TESTS_START=$(STARTED) $(BIN)/python -m pytest -n $(JOBS)

test-fast: $(VENV)/.developing
	F0MAKE_EXAMPLES=0.2 $(BIN)/python -m pytest -n $(JOBS) tests/unit tests/property

# Each Python has an environment of its own; what cannot be installed for one (Ray, CodeCarbon) its tests do without.
test-matrix:
	@sh tests/matrix.sh

FUZZ ?= 600
EXAMPLES ?= 10

fuzz: $(VENV)/.developing
	F0MAKE_FUZZ_SECONDS=$(FUZZ) F0MAKE_EXAMPLES=$(EXAMPLES) \
		$(BIN)/python -m pytest -n $(JOBS) --hypothesis-profile random tests/property

STORM ?= 100

storm: $(VENV)/.developing
	F0MAKE_STORM_ROUNDS=$(STORM) $(BIN)/python -m pytest -n $(JOBS) -m storm tests/chaos

coverage: $(VENV)/.developing
	@sh tests/system-packages.sh
	$(BIN)/python -m pytest -n $(JOBS) --cov --cov-report term:skip-covered --cov-report html:build/coverage

check: $(VENV)/.developing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

tables: $(VENV)/.developing
	$(BIN)/python -m tests.support.doc_tables

bench: $(VENV)/.developing
	@sh tests/system-packages.sh
	$(BIN)/python -m bench --install

bench-quick: $(VENV)/.developing
	@sh tests/system-packages.sh
	$(BIN)/python -m bench --install --quick

# The tools live apart, one environment for each minor version of Python: extension modules fit no other.
ZIPAPP_TOOLS = build/zipapp/python$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')

zipapp: $(ZIPAPP_TOOLS)/.installed
	$(ZIPAPP_TOOLS)/bin/python -m onefile

zipapp-energy: $(ZIPAPP_TOOLS)/.installed
	$(ZIPAPP_TOOLS)/bin/python -m onefile dist/f0make-energy.pyz

build/zipapp/%/.installed: onefile/tools.lock
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r onefile/tools.lock
	@touch $@

lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check --upgrade uv
	build/lock/bin/uv $(LOCK) onefile/tools.in -o onefile/tools.lock
	build/lock/bin/uv $(LOCK) --extra energy pyproject.toml -o shiv.lock
	build/lock/bin/uv $(LOCK) --extra dev pyproject.toml -o dev.lock

LOCK = pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes --custom-compile-command "make lock"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

# Everything but the project itself, which has no hash, comes as the lock file has it.
$(VENV)/.developing: pyproject.toml dev.lock | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist .f0make
