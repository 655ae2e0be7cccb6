PYTHON := .venv/bin/python

.PHONY: venv test check demo bench mutants services services-keyring

venv: .venv/.made
.venv/.made: pyproject.toml constraints.txt
	test -x $(PYTHON) || python3 -m venv .venv
	$(PYTHON) -m pip install --quiet -c constraints.txt -e '.[server,demo,dev]'
	touch $@

test: venv
	$(PYTHON) -m pytest -n auto --dist loadfile

check: venv
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	.venv/bin/lint-imports --no-logo --no-cache

demo: venv
	$(PYTHON) -m syncauth.demo

bench: venv
	$(PYTHON) -m tests.bench

mutants: venv
	$(PYTHON) -m tests.mutants

services: services-keyring

services-keyring:
	@for program in dbus-run-session gnome-keyring-daemon secret-tool; do \
	    command -v $$program > /dev/null || { apt-get update -qq && \
	        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq dbus gnome-keyring libsecret-tools; break; }; \
	done
