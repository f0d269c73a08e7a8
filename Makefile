# Everything goes through these; CI calls `make test`.
PYTHON ?= python3
BIN := .venv/bin
# Hypothesis profiles and suite sizes: `ci` for make test, `full` for make test-full.

# Byte code is kept: without it every run rewrites the assertions of every test anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo check style types unit test test-full bench clean uninstall

setup:
	@$(PYTHON) scripts/setup.py

demo: setup
	@$(BIN)/python scripts/demo.py

# Types and tests side by side: mypy works on one core only.
check: setup
	@$(MAKE) --no-print-directory -j2 style types unit

style:
	$(BIN)/ruff format --check --quiet src tests scripts benchmarks
	$(BIN)/ruff check --quiet src tests scripts benchmarks
	$(BIN)/lint-imports

types:
	$(BIN)/mypy

unit:
	$(BIN)/pytest -n auto -m "not slow and not full and not sandbox" tests

test: check
	$(BIN)/pytest -n 2 --dist loadfile -m "(slow or sandbox) and not full" tests

test-full: export GREENROOM_SUITE := full
test-full: check
	$(BIN)/pytest -m "slow or sandbox or full" tests

bench: setup
	@for each in benchmarks/*.py; do $(BIN)/python $$each || exit 1; done

# Asks before it takes the box away; without a terminal YES=1 says yes. KEEP_LOG=1 leaves the log.
uninstall:
	@$(PYTHON) scripts/uninstall.py

clean:
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
