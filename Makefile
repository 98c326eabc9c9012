# Every target but help and clean starts with setup, which does nothing when there is nothing to do.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast test-hyperv soak coverage bench lint format lock clean

PY := .venv/bin/python
# bench: which ones by name (all if empty), and a size: make bench BENCH="P1 P6" SIZE=small
BENCH ?=
SIZE ?=
# extra arguments for pytest: make test ARGS="-k ledger"
ARGS ?=
# Tests start hundreds of short processes: without kept bytecode each compiles all that it imports, and takes twice as long.
unexport PYTHONDONTWRITEBYTECODE
# test-hyperv: the host, and perhaps a second one to move machines to; a virtual switch and a folder on both
export WEFT_TEST_HYPERV_HOST = $(HOST)
export WEFT_TEST_HYPERV_HOST2 = $(HOST2)
export WEFT_TEST_HYPERV_SWITCH = $(SWITCH)
export WEFT_TEST_HYPERV_FOLDER = $(FOLDER)
export WEFT_TEST_HYPERV_CREDENTIALS = $(CREDENTIALS)
export WEFT_TEST_HYPERV_AUTHENTICATION = $(AUTHENTICATION)
export WEFT_TEST_HYPERV_AUTHORITIES = $(AUTHORITIES)
export WEFT_TEST_HYPERV_VERIFY = $(VERIFY)
export WEFT_TEST_HYPERV_YES = $(YES)

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install all that demo and tests need (Debian packages when root, .venv)
	@scripts/setup

demo: setup ## run the main job in network namespaces; on the fake switch where that cannot be
	@if [ "$$(id -u)" -eq 0 ] && [ -e /etc/debian_version ] && PATH="$$PATH:/usr/sbin:/sbin" command -v ovs-vswitchd >/dev/null; then \
	    exec .venv/bin/weft demo; \
	else \
	    exec .venv/bin/weft demo --simulated; \
	fi

# First what needs no root, which waits for half of its time, and where a worker that has none left takes of another's; then
# labs in namespaces, each file by one worker, since its tests share a lab, and by twice as many as a small machine has cores,
# since labs wait for more: a lost packet is a defect on a busy machine too. Last, with nothing beside it, what measures how
# long something takes. A selection by ARGS may leave a part empty (exit code 5).
test: lint ## lint, then all tests
	@$(PY) -m pytest -n 4 --dist worksteal -m "not root" $(ARGS) || [ $$? -eq 5 ]
	@$(PY) -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "root and not alone" $(ARGS) || [ $$? -eq 5 ]
	@$(PY) -m pytest -m "root and alone" $(ARGS) || [ $$? -eq 5 ]

test-fast: setup ## unit tests, and property tests with few examples: under a minute
	@WEFT_HYPOTHESIS_PROFILE=fast $(PY) -m pytest -n 4 -m "not slow" tests/unit tests/property $(ARGS)

test-hyperv: setup ## try the driver on your Hyper-V host: make test-hyperv HOST=... (docs/hyperv.md); asks first
	@$(PY) -m tests.hyperv.say
	@$(PY) -m pytest -m hyperv --timeout=1800 tests/contract/test_hypervisor.py tests/contract/test_hypervisor_machines.py $(ARGS)

# First the searches, by two workers: none of them measures time or losses. Then, one by one, what needs the machine for itself.
soak: setup ## property and cluster tests with many more and random examples, and the tests marked soak
	@WEFT_HYPOTHESIS_PROFILE=soak $(PY) -m pytest -n 2 --dist worksteal --timeout=3600 tests/property tests/cluster $(ARGS) || [ $$? -eq 5 ]
	@WEFT_HYPOTHESIS_PROFILE=soak $(PY) -m pytest --timeout=3600 tests --ignore=tests/property --ignore=tests/cluster -m "soak or longer" $(ARGS) || [ $$? -eq 5 ]

coverage: setup ## branch coverage of model and core; fails under 100 %
	@$(PY) -m pytest -n 2 tests/unit tests/property --cov --cov-report=term-missing $(ARGS)

bench: setup ## measure: make bench [BENCH="P1 P6"] [SIZE=small]
	@$(PY) -m weft.bench $(BENCH) $(if $(SIZE),--size $(SIZE))

lint: setup ## ruff, mypy, import contracts; names files over 400 lines
	@failed=""; \
	for step in "ruff check ." "ruff format --check ." mypy lint-imports; do \
	    .venv/bin/$$step || failed="$$failed [$$step]"; \
	done; \
	find src tests -name '*.py' -exec awk 'END { if (NR > 400) printf "over 400 lines: %s (%d)\n", FILENAME, NR }' {} \; ; \
	if [ -n "$$failed" ]; then echo "lint: failed:$$failed"; exit 1; fi

format: setup ## let ruff write the format and the fixes it is sure of
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

lock: ## resolve newest allowed versions into requirements.lock
	@scripts/lock

clean: ## remove what builds and tests left, .venv too
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .schemathesis .coverage .coverage.* htmlcov
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
