"""Boxes of earlier releases with real processes: opened after an upgrade, and restored by another user elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from golden import Golden

import greenroom

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]
COMMAND = "import sys; from greenroom.bootstrap import main; sys.exit(main())"
OTHER = 54321
"""A user and group id that nothing else has."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a box: what begins each command line, and the environment."""

    python: tuple[str, ...]
    environment: Mapping[str, str]

    def ask(self, *words: str, code: int = 0) -> Any:
        """The answer of one command, which ends with `code`."""
        argv = [*self.python, "-c", COMMAND, *words, "--json"]
        ended = subprocess.run(
            argv, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, cwd="/"
        )
        assert ended.returncode == code, (words, ended.stdout, ended.stderr)
        return json.loads(ended.stdout)


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A short directory that others can pass through."""
    made = Path("/tmp") / f"gr-golden-{os.getpid()}"
    made.mkdir(mode=0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def person(root: Path) -> Person:
    """Whoever runs the tests, with the box at `root`."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}
    return Person((sys.executable,), {**kept, "GREENROOM_HOME": str(root), "PYTHONDONTWRITEBYTECODE": "1"})


def another(root: Path) -> Person:
    """Another user of the machine, who has this installation to read; skipped where there can be none."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("another user can be had by root with setpriv only")
    system = "/usr/bin/python3"
    path = os.pathsep.join([str(Path(greenroom.__file__).parents[1]), *(p for p in sys.path if "site-packages" in p)])
    who = ("setpriv", "--reuid", str(OTHER), "--regid", str(OTHER), "--clear-groups", system)
    environment = {"PATH": "/usr/bin:/bin", "LOGNAME": "bo", "HOME": str(root.parent), "PYTHONPATH": path}
    made = Person(who, {**environment, "GREENROOM_HOME": str(root), "PYTHONDONTWRITEBYTECODE": "1"})
    trial = [*who, "-c", "import greenroom.bootstrap.local, cryptography, cedarpy, sqlalchemy"]
    if subprocess.run(trial, env=made.environment, capture_output=True, cwd="/").returncode != 0:
        pytest.skip(f"{system} of another user cannot read this installation")
    return made


def test_a_box_of_the_first_schema_after_an_upgrade(home: Path) -> None:
    """Everything is shown, the log checks, the tools of today are signed, and what was kept is taken back."""
    golden = Golden("first")
    me = person(golden.lay_out(home / "box").root)
    try:
        me.ask("init", "--no-input")
        rows = {row["id"]: row for row in me.ask("list", "--all")["changes"]}
        assert set(rows) == {row["id"] for row in golden.said["list"]["changes"]}
        for name in rows:
            shown = me.ask("show", name)
            assert shown["card"]["change"] == name
        assert me.ask("status")["live"] == golden.said["status"]["live"]
        assert me.ask("log", "check")["size"] > len(golden.entries)
        [approved] = golden.rows("approved")
        error = me.ask("promote", approved["id"], code=5)["error"]
        assert (error["reference"], error["where"]) == ("no-such-directory", "/srv/greenroom-golden/project")
        assert error["remedy"]
        [kept] = golden.rows("kept")
        taken = me.ask("revert", kept["id"], code=4)
        assert taken["state"] == "reverted"
        assert taken["delivered"]["rule"] == "repository-missing"
        assert me.ask("log", "check")["ok"] is True
    finally:
        me.ask("down")


def test_another_user_restores_it_at_another_place(home: Path) -> None:
    """Nothing of the first machine is needed but what is named: another user, another home, another separation."""
    golden = Golden("hourly")
    place = home / "bo"
    other = another(place / "box")
    me = person(golden.lay_out(home / "box").root)
    me.ask("init", "--no-input")
    saved = me.ask("backup", str(home / "b"))
    me.ask("down")
    shutil.rmtree(home / "box")
    (home / "b").chmod(0o644)
    place.mkdir()
    os.chown(place, OTHER, OTHER)
    try:
        made = other.ask("restore", str(home / "b"), "--sha256", saved["sha256"])
        assert [(each["repository"], each["branch"]) for each in made["lacks"]] == [
            ("/srv/greenroom-golden/project", "main")
        ]
        examined = other.ask("doctor")
        assert examined["facts"]["separation"] == "namespaces"
        assert any("/srv/greenroom-golden/project" in each["message"] for each in examined["problems"])
        assert other.ask("status")["live"] == golden.said["status"]["live"]
        [kept] = golden.rows("kept")
        assert other.ask("revert", kept["id"], code=4)["state"] == "reverted"
        assert other.ask("log", "check")["ok"] is True
    finally:
        other.ask("down")
