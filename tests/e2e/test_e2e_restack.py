"""Many changes of one base in a real box: restacked, carried, held in conflict, and taken back both ways."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from e2e_box import CALM, House, commit, git, patch_of

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

PAGE = "docs/page.md"
TEXT = "".join(f"Line {number}.\n" for number in range(60))
AT = (5, 15, 25, 35, 45)


def better(text: str, number: int) -> str:
    return text.replace(f"Line {number}.\n", f"Better line {number}.\n")


def row_of(house: House, change: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(row for row in house.ok("list", "--all")["changes"] if row["id"] == change)
    return found


def proposed(house: House, place: Path) -> list[str]:
    """Five changes of one base, each of another line of one page."""
    edits = [{PAGE: better(TEXT, number)} for number in AT]
    house.wish(*(house.proposal(patch_of(place, edit), PAGE) for edit in edits))
    rows = house.ok("improve", str(place), "--only", "wished")["changes"]
    assert [row["held"]["rule"] for row in rows] == ["needs-approval"] * len(AT)
    return [row["id"] for row in rows]


def test_e2e_restack_and_both_ways_back(house: House) -> None:
    """Each follows the last onto what is live; a yes is carried, a conflict held; what others stand on goes back."""
    place = house.repository("restack", {**CALM, PAGE: TEXT})
    first, second, third, fourth, fifth = proposed(house, place)
    page = place / PAGE

    house.ok("approve", fourth, "--yes", "--no-promote")
    assert house.ok("approve", first, "--yes")["state"] == "kept"
    held = row_of(house, second)["held"]
    assert held["rule"] == "base-moved"
    assert f"greenroom approve {second}" in held["remedy"]

    moved = house.ok("approve", second, "--yes")
    assert (moved["state"], moved["parent"]) == ("kept", second)
    assert page.read_text() == better(better(TEXT, AT[0]), AT[1])
    assert (row_of(house, second)["ended"], row_of(house, third)["parent"]) == ("superseded", None)

    page.write_text("A line of my own.\n" + page.read_text() + "Another.\n")
    commit(place, "mine")
    house.take_in(place)
    carried = house.ok("promote", fourth)
    assert carried["state"] == "kept"
    assert carried["restacked"]["consent"]["is"] == "passed"
    assert f"Better line {AT[3]}.\n" in page.read_text()
    assert page.read_text().startswith("A line of my own.\n")
    logged = house.logged("consent.carried")[-1]
    assert logged["digests"]["carry"] == carried["restacked"]["consent"]["carry"]
    spent = house.digests_in_log("live.promoted", carried["id"])
    assert (spent["carry"], spent["consent-0"]) == (logged["digests"]["carry"], logged["digests"]["consent"])

    page.write_text(page.read_text().replace(f"Line {AT[2]}.\n", f"My line {AT[2]}.\n"))
    commit(place, "mine too")
    house.take_in(place)
    with house.unmoved(place):
        conflict = house.json("approve", third, "--yes")
        assert (conflict.code, conflict.said["rule"]) == (4, "restack-conflict")
        shown = house.run("diff", third).out
        for line in (f"    | Line {AT[2]}.", f"    | Better line {AT[2]}.", f"    | My line {AT[2]}."):
            assert line in shown
        asked = house.json("restack", fifth)
        assert (asked.code, asked.data["held"]["rule"]) == (4, "needs-approval")
    child = asked.data["id"]
    assert house.ok("approve", child, "--yes")["state"] == "kept"

    with house.unmoved(place):
        refused = house.json("revert", moved["id"])
        assert (refused.code, refused.said["rule"]) == (3, "not-last")
        assert [offer["line"] for offer in refused.data["offers"]] == [f"greenroom revert {moved['id']} --as-change"]
        assert house.json("revert", moved["id"], "--all-after").said["rule"] == "own-commits-above"
    undo = house.json("revert", moved["id"], "--as-change").data
    assert undo["held"]["rule"] == "needs-approval"
    assert house.ok("approve", undo["id"], "--yes")["state"] == "kept"
    assert f"Line {AT[1]}.\n" in page.read_text().splitlines(keepends=True)

    below = house.json("revert", child)
    assert (below.code, len(below.data["offers"])) == (3, 2)
    every = house.ok("revert", child, "--all-after")
    assert every["reverted"] == [undo["id"], child]
    assert f"Better line {AT[1]}.\n" in page.read_text()
    assert f"Better line {AT[4]}.\n" not in page.read_text()
    assert git(place, "status", "--porcelain") == ""
    house.log_is_whole()
