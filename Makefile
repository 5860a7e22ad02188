# make demo               run an example once and watch it (APP=bottle, flask, pyramid, django
#                         or streaming); KEEP=1 starts it, for you to click around, and
#                         DATABASE_URL=... with DRIVER=psycopg is for PostgreSQL
# make demo-streaming     a slow step behind an impatient nginx, not streamed and streamed
# make test               everything: lint, types, tests; on this interpreter, and on the oldest
#                         and the newest that are found
# make check              lint, types and tests on this interpreter alone
# make docs               the site of docs/, in build/docs; its tools need Python 3.11 or newer
# make bench              how fast it is, beside the official SDK and the least possible
#                         (ARGUMENTS=--write-docs writes docs/performance.md, --help the others)
# make clean              remove what these have made

PYTHON ?= python3
APP ?= bottle
# An environment is for one interpreter: what another one has made is of no use.
ENVS := .venv/$(shell $(PYTHON) -c "import re, sys; print('.'.join(map(str, sys.version_info[:3])) \
	+ re.sub('[^A-Za-z0-9.]+', '-', sys.base_prefix))" 2>/dev/null)
DEMO := $(ENVS)/demo-$(APP)
NOX := $(ENVS)/nox
BENCH := $(ENVS)/bench
SITE := $(ENVS)/docs
SOURCES := pyproject.toml setup.cfg setup.py $(shell find inngest_wsgi -name '*.py' -o -name '*.html')

.PHONY: demo demo-streaming test check docs bench clean python nginx wrk

ifeq ($(APP),streaming)
demo: demo-streaming
else
demo: $(DEMO)/installed
	@test -z "$(DRIVER)" || $(DEMO)/bin/python -m pip install --quiet \
		--disable-pip-version-check "$(DRIVER)"
	@$(DEMO)/bin/python examples/demo.py $(APP) $(if $(KEEP),--keep)
endif

demo-streaming: nginx $(ENVS)/demo-streaming/installed
	@$(ENVS)/demo-streaming/bin/python examples/demo_streaming.py

# What was found is said last, and whatever came of the tests.
test: $(NOX)/installed
	@$(NOX)/bin/nox; came=$$?; $(NOX)/bin/python noxfile.py; exit $$came

check: $(NOX)/installed
	$(NOX)/bin/nox --session lint tests

# What cannot be installed is left out, and said.
bench: $(BENCH)/installed
	@$(MAKE) --no-print-directory wrk || true
	@$(BENCH)/bin/python benchmarks --output $(BENCH)/results $(ARGUMENTS)

docs: $(SITE)/installed
	@$(SITE)/bin/python -m sphinx -n -W --keep-going -q -b html docs build/docs
	@echo "The site is in build/docs: open build/docs/index.html"

clean:
	rm -rf .venv .nox build dist *.egg-info

$(ENVS)/demo-%/installed: examples/%/requirements.txt $(SOURCES) | python
	@echo "Making $(@D) ..."
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check \
		'.[testing]' --requirement $<
	@touch $@

$(BENCH)/installed: benchmarks/requirements.txt
$(SITE)/installed: docs/requirements.txt
$(BENCH)/installed $(SITE)/installed: $(SOURCES) | python
	@echo "Making $(@D) ..."
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check \
		. --requirement $(filter %requirements.txt,$^)
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

# Debian's nginx begins to serve on port 80, where services are started.
# Neither it nor dpkg does without the folders that only root looks in.
WITH_SBIN = $$PATH:/usr/local/sbin:/usr/sbin:/sbin:/opt/homebrew/bin
HAS = PATH="$(WITH_SBIN)" command -v $@ >/dev/null
nginx wrk:
	@$(HAS) || { \
		command -v apt-get >/dev/null || exit 0; \
		if [ "$$(id -u)" = 0 ]; then root="env"; else root="sudo -n env"; fi; \
		root="$$root PATH=$(WITH_SBIN)"; $$root true 2>/dev/null || exit 0; \
		echo "Installing $@ with apt-get ..."; \
		$$root apt-get update -qq && $$root DEBIAN_FRONTEND=noninteractive \
			apt-get install -qq --no-install-recommends $@ >/dev/null; true; }
	@$(HAS) || { echo "There is no $@. On Debian: apt-get install $@"; exit 1; }
