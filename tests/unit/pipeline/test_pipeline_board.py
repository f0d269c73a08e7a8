"""The board as the executor answers for it: the same as the file says, within bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from greenroom.domain.errors import Unusable
from greenroom.pipeline import desk
from greenroom.testing.house import MemoryHouse


def asked(house: MemoryHouse, call: str, **arguments: Any) -> Any:
    """The desk's answer to a call."""
    return desk.handlers(house.house)[call](arguments, (), lambda event: None, 0)


def test_the_desk_answers_for_the_board(tmp_path: Path) -> None:
    """Rows and counts of what waits; held by one of some rules, and by the beginning of an id."""
    house = MemoryHouse(tmp_path)
    (row,) = house.improve()["changes"]
    (shown,) = asked(house, "board", everything=False, most=5, begins="")
    assert (shown["id"], shown["held"], shown["rule"]) == (row["id"], row["held"], row["rule"])
    assert asked(house, "board", everything=True, most=5, begins=row["id"], held=["needs-approval"]) == [shown]
    assert asked(house, "board", everything=True, most=5, begins="", held=["other"]) == []
    assert asked(house, "tally") == {"held": {"needs-approval": 1}, "moving": 0, "live": 0, "ended": 0}
    house.close()


@pytest.mark.parametrize(
    "arguments",
    [
        {"begins": ""},
        {"begins": "", "most": 0},
        {"begins": "", "most": desk.MAX_ROWS + 1},
        {"begins": "", "most": "5"},
        {"most": 5},
        {"begins": "", "most": 5, "held": "rule"},
    ],
)
def test_the_desk_takes_no_board_without_a_bound(tmp_path: Path, arguments: dict[str, Any]) -> None:
    """An answer is one frame: how many rows it has is said, and small."""
    house = MemoryHouse(tmp_path)
    with pytest.raises(Unusable) as caught:
        asked(house, "board", **arguments)
    assert caught.value.reference == "bad-call"
    house.close()
