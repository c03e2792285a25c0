# `make demo` shows the whole way on this machine, `make test` checks all of it; each does the set-up it needs.
SHELL = /bin/sh
PYTHON = python3
.DEFAULT_GOAL = help
.NOTPARALLEL:
.PHONY: help demo setup tools venv toolchain system-packages browser site lint test check soak fuzz clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

setup: system-packages tools ## what the local cloud and the tests need: system packages (Debian), and `make tools`

tools: venv toolchain ## what the real cloud and CI need: Python environment and pinned tools; no root, no system packages

system-packages:
	@toolchain/system-packages.sh

venv:
	@toolchain/venv.sh $(PYTHON)

toolchain: venv
	@.venv/bin/python -m toolchain.install

demo: setup ## the whole way on this machine: a local cloud, three images built, checked and listed
	@. toolchain/env.sh && unset OSC_ACCESS_KEY OSC_SECRET_KEY OSC_PROFILE && \
	python -m sandbox start && \
	pulumi stack select --create sandbox && \
	pulumi preview --stack sandbox && \
	pulumi up --yes --skip-preview --stack sandbox && \
	python -m omi images --stack sandbox && \
	cat sandbox/next-steps.txt

RELEASES = releases
site: venv ## a static site of the images in site; RELEASES=FOLDER for other feeds than those in releases
	@.venv/bin/python -m omi site --releases $(RELEASES)

lint:
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --quiet --check .
	@.venv/bin/mypy --strict --no-error-summary .
	@{ git ls-files '*.sh'; git grep -lE '^#!/bin/sh' -- . ':!*.py'; } | sort -u | xargs shellcheck -x -P SCRIPTDIR
	@# OpenRC reads the variables that its scripts set.
	@git ls-files -z '*.initd' | xargs -0 shellcheck -s sh -e SC2034

# Tests start hundreds of short Python processes: that each of them compiles everything anew costs a third of the time.
test check: export PYTHONDONTWRITEBYTECODE =

browser: ## what the site's tests drive; `make demo` and `make check` do without
	@toolchain/system-packages.sh --list toolchain/browser-packages.txt

test: setup browser lint ## every test, end to end included
	@# tests/conftest.py has the order of the modules.
	@. toolchain/env.sh && python -m pytest -n auto --dist loadfile --no-loadscope-reorder

check: setup lint ## the quick tests, a minute or two
	@# Many of them wait for something: more workers than there are cores keep these busy.
	@. toolchain/env.sh && python -m pytest -m 'not slow' -n $$(($$(nproc) * 2 + 1)) --dist worksteal

soak: setup ## random plans and inputs; then simulated years, faults and interruptions by SEED=N for SECONDS=1800
	@# Without SEED it draws one, and prints it.
	@. toolchain/env.sh && OMI_EXAMPLES=400 python -m pytest -q -m 'not slow' tests/omi/plan tests/omi/publish tests/hostile
	@. toolchain/env.sh && python -m tests.reliability.soak --seconds "$${SECONDS:-1800}" $${SEED:+--seed "$$SEED"}

# Not among the requirements: no test needs it, and there is no wheel of it for every Python.
FUZZER = atheris==3.0.0
fuzz: setup ## the parsers under a coverage-guided fuzzer, for SECONDS=600 in all
	@[ -d .venv/fuzzer/atheris ] || .venv/bin/python -m pip install --quiet --no-deps --target .venv/fuzzer '$(FUZZER)'
	@. toolchain/env.sh && PYTHONPATH=.venv/fuzzer python -m tests.hostile.fuzz "$${SECONDS:-600}"

clean: ## removes what builds left in this folder, and the site
	@rm -rf build site
