# `make demo` and `make test` are all that a fresh machine with Python 3.11+ needs: they install the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
PY := .venv/bin/python
LOCK := locks/python.txt
# The suites and the demonstration start hundreds of processes: each would compile all that it imports anew,
# two CPU seconds and more, in a shell that says so (some container images do).
unexport PYTHONDONTWRITEBYTECODE
# A C compiler for machines that have none.
ZIG := locks/zig.txt
# What `restore --engine spark` needs besides: half a gigabyte, so only its own suite has it installed.
SPARK := locks/spark.txt

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-19s %s\n", $$1, $$2}'

# The environment: exactly the lock, hashes checked, and this package in place.
.venv/.ready: $(LOCK) pyproject.toml hatch_build.py replicator/fetch/kernel.c
	@echo "installing the locked Python packages into .venv"
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …"; exit 1; }
	@test -x .venv/bin/uv || $(PY) -m pip install -q --disable-pip-version-check uv
	@.venv/bin/uv pip sync -q --python $(PY) --require-hashes $(LOCK)
	@command -v cc >/dev/null || test -n "$${CC:-}" || .venv/bin/uv pip install -q --python $(PY) --require-hashes -r $(ZIG)
	@.venv/bin/uv pip install -q --python $(PY) --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: setup
setup: .venv/.ready replicator/fetch/libkernel.so ## install the locked Python packages into .venv

# Made by the installation of the package; installed again where it was removed.
replicator/fetch/libkernel.so: | .venv/.ready
	@rm -f .venv/.ready && $(MAKE) -s .venv/.ready

.venv/.spark: .venv/.ready $(SPARK)
	@echo "installing Spark into .venv"
	@.venv/bin/uv pip install -q --python $(PY) --require-hashes -r $(SPARK)
	@touch $@

.PHONY: demo
demo: setup ## the main job on real input: stream, lose a sink and a cloud, restore, prove (about 5 minutes)
	@$(PY) -m demo

.PHONY: stack stack-down stack-status
stack: setup ## bring PostgreSQL, Kafka, Connect, the registry and stand-ins of S3, Azure and GCS up in .stack
	@$(PY) -m deploy.local up
stack-down: setup ## take them down
	@$(PY) -m deploy.local down
stack-status: setup ## say what is up
	@$(PY) -m deploy.local status

.PHONY: test test-unit test-contract test-stack test-faults test-spark
test: check .venv/.spark ## lint, types, layers, then the suites unit, contract, stack, faults and spark
	@$(PY) -m tests
test-spark: .venv/.spark
test-unit test-contract test-stack test-faults test-spark: setup
	@$(PY) -m tests $(@:test-%=%)

.PHONY: check
check: setup ## ruff, mypy --strict, import-linter
	@.venv/bin/ruff format --check -q . && .venv/bin/ruff check -q . && echo "ruff: clean"
	@.venv/bin/mypy
	@.venv/bin/lint-imports | tail -n 3

.PHONY: bench-sink bench-restore bench-bases bench-verify bench-outage bench-plan
bench-sink: setup ## the sink against raw consumption of the same topic, in the same run
	@$(PY) -m bench.sink
bench-restore: setup ## restore against pg_restore of the same data, in the same run
	@$(PY) -m bench.restore
bench-bases: setup ## a restore of a long history with a base and without, against pg_restore -j2, in the same run
	@$(PY) -m bench.bases
bench-verify: setup ## how fast verify goes through a directory, by its names, its bytes and its records
	@$(PY) -m bench.verify
bench-plan: setup ## how long restore --plan takes over many small segments (SEGMENTS=50000)
	@$(PY) -m bench.plan --segments $(or $(SEGMENTS),50000)
bench-outage: setup ## what the other clouds notice of one that is down for ten minutes (MINUTES=1 for a short look)
	@$(PY) -m bench.outage --minutes $(or $(MINUTES),10)

.PHONY: campaign
campaign: campaign-histories campaign-invariant campaign-huge campaign-kill ## all campaigns, for hours

.PHONY: campaign-kill
campaign-kill: setup ## a million changes while sinks die by SIGKILL twenty times: none lost, none invented
	@$(PY) -m tests.faults.campaign

.PHONY: campaign-histories
campaign-histories: setup ## random histories of rows and DDL, each restored to three moments: equal to the source, or refused (N=1000)
	@$(PY) -m tests.histories.campaign --histories $(or $(N),1000)

.PHONY: campaign-invariant
campaign-invariant: setup ## concurrent transfers over four tables: their sum is zero at each of 500 random LSNs (N=500)
	@$(PY) -m tests.histories.invariant --moments $(or $(N),500)

.PHONY: campaign-huge
campaign-huge: setup ## one transaction of a million rows, inserted and updated, restored before and after it (ROWS=1000000)
	@$(PY) -m tests.histories.huge --rows $(or $(ROWS),1000000)

.PHONY: soak
soak: setup ## ten minutes of traffic while every process dies at random beside a flaky store: verify, compare, restores agree
	@$(PY) -m tests.faults.soak

.PHONY: lock
lock: .venv/.ready ## resolve pyproject.toml again into locks/python.txt
	@.venv/bin/uv pip compile -q pyproject.toml --group dev --group stack --universal --generate-hashes --no-header -o $(LOCK)
	@$(PY) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['spark'], sep='\n')" | .venv/bin/uv pip compile -q - -c $(LOCK) --universal --generate-hashes --no-header -o $(SPARK)
	@$(PY) -c "import hatch_build; print(hatch_build.ZIG)" | .venv/bin/uv pip compile -q - --universal --generate-hashes --no-header -o $(ZIG)

.PHONY: clean
clean: ## remove what was made in the checkout (the shared cache stays)
	@test ! -x $(PY) || $(PY) -m deploy.local down || true
	rm -rf .venv .demo .bench .stack .mypy_cache .ruff_cache .pytest_cache .hypothesis
