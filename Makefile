# Everything goes through these; CI calls `make test`.
PYTHON ?= python3
BIN := .venv/bin
# Hypothesis profiles and suite sizes: `ci` for make test, `full` for make test-full.

.PHONY: setup demo check test test-full bench clean

setup:
	@$(PYTHON) scripts/setup.py

demo: setup
	@$(BIN)/python scripts/demo.py

check: setup
	$(BIN)/ruff format --check --quiet src tests scripts benchmarks
	$(BIN)/ruff check --quiet src tests scripts benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n auto -m "not slow and not full and not sandbox" tests

test: check
	$(BIN)/pytest -n 2 --dist loadfile -m "(slow or sandbox) and not full" tests

test-full: export GREENROOM_SUITE := full
test-full: check
	$(BIN)/pytest -m "slow or sandbox or full" tests

bench: setup
	@for each in benchmarks/*.py; do $(BIN)/python $$each || exit 1; done

clean:
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
