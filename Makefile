# Two commands do everything on a fresh machine: `make demo` and `make test`.
# What a target does stands in make.py, for every system.
# The first interpreter on the PATH that really runs and is at least 3.11.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
WORKERS ?= 2
DEMO ?= demo
# make environments EXTRAS=none does one.
EXTRAS ?= none fast report explore cluster accel gan
TARGETS := install demo test check marked faults fuzz format docs environments audit clean

.PHONY: $(TARGETS)

$(TARGETS):
	@test -n "$(PYTHON)" || { echo "expressome needs Python 3.11 or newer on the PATH"; exit 1; }
	@$(PYTHON) make.py $@ --workers "$(WORKERS)" --demo "$(DEMO)" --extras $(EXTRAS)
