"""What every test of the guard starts from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.testing.papers import PaperHouse


@pytest.fixture
def house(tmp_path: Path) -> Iterator[PaperHouse]:
    made = PaperHouse(tmp_path)
    yield made
    made.guard.close()
