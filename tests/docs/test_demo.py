"""The demo's own steps, over commands that only remember that they were asked for."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "demo.py"


def row(name: str, state: str, rule: str) -> dict[str, Any]:
    held = {"rule": rule} if rule else None
    return {"id": name, "state": state, "held": held, "level": 1, "risk": 3, "green": "tree:2", "summary": name}


@pytest.mark.parametrize("came_through", [True, False])
def test_demo_shows_each_proposal_as_a_card(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any, came_through: bool
) -> None:
    """Every proposal's card is shown, whether it waits, was refused or is held, before anything is approved."""
    spec = importlib.util.spec_from_file_location("demo", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    rows = [row("bbb", "aborted", ""), row("ccc", "simulated", "inconclusive")]
    rows += [row("aaa", "verified", "needs-approval")] if came_through else []
    asked: list[tuple[str, ...]] = []
    lives = iter(["tree:2", "tree:1"])
    monkeypatch.setattr(demo, "subject", lambda scratch: (tmp_path, "a sample"))
    monkeypatch.setattr(demo, "command", lambda *words, **how: asked.append(words))
    monkeypatch.setattr(demo, "answer", lambda *words: {"changes": rows, "live": "tree:1"})
    monkeypatch.setattr(demo, "approve", lambda change: asked.append(("approve", change)) or True)
    monkeypatch.setattr(demo, "live", lambda: next(lives))
    assert demo.run(tmp_path, 0.0) == (0 if came_through else 1)
    cards = [("show", each["id"]) for each in rows]
    assert asked[:2] == [("init", "--no-input"), ("list", "--all")]
    assert asked[2 : 2 + len(rows)] == cards
    assert (("approve", "aaa") in asked) is came_through
    capsys.readouterr()
