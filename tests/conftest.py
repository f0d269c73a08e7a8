"""Settings for every suite: Hypothesis profiles, and what a machine must have for the marked ones."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

MEMORY = "/dev/shm"
ROOM = 1 << 30
WHOLE_FILE = re.compile(r"^pytestmark = .*\bpytest\.mark\.slow\b", re.MULTILINE)

settings.register_profile("ci", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("full", deadline=None, max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("full" if os.environ.get("GREENROOM_SUITE") == "full" else "ci")


def pytest_configure(config: pytest.Config) -> None:
    """The quick stage keeps its files in memory where the machine can: most of its time would be waiting for a disk."""
    if "not sandbox" in config.option.markexpr and _memory_will_do(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where slow tests are left out, a file that is slow as a whole is not read at all."""
    quick = "not slow" in config.option.markexpr and collection_path.suffix == ".py"
    return True if quick and WHOLE_FILE.search(collection_path.read_text("utf-8")) else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test of the sandbox on a machine without bubblewrap is skipped by name, never passed."""
    if item.get_closest_marker("sandbox") and shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")


def _memory_will_do(path: str) -> bool:
    """Whether a file system in memory is there, writable, with room, and lets programs run from it."""
    if not os.access(path, os.W_OK | os.X_OK):
        return False
    found = os.statvfs(path)
    return not found.f_flag & os.ST_NOEXEC and found.f_bavail * found.f_frsize >= ROOM
