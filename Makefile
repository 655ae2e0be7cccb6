PYTHON := .venv/bin/python

.PHONY: venv test check demo bench mutants services services-keyring services-oauth services-app-services services-wrk

venv: .venv/.made
.venv/.made: pyproject.toml constraints.txt
	test -x $(PYTHON) || python3 -m venv .venv
	$(PYTHON) -m pip install --quiet -c constraints.txt -e '.[server,otel,demo,dev]'
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

bench: venv services-wrk
	$(PYTHON) -m tests.bench

mutants: venv
	$(PYTHON) -m tests.mutants

services: services-keyring services-oauth services-app-services services-wrk

# The OAuth 2.0 servers that the tests run against, each with its own client at pinned versions.
OAUTH := .services/oauth
services-oauth: $(OAUTH)/.made
	test -x /usr/bin/glewlwyd || { apt-get -qq update && \
		DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends 'glewlwyd=2.7.*'; }

$(OAUTH)/.made: tests/support/oidc_provider/package.json tests/support/django_oauth/requirements.txt
	mkdir -p $(OAUTH)
	node --version && npm --version || { apt-get -qq update && \
		DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends nodejs npm; }
	cp tests/support/oidc_provider/package.json $(OAUTH)/
	npm install --prefix $(OAUTH) --no-package-lock --no-audit --no-fund --silent
	test -x $(OAUTH)/django/bin/python || python3 -m venv $(OAUTH)/django
	$(OAUTH)/django/bin/python -m pip install --quiet -r tests/support/django_oauth/requirements.txt
	touch $@

services-keyring:
	@for program in dbus-run-session gnome-keyring-daemon secret-tool; do \
	    command -v $$program > /dev/null || { apt-get update -qq && \
	        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq dbus gnome-keyring libsecret-tools; break; }; \
	done

# The tool that loads the server with refreshes in `make bench`.
services-wrk:
	@test -x /usr/bin/wrk || { apt-get -qq update && \
		DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends wrk; }

# The clients of App Services that the server is tested with, at pinned versions.
APP_SERVICES := .services/app_services
services-app-services: $(APP_SERVICES)/.made
$(APP_SERVICES)/.made: tests/support/app_services/package.json
	mkdir -p $(APP_SERVICES)
	node --version && npm --version || { apt-get -qq update && \
		DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends nodejs npm; }
	cp tests/support/app_services/package.json $(APP_SERVICES)/
	npm install --prefix $(APP_SERVICES) --no-package-lock --no-audit --no-fund --silent
	touch $@
