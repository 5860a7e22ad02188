# make demo               run an example once and watch it (APP=bottle or pyramid)
# make test               everything: lint, types, tests, on each interpreter found
# make check              lint, types and tests on this interpreter alone
# make clean              remove what these have made

PYTHON ?= python3
APP ?= bottle
ENVS := .venv
DEMO := $(ENVS)/demo-$(APP)
NOX := $(ENVS)/nox
SOURCES := setup.cfg setup.py $(shell find inngest_wsgi -name '*.py')

.PHONY: demo test check clean python

demo: $(DEMO)/installed
	@$(DEMO)/bin/python examples/demo.py $(APP)

test: $(NOX)/installed
	$(WITH_INTERPRETERS) $(NOX)/bin/nox

check: $(NOX)/installed
	$(NOX)/bin/nox --session lint tests

clean:
	rm -rf $(ENVS) .nox build dist *.egg-info

# Interpreters of other versions are looked for beside this one too, where
# pyenv and its like put them.
SPACE := $(subst ,, )
BESIDE = $(wildcard $(shell $(PYTHON) -c \
	"import os, sys; print(os.path.dirname(sys.base_prefix))")/*/bin)
WITH_INTERPRETERS = PATH="$(subst $(SPACE),:,$(BESIDE)):$$PATH"

$(DEMO)/installed: examples/$(APP)/requirements.txt $(SOURCES) | python
	@echo "Making $(DEMO) ..."
	@$(PYTHON) -m venv $(DEMO)
	@$(DEMO)/bin/python -m pip install --quiet --disable-pip-version-check \
		. --requirement examples/$(APP)/requirements.txt
	@touch $@

$(NOX)/installed: | python
	@$(PYTHON) -m venv $(NOX)
	@$(NOX)/bin/python -m pip install --quiet --disable-pip-version-check nox
	@touch $@

python:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 8))" || { \
		echo "$(PYTHON) is too old or missing. Python 3.8 or newer is needed;" \
		"name one with: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c "import venv, ensurepip" || { \
		echo "$(PYTHON) has no venv. On Debian: apt-get install python3-venv"; exit 1; }
