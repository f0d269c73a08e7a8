"""Approving several changes with one command: shown, agreed to, signed and promoted, each for itself."""

from __future__ import annotations

import pytest
from test_cli_commands import Door, door

from greenroom.domain.errors import Exit
from greenroom.domain.vocabulary import State
from greenroom.entrypoints.cli import consent
from greenroom.testing.parts import Finding

pytestmark = pytest.mark.slow

__all__ = ["door"]


@pytest.fixture
def waiting(door: Door) -> list[str]:
    """Three changes of two rules that wait for approval."""
    door.house.findings += [
        Finding(path="README.md", old=b"words", new=b"word"),
        Finding(path="a.py", old=b"x = 1", new=b"x = 2", rule="ruff:F401"),
    ]
    return [str(row["id"]) for row in door.json("improve", door.repo)["changes"]]


def test_cli_approve_of_several_signs_each_and_unlocks_once(
    door: Door, waiting: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every card is shown, the passphrase is asked once, each change has a consent of its own."""
    asked: list[str] = []
    door.services.locked = True
    monkeypatch.setattr(consent, "passphrase", lambda why: asked.append(why) or b"secret")
    assert door("approve", *waiting[:2], "--yes", "--no-promote") == Exit.OK
    assert asked == [f"to approve {waiting[0]}, {waiting[1]}"]
    assert all(f"{change}  " in door.out for change in waiting[:2])
    assert door.out.count("diff --git") == 2
    given = [door.house.change(change).consents for change in waiting[:2]]
    assert len({digest for digests in given for digest in digests}) == 2
    assert [door.house.change(change).state for change in waiting] == [State.APPROVED, State.APPROVED, State.VERIFIED]


def test_cli_approve_of_several_promotes_in_order_and_tells_of_each(door: Door, waiting: list[str]) -> None:
    """The first is live; one whose lines moved with it is held and stays approved; the table and the code say so."""
    assert door("approve", *waiting[:2], "--yes") == Exit.HELD
    assert door.house.change(waiting[0]).state is State.KEPT
    left = door.house.change(waiting[1])
    assert (left.state, left.hold.rule if left.hold else "") == (State.APPROVED, "restack-conflict")
    assert "RESULT" in door.out
    assert "held: restack-conflict" in door.out
    assert "delivery-pending" not in door.out


def test_cli_approve_of_several_moves_each_onto_the_one_before(door: Door, waiting: list[str]) -> None:
    """Two changes of different files both go live: the second as a child, by the one yes that was given to it."""
    answer = door.json("approve", waiting[0], waiting[2], "--yes")
    assert door.code == Exit.OK
    first, second = answer["approved"]
    assert (first["id"], first["state"], second["state"]) == (waiting[0], "kept", "kept")
    assert door.house.change(second["id"]).parent == waiting[2]
    assert door.house.change(waiting[2]).ended == "superseded"


def test_cli_approve_by_rule_and_proposer(door: Door, waiting: list[str]) -> None:
    """What waits by that rule, and by that proposer; what nobody waits for is well, and asks nobody."""
    answer = door.json("approve", "--rule", "ruff:F401", "--yes")
    assert (door.code, [row["id"] for row in answer["approved"]]) == (Exit.OK, [waiting[2]])
    assert door.json("approve", "--rule", "nope", "--yes") == {"approved": []}
    assert door("approve", "--rule", "nope") == Exit.OK
    assert "nothing waits" in door.out
    door.house.deliver()
    door.json("improve", door.repo)
    assert len(door.json("approve", "--proposer", "typo", "--rule", "typo", "--yes", "--no-promote")["approved"]) == 2


def test_cli_approve_by_rule_keeps_to_the_repository_that_is_named(door: Door, waiting: list[str]) -> None:
    """Of another repository nothing is meant; `--repo` alone names no change."""
    path = door.house.path
    door.services.repository = lambda repo, branch, trees=None: {"path": repo}  # type: ignore[method-assign,assignment]
    assert door.json("approve", "--rule", "ruff:F401", "--repo", f"{path}er", "--yes")["approved"] == []
    assert door.code == Exit.OK
    assert door("approve", "--repo", path, "--yes") == Exit.USAGE
    assert {door.house.change(change).state for change in waiting} == {State.VERIFIED}


def test_cli_one_that_fails_leaves_the_others(door: Door, waiting: list[str]) -> None:
    """A change that is not there, and one that is over, are told; the good one is approved all the same."""
    door("reject", waiting[0])
    answer = door.json("approve", "nope", waiting[0], waiting[1], "--yes")
    rules = [row["verdict"].get("rule", "passed") for row in answer["approved"]]
    assert rules == ["no-change-by-that-id", "wrong-state", "passed"]
    assert door.code == Exit.REFUSED
    assert door.house.change(waiting[1]).state is State.KEPT


def test_cli_approve_of_several_asks_a_person(door: Door, waiting: list[str]) -> None:
    """Without --yes and without a terminal nothing is approved."""
    assert door("approve", *waiting) == Exit.USAGE
    assert "[no-terminal]" in door.err
    assert {door.house.change(change).state for change in waiting} == {State.VERIFIED}


def test_cli_approve_of_several_under_a_stop_is_told(door: Door, waiting: list[str]) -> None:
    """Each is held as stopped, and the code says it."""
    door.house.stop()
    assert door("approve", *waiting, "--yes") == Exit.STOPPED
    assert {door.house.change(change).state for change in waiting} == {State.VERIFIED}
