# Every target makes the virtual environment and installs what it needs; when nothing has changed that takes no time.
PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=
BENCH_ARGS ?=
SOAK ?= 1
BIN := $(VENV)/bin
# One process for each core, with the tests of a file in one process: they compile the same kernels.
PYTEST := python -m pytest --numprocesses auto --dist loadfile

.PHONY: help example test test-slow soak lint docs bench

help:
	@echo "make example      learn to read words and to number snakes: accuracies, and pictures in examples/output"
	@echo "make test         the tests, on all cores"
	@echo "make test-slow    the tests that take minutes"
	@echo "make soak         an hour of random models, interrupts, hostile files and predictions in threads: prints figures"
	@echo "make test-lowest  the tests with the lowest supported versions, in .venv-lowest; test-middle: with some between"
	@echo "make lint         ruff, mypy and codespell"
	@echo "make docs         the documentation, in docs/_build/html"
	@echo "make bench        the benchmarks, next to other programs, at a small size: tables and plots in benchmarks/output;"
	@echo "                  BENCH_ARGS='chains.* --size full' chooses cases and size, BENCH_ARGS=--list shows the cases"
	@echo "PYTHON=python3.12 chooses the interpreter, PYTEST_ARGS='-k chain' passes arguments to pytest"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed: PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

# One stamp per extra of pyproject.toml.
$(VENV)/stamp-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[$*]"
	@touch $@

# The tests with the versions of requirements-*.txt.
$(VENV)/versions-%: pyproject.toml requirements-%.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]" -c requirements-$*.txt
	@touch $@

example: $(VENV)/stamp-plot
	cd examples && $(abspath $(BIN))/python plot_letters.py
	cd examples && $(abspath $(BIN))/python plot_snakes.py
	@echo "pictures: examples/output/plot_letters.png, examples/output/plot_snakes.png"

test: $(VENV)/stamp-test
	$(BIN)/$(PYTEST) $(PYTEST_ARGS)

test-slow: $(VENV)/stamp-test
	$(BIN)/$(PYTEST) -m slow --timeout=1800 $(PYTEST_ARGS)

soak: $(VENV)/stamp-test
	SOAK=$(SOAK) $(BIN)/python -m pytest -m "slow or not slow" --timeout=7200 -q $(PYTEST_ARGS) \
		tests/soak tests/io/test_hostile_models.py tests/io/test_hostile_datasets.py

test-%: requirements-%.txt
	$(MAKE) VENV=.venv-$* .venv-$*/versions-$*
	.venv-$*/bin/$(PYTEST) $(PYTEST_ARGS)

lint: $(VENV)/stamp-dev
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/python -m codespell_lib

docs: $(VENV)/stamp-docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/stamp-bench
	$(BIN)/python -m benchmarks $(BENCH_ARGS)
