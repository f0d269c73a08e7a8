"""`greenroom config`: what holds and why, one key set, a repository's test command allowed by the owner's key."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.bootstrap import configuration
from greenroom.config import Box
from greenroom.domain.errors import Exit, Unusable
from greenroom.domain.settings import KEYS
from greenroom.domain.toml_settings import read
from greenroom.entrypoints.cli import app
from greenroom.testing.house import MemoryHouse
from greenroom.testing.services import MemoryServices

pytestmark = pytest.mark.slow

TEXT = 'test-command = "pytest -q checks"\ncaps.changes = 3\n'


class Door:
    """The command line; `out` and `err` are what it printed last."""

    def __init__(self, house: MemoryHouse, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
        self.house, self.services = house, MemoryServices(house)
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        self._monkeypatch.setattr(sys, "argv", ["greenroom", *words])
        code = app.run(app.build(lambda box: self.services, "1"))  # type: ignore[arg-type,return-value]
        self.out, self.err = self._capsys.readouterr()
        return code

    def rows(self, *words: str) -> dict[str, tuple[Any, str]]:
        """`config show --json`: value and source by key."""
        self("config", "show", *words, "--json")
        return {row["key"]: (row["value"], row["source"]) for row in json.loads(self.out)["settings"]}


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Iterator[Door]:
    (tmp_path / "repo").mkdir()
    house = MemoryHouse(tmp_path, path=str(tmp_path / "repo"))
    house.commit({"greenroom.toml": TEXT.encode()})
    house.workshop.settings = read(TEXT)
    yield Door(house, monkeypatch, capsys)
    house.close()


def test_show_names_every_key_and_its_source(door: Door) -> None:
    """Default, box file, repository file; and command line for a test command that was typed."""
    door.services.own = {"caps.risk": 9}
    assert set(door.rows()) == set(KEYS)
    assert door.rows()["caps.risk"] == (9, "box file")
    found = door.rows(door.house.path)
    assert found["test-command"] == ("pytest -q checks", "repository file (greenroom.toml)")
    assert found["caps.changes"] == (3, "repository file (greenroom.toml)")
    assert found["caps.lines"] == (5000, "default")
    assert found["caps.risk"] == (9, "box file")
    assert door("config", "show", door.house.path) == Exit.OK
    assert "waits for your word" in door.out
    assert door("improve", door.house.path, "--test-command", "pytest -q mine") == Exit.OK
    assert door.rows(door.house.path)["test-command"] == ("pytest -q mine", "command line")


def test_approve_shows_the_command_and_wants_a_person(door: Door) -> None:
    """Without a terminal --yes agrees beforehand; the command is shown in any case; a second time nothing is asked."""
    assert door("improve", door.house.path) == Exit.HELD
    assert door("config", "approve", door.house.path, "--no-input") == Exit.USAGE
    assert "pytest -q checks" in door.err
    assert "[no-terminal]" in door.err
    assert door("improve", door.house.path) == Exit.HELD
    assert door("config", "approve", door.house.path, "--yes") == Exit.OK
    assert "pytest -q checks" in door.err
    assert door("config", "approve", door.house.path, "--no-input") == Exit.OK
    assert door("improve", door.house.path) == Exit.OK


def test_improve_asks_at_a_terminal_and_goes_on(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person at the keyboard is shown the command and answers; no leaves the scan held."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdin, "readline", lambda: "n\n", raising=False)
    assert door("improve", door.house.path) == Exit.HELD
    assert "pytest -q checks" in door.err
    monkeypatch.setattr(sys.stdin, "readline", lambda: "y\n", raising=False)
    assert door("improve", door.house.path) == Exit.OK
    assert len(door.house.changes()) == 1


def test_a_hostile_command_is_shown_escaped(door: Door) -> None:
    """What the executor hands to the terminal cannot draw on it."""
    verdict = {"is": "held", "rule": "test-command-not-allowed", "where": "pytest \u202e\x1b[2K", "remedy": ""}
    lists = ("changes", "known", "left", "failed", "ended", "scans", "unread", "notes", "branches", "withheld")
    answer = {"subject": "workspace:/x\x1b", "live": None, "verdict": verdict, **{name: [] for name in lists}}
    answers = {"pending": [], "branches": [], "windows": {"over": [], "waiting": [], "moved": [], "now": "0"}}
    door.services.desk = lambda call, *a, **k: answers.get(call, answer)  # type: ignore[method-assign]
    assert door("improve", door.house.path) == Exit.HELD
    assert "\x1b" not in door.out + door.err
    assert "\u202e" not in door.out + door.err


def test_unset_takes_one_key_out(door: Door) -> None:
    """What holds without it holds again; a key that was not set is no fault, one that does not exist is."""
    assert door("config", "set", "caps.changes", "2") == Exit.OK
    assert door("config", "unset", "caps.changes") == Exit.OK
    assert "is set no more" in door.out
    assert door("config", "unset", "caps.changes") == Exit.OK
    assert "was not set" in door.out
    assert door("config", "unset", "cap.changes") == Exit.USAGE
    assert "did you mean `caps.changes`?" in door.err


def test_show_has_the_caps_of_the_constitution(door: Door) -> None:
    """Without a repository, too: what bounds the box is no blank."""
    rows = door.rows()
    caps = door.house.policy.constitution.caps
    assert rows["caps.lines"] == (caps.lines, "constitution")
    assert rows["caps.changes"] == (caps.changes, "constitution")


@pytest.mark.parametrize("command", ["make test", "tox -e py", "python tests.py", "CI=1 pytest", "'"])
def test_a_test_command_that_cannot_run_is_not_taken(door: Door, command: str) -> None:
    """No shell runs, and nothing but pytest and unittest: said when it is set, not when a suite is to run."""
    assert door("config", "set", "test-command", command) == Exit.USAGE
    assert "pytest or `python -m unittest`" in door.err
    assert door("improve", door.house.path, "--test-command", command) == Exit.USAGE
    assert door.house.changes() == []
    assert door("config", "set", "test-command", "python3 -m pytest -q") == Exit.OK
    assert "by pytest; no shell is started" in door.out


def test_set_writes_one_key_and_refuses_what_it_does_not_know(door: Door) -> None:
    """The value as it stands afterwards; an unknown key names the nearest."""
    assert door("config", "set", "caps.changes", "2") == Exit.OK
    assert "caps.changes = 2" in door.out
    assert door("config", "set", "cap.changes", "2") == Exit.USAGE
    assert "did you mean `caps.changes`?" in door.err


def test_the_boxs_file_knows_its_proposers_and_loses_one_key(tmp_path: Path) -> None:
    """A name that no proposer has is not written; what is unset leaves the other lines, comments too, as they were."""
    box = Box(tmp_path)
    with pytest.raises(Unusable) as caught:
        configuration.change(box, "proposers", '["rufff"]')
    assert (caught.value.reference, caught.value.remedy) == ("unknown-proposer", "did you mean ruff?")
    assert not box.settings.exists()
    assert configuration.forget(box, "caps.changes") is False
    box.settings.write_text("# mine\nproposers = ['ruff']\n\n[caps]\nchanges = 2 # few\nlines = 3\n")
    assert configuration.forget(box, "caps.changes") is True
    assert box.settings.read_text() == "# mine\nproposers = ['ruff']\n\n[caps]\nlines = 3\n"
    assert configuration.forget(box, "caps.lines") is True
    assert box.settings.read_text() == "# mine\nproposers = ['ruff']\n"
    box.settings.write_text("caps = { changes = 2, lines = 3 }\n")
    with pytest.raises(Unusable, match="cannot-edit"):
        configuration.forget(box, "caps.changes")


def test_tests_get_only_the_variables_that_the_boxs_file_names(tmp_path: Path) -> None:
    """Whoever asks, and whatever else this process has; without a list in the file there is none."""
    box, has = Box(tmp_path), {"TOKEN": "t", "SECRET": "s", "LONG": "x" * 40_000}
    assert configuration.variables(box, has, ["TOKEN"]) == {}
    configuration.change(box, "environment", '["TOKEN", "LONG", "MISSING"]')
    assert configuration.variables(box, has, ["TOKEN", "SECRET", "LONG", "MISSING"]) == {"TOKEN": "t"}


def test_the_boxs_file_is_private_and_keeps_its_comments(tmp_path: Path) -> None:
    """Made by the first `set`, changed by the next; a mistake in it is told with its line."""
    box = Box(tmp_path)
    assert configuration.load(box) == {}
    configuration.change(box, "test-command", "python -m pytest -q")
    box.settings.write_text(box.settings.read_text() + "# why\ncaps.lines = 3\n")
    assert configuration.change(box, "proposers", '["ruff"]') == ("ruff",)
    assert "# why" in box.settings.read_text()
    assert box.settings.stat().st_mode & 0o077 == 0
    assert configuration.load(box) == {
        "test-command": "python -m pytest -q",
        "caps.lines": 3,
        "proposers": ("ruff",),
    }
    box.settings.write_text("caps.lines = 'many'\n")
    with pytest.raises(Unusable) as error:
        configuration.load(box)
    assert error.value.where == f"{box.settings}:1"
    box.settings.unlink()
    box.settings.symlink_to("/etc/hostname")
    with pytest.raises(Unusable, match="bad-settings"):
        configuration.load(box)
