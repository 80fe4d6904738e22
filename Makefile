# Two commands: `make reproduce` and `make test`. Each installs what it needs into .venv.
# On Linux, torch from PyPI brings several GB of CUDA libraries; for the CPU build:
#   make reproduce PIP_OPTIONS="--extra-index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
VENV ?= .venv
PIP_OPTIONS ?=
BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--constraint constraints.txt $(PIP_OPTIONS)

.PHONY: reproduce test dev check slow test-sb3 test-gymnasium1 clean

reproduce: $(VENV)/installed
	$(BIN)/pfc-metarl reproduce two-step $(OPTIONS)

test: $(VENV)/installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(OPTIONS)

slow: $(VENV)/installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow $(OPTIONS)

# Agents of stable-baselines3 play our environments; in a virtual environment of its own.
test-sb3: $(VENV)/sb3/installed
	OMP_NUM_THREADS=1 $(VENV)/sb3/bin/python -m pytest -m sb3 tests/tasks/test_sb3.py \
		$(OPTIONS)

# Gymnasium 1, which neurogym does not ask for but works with.
test-gymnasium1: $(VENV)/gymnasium1/installed
	OMP_NUM_THREADS=1 $(VENV)/gymnasium1/bin/python -m pytest -m "not slow" \
		tests/tasks/test_gymnasium1.py tests/tasks/test_environments.py $(OPTIONS)

# Linters, and links by which type checkers find the folders of the root as sub-packages.
dev: $(VENV)/installed-dev
	mkdir -p .typing/pfc_metarl
	cd .typing/pfc_metarl && ln -sfn ../../pfc_metarl/* . && \
		ln -sfn ../../tasks ../../fits ../../data ../../paper .

check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd .typing && ../$(BIN)/mypy --config-file ../setup.cfg -p pfc_metarl
	cd .typing && PYTHONPATH=. ../$(BIN)/lint-imports --config ../setup.cfg

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: setup.cfg constraints.txt | $(VENV)/bin/python
	$(INSTALL) --editable .
	touch $@

$(VENV)/installed-test: setup.cfg constraints.txt | $(VENV)/bin/python
	$(INSTALL) --editable ".[test]"
	touch $@ $(VENV)/installed

$(VENV)/installed-dev: setup.cfg constraints.txt | $(VENV)/bin/python
	$(INSTALL) --editable ".[dev]"
	touch $@ $(VENV)/installed-test $(VENV)/installed

$(VENV)/sb3/installed: setup.cfg constraints.txt
	$(PYTHON) -m venv $(VENV)/sb3
	$(subst $(BIN),$(VENV)/sb3/bin,$(INSTALL)) --editable ".[test,sb3]"
	touch $@

$(VENV)/gymnasium1/installed: setup.cfg constraints.txt
	$(PYTHON) -m venv $(VENV)/gymnasium1
	$(subst $(BIN),$(VENV)/gymnasium1/bin,$(INSTALL)) --editable ".[test]"
	$(VENV)/gymnasium1/bin/python -m pip install --quiet --no-deps $(PIP_OPTIONS) \
		"gymnasium==1.4.0"
	touch $@

clean:
	rm -rf $(VENV) .typing build dist *.egg-info
