"""The commands of a person's word on a change, as a person types them, over a house in memory."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from test_cli_commands import Door, door

from greenroom.domain.errors import Exit, Unreachable
from greenroom.testing.parts import Finding, patch_of

pytestmark = pytest.mark.slow

__all__ = ["door"]


def test_cli_reject_is_no_and_not_again(door: Door) -> None:
    """The finding is left out of the next scan, which says so; reopen proposes it as another change."""
    change = door.waiting()
    assert door("reject", change, "--why", "no") == Exit.OK
    door.house.commit({"b.py": b"1\n"})
    assert door("improve", door.repo) == Exit.OK
    assert "1 rejected before" in door.out
    answer = door.json("reopen", change)
    assert (door.code, answer["parent"]) == (Exit.OK, change)
    assert door("reject", answer["id"]) == Exit.OK
    assert door("reopen", answer["id"]) == Exit.OK
    assert f"takes the place of {answer['id']}" in door.out
    assert "next: greenroom approve" in door.out


def test_cli_defer(door: Door) -> None:
    """Later is a time that a person writes; what is none is USAGE, and asks the house nothing."""
    change = door.waiting()
    door.services.asked.clear()
    assert door("defer", change, "--until", "soonish") == Exit.USAGE
    assert "[bad-time]" in door.err
    assert door.services.asked == []
    assert door("defer", change, "--until", "2w") == Exit.OK
    assert "until 20" in door.out
    (row,) = door.json("list")["changes"]
    assert row["held"]["rule"] == "deferred"
    assert door("approve", change, "--yes") == Exit.USAGE
    assert f"greenroom reopen {change}" in door.err
    assert door("reopen", change) == Exit.OK
    assert door("approve", change, "--yes") == Exit.OK


def test_cli_cancel_withdraws_what_was_approved(door: Door) -> None:
    """The approval is void at the guard before the executor hears of it; a second yes is good."""
    change = door.waiting()
    door("approve", change, "--yes", "--no-promote")
    assert door("cancel", change) == Exit.OK
    assert "consent.withdrawn" in door.house.names()
    assert door("promote", change) == Exit.HELD
    assert door("approve", change, "--yes") == Exit.OK
    assert door("cancel", change) == Exit.REFUSED
    assert "already-live" in door.out


@pytest.mark.parametrize("verb", ["cancel", "reject"])
def test_cli_a_no_to_a_child_voids_the_yes_to_what_it_follows(
    door: Door, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard hears it from the command, before the executor, which may not obey: no yes is left to be carried."""
    door.house.findings.append(Finding(path="a.py", old=b"x = 1", new=b"x = 2"))
    parent, other = (row["id"] for row in door.house.improve()["changes"])
    door("approve", parent, "--yes", "--no-promote")
    assert door("approve", other, "--yes") == Exit.OK
    with monkeypatch.context() as patched:
        # A taken-over executor carries the yes when it likes.
        patched.setattr("greenroom.pipeline.restack._agreed_to", lambda house, change: None)
        child = door.house.restack(parent)["id"]
    desk = door.services.desk

    def disobeying(call: str, arguments: Any = None, **more: Any) -> Any:
        if call == verb:
            raise Unreachable("no-answer", "it does not answer")
        return desk(call, arguments, **more)

    monkeypatch.setattr(door.services, "desk", disobeying)
    assert door(verb, child) != Exit.OK
    voided = [event.change for event in door.house.log.events() if event.name == "consent.withdrawn"]
    assert voided == [child, parent]


def test_cli_cancel_ends_where_changes_follow_each_other_in_a_ring(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the executor says of parents is bounded: a ring ends, and so does a line without an end."""
    change = door.waiting()
    door("approve", change, "--yes", "--no-promote")
    desk = door.services.desk
    following = {change: "other1", "other1": change}

    def lying(call: str, arguments: Any = None, **more: Any) -> Any:
        if call != "show":
            return desk(call, arguments, **more)
        said = arguments["change"]
        return {"id": said, "parent": following.get(said, f"{said}a") if following else f"{said}a"}

    monkeypatch.setattr(door.services, "desk", lying)
    assert door("cancel", change) == Exit.OK
    assert door.house.names().count("consent.withdrawn") == 3
    following.clear()
    door("reject", change)
    assert door.house.names().count("consent.withdrawn") > 100


def test_cli_edit_from_a_file_and_from_an_editor(door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A patch from a file, and one that an editor wrote, each a new change in the place of the one before."""
    change = door.waiting()
    before = door.house.live_files()[b"README.md"]
    file = tmp_path / "better.diff"
    file.write_bytes(patch_of("README.md", before, b"# Project\n\nall the words\n"))
    answer = door.json("edit", change, "--patch", str(file))
    assert (door.code, answer["parent"], answer["rule"]) == (Exit.OK, change, "edit")
    assert door("edit", answer["id"]) == Exit.USAGE
    assert "[no-editor]" in door.err
    writes = tmp_path / "editor"
    writes.write_text('#!/bin/sh\nsed -i s/all/some/ "$1"\n')
    writes.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(writes))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert door("edit", answer["id"]) == Exit.OK
    (row,) = door.json("list")["changes"]
    assert door("approve", row["id"], "--yes") == Exit.OK
    assert door.house.live_files()[b"README.md"] == b"# Project\n\nsome the words\n"
    assert os.listdir(tmp_path)


def test_cli_edit_refuses_what_is_no_patch(door: Door, tmp_path: Path) -> None:
    """USAGE, with the line; the change goes on waiting."""
    change = door.waiting()
    (tmp_path / "bad").write_bytes(b"hello\n")
    assert door("edit", change, "--patch", str(tmp_path / "bad")) == Exit.USAGE
    assert "[bad-patch]" in door.err
    assert door("edit", change, "--patch", str(tmp_path / "missing")) == Exit.NOT_FOUND
    assert door("approve", change, "--yes") == Exit.OK


def test_cli_retry_after_a_refusal(door: Door) -> None:
    """What a gate refused for a reason that is gone is carried again, as a child; exit codes tell how it ended."""
    door.house.checks["tests"] = "fail"
    (row,) = door.json("improve", door.repo)["changes"]
    door.house.checks.clear()
    door.house.commit({"b.py": b"1\n"})
    door.house.findings.clear()
    door("improve", door.repo)
    answer = door.json("retry", row["id"])
    assert (door.code, answer["parent"], answer["held"]["rule"]) == (Exit.OK, row["id"], "needs-approval")
