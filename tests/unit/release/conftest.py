"""Fixtures of the release room's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from release_bench import Workbench, workbench


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    """A repository with three commits, imported."""
    return workbench(tmp_path)
