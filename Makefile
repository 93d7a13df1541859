# Everything here works on a fresh machine with Python 3.10 or newer and make.
#   make demo   run the penguins pipeline twice: the second time nothing runs
#   make test   the tests
#   make check  format, lint, types
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= auto

.PHONY: demo test check bench bench-quick clean

demo: $(VENV)/.installed
	@echo "--- first run: everything is made"
	$(BIN)/f0make run recipes/penguins/penguins.yaml
	@echo "--- second run: nothing to do"
	$(BIN)/f0make run recipes/penguins/penguins.yaml
	@echo "--- the page: build/penguins/index.html"

test: $(VENV)/.developing
	@sh tests/system-packages.sh
	$(BIN)/python -m pytest -n $(JOBS)

check: $(VENV)/.developing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.developing
	@sh tests/system-packages.sh
	$(BIN)/python -m bench --install

bench-quick: $(VENV)/.developing
	@sh tests/system-packages.sh
	$(BIN)/python -m bench --install --quick

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.developing: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist .f0make
