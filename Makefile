PYTHON := .venv/bin/python

.PHONY: venv test check demo bench mutants
venv: .venv/.made
.venv/.made: pyproject.toml constraints.txt
	test -x $(PYTHON) || python3 -m venv .venv
	$(PYTHON) -m pip install --quiet -c constraints.txt -e '.[server,demo,dev]'
	touch $@
test: venv
	$(PYTHON) -m pytest
demo: venv
	$(PYTHON) -m syncauth.demo
