"""`greenroom pr` over a house in memory: the branch, its description, its push, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_cli_commands import EVIL, Door, door

from greenroom.domain.errors import Exit
from greenroom.domain.vocabulary import State
from greenroom.entrypoints.cli.describe import describe
from greenroom.testing.house import MemoryHouse
from greenroom.testing.parts import Finding
from greenroom.testing.services import MemoryServices

pytestmark = pytest.mark.slow

__all__ = ["door"]


def branches(door: Door) -> dict[str, str]:
    return door.house.repository.branches


def test_cli_pr_makes_a_branch_and_a_description(door: Door, tmp_path: Path) -> None:
    """Of a verified change; live, the delivery and the change stay as they are; twice is once."""
    change = door.waiting()
    before = (door.house.live(), door.house.change(change))
    answer = door.json("pr", change)
    assert (door.code, answer["branch"]) == (Exit.OK, f"greenroom/{change}")
    assert branches(door) == {f"greenroom/{change}": answer["made"]}
    assert answer["title"] in answer["body"]
    assert "tests: passed" in answer["body"]
    assert door("pr", change, "--out", str(tmp_path / "text.md")) == Exit.OK
    assert (tmp_path / "text.md").read_text() == answer["body"]
    assert door.out == ""
    assert (door.house.live(), door.house.change(change)) == before
    assert door.house.names().count("change.branched") == 1
    assert door("pr", change, "--out", str(tmp_path / "no" / "where")) == Exit.USAGE


def test_cli_pr_pushes_when_it_is_asked_to(door: Door) -> None:
    """A refusal of the remote is HELD, with the branch made here."""
    change = door.waiting()
    assert door.json("pr", change, "--push")["pushed"] is True
    assert door.json("pr", change, "--push", "--remote", "upstream")["verdict"]["rule"] == "push-refused"
    assert door.code == Exit.HELD
    assert [remote for remote, _, _ in door.services.pushed] == ["origin", "upstream"]


def test_cli_pr_makes_no_branch_for_a_push_that_would_not_be_tried(door: Door) -> None:
    """An address that is not pushed to is refused first: nothing is made here, nothing is recorded."""
    change = door.waiting()
    answer = door.json("pr", change, "--push", "--remote", "path")
    assert (door.code, answer["verdict"]["rule"]) == (Exit.REFUSED, "push-transport")
    assert (branches(door), door.services.pushed) == ({}, [])
    assert "change.branched" not in door.house.names()


@pytest.mark.parametrize("fate", ["merged", "squashed"])
def test_cli_improve_notices_a_merge(door: Door, fate: str) -> None:
    """The person's own commit is adopted; the change ends so, and nothing is proposed again."""
    change = door.waiting()
    door("pr", change)
    door.house.commit({"README.md": b"# Project\n\nthe words\n"})
    door.house.repository.merged[f"greenroom/{change}"] = fate
    answer = door.json("improve", door.repo)
    assert answer["branches"] == [{"change": change, "branch": f"greenroom/{change}", "fate": fate}]
    assert (door.house.change(change).state, door.house.change(change).ended) == (State.ABORTED, fate)
    assert (answer["changes"], answer["known"]) == ([], [])
    assert door.json("improve", door.repo)["branches"] == []
    assert f"change.{fate}" in door.house.names()


def test_cli_a_closed_branch_is_a_no_until_reopened(door: Door) -> None:
    """A deleted branch ends its change; its finding stays away on other bases, and comes back with reopen."""
    change = door.waiting()
    door("approve", change, "--yes", "--no-promote")
    door("pr", change)
    branches(door).clear()
    door.house.commit({"b.py": b"1\n"})
    assert door("improve", door.repo) == Exit.OK
    assert f"greenroom/{change} was closed" in door.out
    assert door.house.change(change).ended == "closed"
    assert door("reject", change) == Exit.USAGE
    answer = door.json("reopen", change)
    assert (door.code, answer["parent"]) == (Exit.OK, change)


def test_cli_a_change_on_its_way_is_not_proposed_again(door: Door) -> None:
    """While its branch is open, commits of the person make no second proposal of the same finding."""
    change = door.waiting()
    door("pr", change)
    door.house.commit({"b.py": b"1\n"})
    answer = door.json("improve", door.repo)
    assert answer["changes"] == []
    assert [(row["id"], row["held"]["rule"]) for row in answer["known"]] == [(change, "base-moved")]


def test_cli_pr_says_what_cannot_be_a_branch(door: Door) -> None:
    """What is not verified, is live, waits on another base or until another time, each with what to do."""
    door.house.checks["tests"] = "fail"
    (refused,) = door.json("improve", door.repo)["changes"]
    assert door("pr", refused["id"]) == Exit.USAGE
    assert "[wrong-state]" in door.err
    door.house.checks.clear()
    door.house.commit({"b.py": b"1\n"})
    change = door.waiting()
    door("defer", change, "--until", "2w")
    assert door("pr", change) == Exit.HELD
    assert f"greenroom reopen {change}" in door.out
    door("reopen", change)
    branches(door)[f"greenroom/{change}"] = "f" * 40
    assert door("pr", change) == Exit.HELD
    assert "branch-exists" in door.out
    branches(door).clear()
    door.house.findings.append(Finding(path="b.py", old=b"1", new=b"2"))
    other = door.json("improve", door.repo)["changes"][0]["id"]
    door("approve", change, "--yes")
    assert door("pr", change) == Exit.USAGE
    assert door("pr", other) == Exit.HELD
    assert f"greenroom retry {other}" in door.out


def test_cli_pr_of_a_release_names_the_patch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unpacked release has no branches."""
    (tmp_path / "repo").mkdir()
    house = MemoryHouse(tmp_path, path=str(tmp_path / "repo"), branch="")
    release = Door(MemoryServices(house), monkeypatch, capsys)
    change = release.waiting()
    assert release("pr", change) == Exit.USAGE
    assert f"greenroom diff {change} --patch" in release.err
    house.close()


def test_descriptions_show_what_hostile_words_hide(door: Door) -> None:
    """Control and bidi characters are spelled out; nothing breaks out of a code span."""
    door.house.findings[:] = [Finding(path="README.md", old=b"teh", new=b"the", summary=f"Mend {EVIL} `x`")]
    change = door.waiting()
    card = door.json("show", change)["card"]
    body = describe({**card, "rationale": EVIL, "files": [{**card["files"][0], "path": "a`b\x1b"}]})
    assert not set(EVIL) & set("\x1b\u202e\u200b\x07") & set(body)
    assert "\\u{202e}" in body
    assert "`a\u02cbb\\u{001b}`" in body
