"""A yes at a real terminal."""

from __future__ import annotations

import os
import pty
import sys
import termios
from pathlib import Path

import pytest

from greenroom.entrypoints.cli import consent


@pytest.mark.parametrize(
    ("ahead", "then", "agreed"), [("y\n", "\n", False), ("\n", "y\n", True), ("y\ny\n", "n\n", False)]
)
def test_only_what_is_typed_after_the_question_answers_it(
    ahead: str, then: str, agreed: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A yes that was typed ahead, to nobody knows what, is none to the card that came after it."""
    ours, theirs = pty.openpty()
    flush = termios.tcflush

    def flushed(descriptor: int, queue: int) -> None:
        flush(descriptor, queue)
        os.write(ours, then.encode())

    os.write(ours, ahead.encode())
    monkeypatch.setattr(termios, "tcflush", flushed)
    with open(theirs, encoding="utf-8") as terminal, open(tmp_path / "screen", "w", encoding="utf-8") as screen:
        monkeypatch.setattr(sys, "stdin", terminal)
        monkeypatch.setattr(sys, "stderr", screen)
        assert consent.ask("Approve?", yes=False, no_input=False) is agreed
    os.close(ours)
    assert (tmp_path / "screen").read_text() == "Approve? [y/N] "
