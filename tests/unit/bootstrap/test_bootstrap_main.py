"""The command's first and last moments: an interrupt there is quiet, as it is in between."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom.bootstrap import INTERRUPTED, main
from greenroom.domain.errors import Exit
from greenroom.entrypoints.cli import app


@pytest.mark.parametrize("step", ["build", "run"])
def test_an_interrupt_before_the_command_begins_is_quiet(
    step: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """130 and one line; no traceback."""

    def interrupted(*words: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, step, interrupted)
    assert main() == INTERRUPTED == Exit.INTERRUPTED
    assert capsys.readouterr().err == "greenroom: interrupted\n"
