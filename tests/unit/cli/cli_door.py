"""The command line as a person types it, over a house in memory."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from greenroom.entrypoints.cli import app
from greenroom.entrypoints.services import Services
from greenroom.testing.services import MemoryServices


class Door:
    """The command line as a person types it; `out` and `err` are what it printed last."""

    def __init__(self, services: MemoryServices, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
        self.services, self.house = services, services.house
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.repo = services.house.path
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        """Run `greenroom WORDS`; the exit code."""
        self._monkeypatch.setattr(sys, "argv", ["greenroom", *words])
        made: Callable[[str | None], Services] = lambda box: self.services  # noqa: E731
        code = app.run(app.build(made, "1.2.3", words))
        self.out, self.err = self._capsys.readouterr()
        return code

    def json(self, *words: str) -> Any:
        """Run with --json; stdout as one document."""
        self.code = self(*words, "--json")
        return json.loads(self.out)

    def waiting(self) -> str:
        """Improve; the id of the change that waits."""
        (row,) = self.json("improve", self.repo)["changes"]
        return str(row["id"])
