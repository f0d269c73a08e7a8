"""`greenroom backup`, `restore` and `uninstall`: what they ask, and how they end."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from test_cli_commands import Door, door

from greenroom.domain.errors import Exit

__all__ = ["door"]


def test_cli_backup_names_the_file_its_hash_and_what_is_in_it(door: Door, tmp_path: Path) -> None:
    """The person is told that the keys are in it; a file that is there stops it."""
    target = tmp_path / "box.backup"
    assert door("backup", str(target)) == Exit.OK
    assert str(target) in door.out
    assert "sha256 " + "0" * 64 in door.out
    assert "private keys" in door.out
    target.write_text("mine")
    assert door("backup", str(target)) == Exit.USAGE
    assert "file-exists" in door.err


def test_cli_restore_wants_a_hash_that_is_one(door: Door, tmp_path: Path) -> None:
    """A cut or mistyped hash is found before anything is read."""
    source = tmp_path / "box.backup"
    source.write_text("x")
    assert door("restore", str(source), "--sha256", "abc") == Exit.USAGE
    assert "bad-sha256" in door.err
    assert door("restore", str(source), "--sha256", "A" * 64) == Exit.OK
    assert f"restore {source} {'A' * 64}" in door.services.asked
    assert door("restore", str(tmp_path / "none")) == Exit.NOT_FOUND


def test_cli_uninstall_takes_nothing_away_unasked(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal, with --no-input or with another word typed nothing happens."""
    assert door("uninstall") == Exit.USAGE
    assert door("uninstall", "--no-input") == Exit.USAGE
    assert "not-confirmed" in door.err
    terminal = io.StringIO("yes\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    assert door("uninstall") == Exit.USAGE
    assert not [asked for asked in door.services.asked if asked.startswith("uninstall")]


def test_cli_uninstall_lists_what_stays(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --yes, or the word typed at a terminal; what was kept is named."""
    assert door("uninstall", "--yes", "--keep-log") == Exit.OK
    assert "what stays" in door.out
    assert str(door.services.box.log) in door.out
    terminal = io.StringIO("remove\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    assert door("uninstall") == Exit.OK
    assert door.services.asked[-1] == "uninstall keep_log=False"


def test_cli_doctor_rebuild_says_what_it_would_do_and_does_it_only_when_told(door: Door) -> None:
    """A dry run first; `--yes` writes, and means nothing by itself."""
    assert door("doctor", "--yes") == Exit.USAGE
    assert "bad-option" in door.err
    assert door("doctor", "--rebuild") == Exit.OK
    assert "would rebuild k3f9x2: kept (lost)" in door.out
    assert "nothing was written" in door.out
    assert door("doctor", "--rebuild", "--yes") == Exit.OK
    assert "\nrebuilt k3f9x2: kept (lost)" in door.out
    assert door.services.asked[-2:] == ["rebuild act=False", "rebuild act=True"]
