"""A line of progress comes when something takes long, to a person only."""

from __future__ import annotations

import io
import threading

import pytest

from greenroom.bootstrap.patience import SLOW_S, told_when_slow


class Screen(io.StringIO):
    """What a person sees; `written` is set with the first words."""

    def __init__(self, *, person: bool) -> None:
        super().__init__()
        self.written = threading.Event()
        self._person = person

    def isatty(self) -> bool:
        """Whether a person reads it."""
        return self._person

    def write(self, words: str) -> int:
        """Keep the words, and tell that there are some."""
        size = super().write(words)
        self.written.set()
        return size


def test_what_takes_long_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line is there while the work still goes on."""
    screen = Screen(person=True)
    monkeypatch.setattr("sys.stderr", screen)
    with told_when_slow("starting", seconds=0.01):
        assert screen.written.wait(10)
    assert screen.getvalue() == "starting\n"
    assert SLOW_S == 2.0


@pytest.mark.parametrize(("person", "seconds"), [(True, 3600.0), (False, 0.0)])
def test_what_is_quick_or_read_by_nobody_is_not_told(
    person: bool, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line, also where the work fails."""
    screen = Screen(person=person)
    monkeypatch.setattr("sys.stderr", screen)
    with pytest.raises(KeyError), told_when_slow("starting", seconds=seconds):
        raise KeyError
    assert screen.getvalue() == ""
