from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from keeper_house import House, make_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A keeper around scripted walls."""
    made = make_house(tmp_path)
    yield made
    made.keeper.close()
