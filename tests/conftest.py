"""Settings for every suite: Hypothesis profiles, and what a machine must have for the marked ones."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("ci", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("full", deadline=None, max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("full" if os.environ.get("GREENROOM_SUITE") == "full" else "ci")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test of the sandbox on a machine without bubblewrap is skipped by name, never passed."""
    if item.get_closest_marker("sandbox") and shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
