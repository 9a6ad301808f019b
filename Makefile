# Two commands do everything on a fresh machine: `make demo` and `make test`.
VENV := .venv
BIN := $(VENV)/bin
# The first interpreter on the PATH that really runs and is at least 3.11.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
WORKERS ?= 2
DEMO ?= demo

.PHONY: install demo test check marked faults fuzz format docs environments audit clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "expressome needs Python 3.11 or newer on the PATH"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group test --group check --group docs --editable ".[all]"
	touch $@

demo: install
	$(BIN)/expressome demo --out $(DEMO) --overwrite

test: install
	$(BIN)/python -m pytest -n $(WORKERS)

# The tests that the default run leaves out.
marked: install
	$(BIN)/python -m pytest -n $(WORKERS) -m "(slow or memory) and not network and not gpu"

# Kills at twenty moments of each command, full disks, damage: about half an hour.
faults: install
	EXPRESSOME_FAULT_MOMENTS=20 $(BIN)/python -m pytest -n $(WORKERS) -m slow tests/faults tests/pipeline/test_interruptions.py

# Ten thousand spoilt files for each parser: an hour or more.
fuzz: install
	EXPRESSOME_FUZZ_CASES=10000 $(BIN)/python -m pytest -n $(WORKERS) -m slow tests/fuzz

check: install
	$(BIN)/ruff format --check src tests benchmarks scripts examples
	$(BIN)/ruff check src tests benchmarks scripts examples
	$(BIN)/mypy
	$(BIN)/codespell src tests docs benchmarks scripts examples README.md CHANGELOG.md CONTRIBUTING.md
	$(BIN)/python -m scripts.audit_dependencies
	$(BIN)/python -m pytest -q -p no:randomly tests/test_layers.py tests/test_docs.py tests/test_public_api.py

format: install
	$(BIN)/ruff format src tests benchmarks scripts examples
	$(BIN)/ruff check --fix src tests benchmarks scripts examples

# The site, built offline; a warning is an error.
docs: install
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs

# The wheel in a clean environment per extra; make environments EXTRAS=none does one.
EXTRAS ?= none fast report explore cluster accel gan
environments: install
	$(BIN)/python -m scripts.check_environments --extras $(EXTRAS)

# Licences, pins and, where pip-audit and a network are there, known vulnerabilities.
audit: install
	$(BIN)/python -m scripts.audit_dependencies --advisories

clean:
	rm -rf $(VENV) $(DEMO) dist build docs/generated .mypy_cache .ruff_cache .pytest_cache
