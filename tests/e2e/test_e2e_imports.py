"""Commands that only look answer quickly: none of them loads what only the processes need."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e_box import House

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]
HEAVY = (
    "alembic",
    "asyncio",
    "bandit",
    "cedarpy",
    "codespell_lib",
    "cryptography",
    "cyclonedx",
    "dbos",
    "google",
    "hypothesis",
    "libcst",
    "pip",
    "psycopg",
    "pydantic",
    "pytest",
    "ruff",
    "securesystemslib",
    "sqlalchemy",
    "urllib.request",
    "websockets",
    "yaml",
)
"""Packages that take tens of milliseconds each, and the standard library's own that do."""
TELL = (
    "import atexit, sys\n"
    "atexit.register(lambda: print('loaded: ' + ' '.join(sorted(sys.modules)), file=sys.stderr, flush=True))"
)


def test_quick_commands_load_no_heavy_package(house: House, calm: Path) -> None:
    """`--version`, `list`, `show` and `status`, run for real, import none of the named modules."""
    change = house.good(calm, "Quick to show.")
    for words in (("--version",), ("list",), ("list", "--json"), ("show", change["id"]), ("status",)):
        answer = house.run(*words, before=TELL)
        assert answer.code == 0, (words, answer)
        [told] = [line for line in answer.err.splitlines() if line.startswith("loaded: ")]
        loaded = told.split()[1:]
        assert "greenroom.entrypoints.cli.app" in loaded
        found = [name for name in loaded if any(name == heavy or name.startswith(f"{heavy}.") for heavy in HEAVY)]
        assert found == [], words
