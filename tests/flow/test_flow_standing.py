"""Standing consent through the whole house: verbs, flow, stages, policy and guard in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.ports import CheckRun
from greenroom.domain.proof import Evidence, Predicate, Warrant
from greenroom.domain.verdict import Passed
from greenroom.domain.vocabulary import ChangeId, Mode, State
from greenroom.pipeline import lineage, standing, verbs
from greenroom.pipeline.decisions import findings_of
from greenroom.pipeline.queue import Limits
from greenroom.testing.house import MemoryHouse
from greenroom.testing.parts import Behaviour, Finding, Killed

pytestmark = pytest.mark.slow

HOUR = 3600


@pytest.fixture
def house(tmp_path: Path) -> Iterator[MemoryHouse]:
    """A box in mode supervised, with an opt-in to codespell."""
    made = MemoryHouse(tmp_path)
    made.set_mode(Mode.SUPERVISED)
    assert isinstance(made.opt_in("codespell"), Passed)
    yield made
    made.close()


def test_house_applies_an_opted_in_change_after_its_window(house: MemoryHouse) -> None:
    """Approved, not held, nothing asked; untouched until the window is over; then live, kept and delivered."""
    change = house.proposed()
    row = house.show(change)
    assert (row["state"], row["held"]) == ("approved", None)
    assert int(row["window"]) > house.clock.now() + (HOUR - 60) * 1_000_000_000
    assert house.apply_windows() == []
    assert house.resume()["resumed"] == []
    house.clock.advance(HOUR)
    assert house.resume()["resumed"] == []
    (applied,) = house.apply_windows()
    assert (applied["state"], applied["verdict"]["is"], applied["window"]) == ("kept", "passed", None)
    house.deliver()
    assert house.repository.files == house.live_files()
    assert house.names().count("live.promoted") == 1
    assert house.apply_windows() == []


def test_house_asks_a_person_where_no_opt_in_covers_it(house: MemoryHouse) -> None:
    """Another rule, and logic, wait for approval as before."""
    house.findings[:] = [
        Finding(path="README.md", old=b"teh", new=b"the", reproduce="ruff:F401"),
        Finding(path="a.py", old=b"x = 1", new=b"x = 2"),
    ]
    for row in house.improve()["changes"]:
        assert (row["state"], row["held"]["rule"], row["window"]) == ("verified", "needs-approval", None)


def test_house_mode_of_a_command_only_lowers(house: MemoryHouse) -> None:
    """`--mode propose` asks although the box would not; `--mode autonomous` is not above supervised."""
    (row,) = house.improve(mode=Mode.PROPOSE)["changes"]
    assert row["held"]["rule"] == "needs-approval"
    assert standing.reconsider(house.house, house.tell)["changes"] == []
    house.findings[:] = [Finding(path="README.md", old=b"words", new=b"Words")]
    (row,) = house.improve(mode=Mode.AUTONOMOUS)["changes"]
    assert house.change(row["id"]).mode is Mode.SUPERVISED


def test_house_cancelled_waits_for_a_person(house: MemoryHouse) -> None:
    """Cancelled, it is held; the window's end changes nothing; a person may still approve it."""
    change = house.proposed()
    row = house.cancel_window(change)
    assert (row["verdict"]["is"], row["held"]["rule"], row["window"]) == ("passed", "needs-approval", None)
    house.clock.advance(2 * HOUR)
    assert house.apply_windows() == []
    assert house.promote(change)["held"]["rule"] == "needs-approval"
    assert house.approve(change)["state"] == "kept"


def test_house_rejected_in_its_window_is_over(house: MemoryHouse) -> None:
    """No means no: the guard's window is cancelled, too."""
    change = house.proposed()
    assert house.reject(change)["state"] == "aborted"
    house.clock.advance(2 * HOUR)
    assert house.apply_windows() == []
    assert house.guard.status().windows == ()
    assert "window.cancelled" in house.names()


def test_house_approved_in_its_window_goes_at_once(house: MemoryHouse) -> None:
    """A person's yes ends the wait; for later, it waits for `promote` and not for the window."""
    change = house.proposed()
    assert house.approve(change, promote=False)["held"]["rule"] == "promote-on-request"
    house.clock.advance(300)
    assert house.apply_windows() == []
    assert house.promote(change)["state"] == "kept"
    assert "window.applied" not in house.names()


def test_house_windows_begin_afresh_after_the_machine_was_off(house: MemoryHouse) -> None:
    """However long it was off: a whole window more, and then it is applied once."""
    change = house.proposed()
    house.machine.off(10 * HOUR)
    house.restart_guard()
    (row,) = house.apply_windows()
    assert (row["state"], row["held"]) == ("approved", None)
    assert int(row["window"]) > house.clock.now() + (HOUR - 60) * 1_000_000_000
    house.clock.advance(HOUR)
    assert [row["state"] for row in house.apply_windows()] == ["kept"]
    assert house.change(change).state is State.KEPT


def test_house_opt_ins_that_change_are_reconsidered(house: MemoryHouse) -> None:
    """What waits for a person goes to its window once it is covered, and back where it is no longer."""
    house.findings[:] = [Finding(path="README.md", old=b"teh", new=b"the", reproduce="ruff:W291")]
    change = house.proposed()
    opt_in = house.opt_in("ruff:W291")
    assert isinstance(opt_in, Passed)
    (row,) = standing.reconsider(house.house, house.tell)["changes"]
    assert (row["id"], row["state"], row["held"]) == (change, "approved", None)
    house.opt_out(opt_in.produced["opt-in"])
    (row,) = standing.reconsider(house.house, house.tell)["changes"]
    assert (row["held"]["rule"], row["window"]) == ("needs-approval", None)
    assert standing.reconsider(house.house, house.tell)["changes"] == []


TYPOS = [
    Finding(path="README.md", old=b"teh", new=b"the"),
    Finding(path="b.md", old=b"adress", new=b"address"),
    Finding(path="c.md", old=b"occured", new=b"occurred"),
]
MORE = {"b.md": b"an adress\n", "c.md": b"it occured\n"}


def test_house_carries_the_next_of_several_that_are_due(house: MemoryHouse) -> None:
    """One goes live; the next one only is restacked and waits a window of its own; then the third. All go live once."""
    house.commit(MORE)
    house.findings[:] = TYPOS
    first, second, third = (row["id"] for row in house.improve()["changes"])
    house.clock.advance(HOUR)
    applied, moved = house.apply_windows()
    assert (applied["id"], applied["state"]) == (first, "kept")
    child = house.change(moved["id"])
    assert (child.parent, child.state, child.hold, child.base) == (second, State.APPROVED, None, house.live())
    assert child.window is not None
    assert child.window > house.clock.now() + (HOUR - 60) * 1_000_000_000
    waits = house.change(third)
    assert waits.hold is not None
    assert (waits.hold.rule, "greenroom resume" in waits.hold.remedy) == ("base-moved", True)
    assert house.apply_windows() == []
    house.clock.advance(HOUR)
    assert [row["state"] for row in house.apply_windows()] == ["kept", "approved"]
    house.clock.advance(HOUR)
    assert [row["state"] for row in house.apply_windows()] == ["kept"]
    assert house.live_files()[b"b.md"] + house.live_files()[b"c.md"] == b"an address\nit occurred\n"
    assert house.names().count("live.promoted") == 3


def test_house_follows_only_what_nobody_is_asked_about(house: MemoryHouse) -> None:
    """What a person cancelled or approved for later stays where its base moved, and what no opt-in covers any more."""
    house.commit(MORE)
    house.findings[:] = TYPOS
    _, second, third = (row["id"] for row in house.improve()["changes"])
    house.cancel_window(second)
    house.approve(third, promote=False)
    house.clock.advance(HOUR)
    assert [row["state"] for row in house.apply_windows()] == ["kept"]
    assert standing.windows(house.house)["moved"] == []
    assert [house.change(each).hold.rule for each in (second, third)] == ["base-moved"] * 2  # type: ignore[union-attr]


def test_house_does_not_follow_without_the_opt_in(house: MemoryHouse) -> None:
    """An opt-in that was taken back meanwhile lets nothing through: the change waits for a person where it is."""
    house.commit(MORE)
    house.findings[:] = TYPOS[:2]
    house.improve()
    house.clock.advance(HOUR)
    first = standing.windows(house.house)["over"][0]["id"]
    verbs.resume(house.house, change_id=first, tell=house.tell)
    assert len(standing.windows(house.house)["moved"]) == 1
    (opt_in,) = house.guard.status().opt_ins
    house.opt_out(opt_in.id)
    assert standing.windows(house.house)["moved"] == []
    assert house.apply_windows() == []


def test_house_killed_anywhere_while_it_applies(tmp_path: Path) -> None:
    """The executor is killed at each port call on the way: live once, or not yet, and `resume` ends it."""
    at = 0
    while True:
        at += 1
        directory = tmp_path / str(at)
        directory.mkdir()
        house = MemoryHouse(directory)
        house.set_mode(Mode.SUPERVISED)
        house.opt_in("codespell")
        change = house.proposed()
        house.clock.advance(HOUR)
        house.points.count, house.points.at = 0, at
        try:
            house.apply_windows()
            break
        except Killed:
            house.restart()
        house.resume()
        house.apply_windows()
        assert house.change(change).state is State.KEPT, at
        assert (house.names().count("live.promoted"), house.names().count("window.applied")) == (1, 1), at
        house.close()
    house.close()
    assert at > 10


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[MemoryHouse]:
    """A box in mode autonomous, with one finding in code (level 2)."""
    made = MemoryHouse(tmp_path)
    made.set_mode(Mode.AUTONOMOUS)
    made.findings[:] = [Finding(path="a.py", old=b"x = 1", new=b"x = 2")]
    yield made
    made.close()


def test_house_alone_promotes_logic_that_was_verified_twice(alone: MemoryHouse) -> None:
    """Two builds, two runs of every check, each of its own; the warrant names both, and no person was asked."""
    (row,) = alone.improve()["changes"]
    assert (row["state"], row["level"], row["verdict"]["is"]) == ("kept", 2, "passed")
    change = alone.change(row["id"])
    assert change.warrant is not None
    paper = documents.decode(
        Warrant, alone.signers["owner"].open(alone.store.get(change.warrant), Predicate.WARRANT, "guard").body
    )
    assert (paper.consents, paper.opt_in, paper.mode) == ((), None, Mode.AUTONOMOUS)
    first, second = (
        {item.check: item for item in (documents.decode(Evidence, alone.store.get(d)) for d in digests)}
        for digests in (paper.evidence, paper.again)
    )
    assert set(second) == set(first) - {"reseal"}
    assert first["reseal"].facts["builds"] == "2"
    assert all(not set(second[check].receipts) & set(first[check].receipts) for check in second)
    assert "consent.given" not in alone.names()


@pytest.mark.parametrize("behaviour", ["fail", "flaky", "broken-before", "inconclusive"])
def test_house_alone_asks_a_person_where_the_second_verify_is_worse(
    alone: MemoryHouse, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test that fails, wavers or is not there the second time: held, nothing moved; the guard says the same."""
    honest = alone.workshop.results

    def worse_again(run: CheckRun) -> Any:
        alone.checks["tests"] = behaviour if run.occasion is not None and run.check == "tests" else "pass"
        return honest(run)

    monkeypatch.setattr(alone.keeper, "_results", worse_again)
    before = alone.live()
    (row,) = alone.improve()["changes"]
    assert row["held"]["rule"] == "needs-approval"
    assert alone.live() in (before, alone.change(row["id"]).base)
    forced = dataclasses.replace(alone.change(row["id"]), state=State.APPROVED, hold=None)
    alone.house.changes.save(forced)
    assert alone.promote(row["id"])["held"]["rule"] == "needs-approval"
    assert "live.promoted" not in alone.names()


def test_house_alone_holds_what_only_a_person_may_decide(alone: MemoryHouse) -> None:
    """A protected path is level 3: held, the requester is told so, and no time changes it."""
    alone.commit({".github/workflows/ci.yml": b"on: push\n"})
    alone.findings[:] = [Finding(path=".github/workflows/ci.yml", old=b"push", new=b"pull_request")]
    (row,) = alone.improve()["changes"]
    assert (row["level"], row["held"]["rule"]) == (3, "needs-approval")
    assert "nobody is asked in line" in row["held"]["where"]
    forced = dataclasses.replace(alone.change(row["id"]), state=State.APPROVED, hold=None)
    alone.house.changes.save(forced)
    assert alone.promote(row["id"])["held"]["rule"] == "needs-approval"
    assert "live.promoted" not in alone.names()


def test_house_alone_wants_an_opt_in_for_low_changes(alone: MemoryHouse) -> None:
    """Level 1 goes by the owner's opt-in, at once; without one it waits for a person."""
    alone.findings[:] = [Finding(path="README.md", old=b"teh", new=b"the")]
    (row,) = alone.improve()["changes"]
    assert (row["level"], row["held"]["rule"]) == (1, "needs-approval")
    alone.opt_in("codespell")
    (row,) = standing.reconsider(alone.house, alone.tell)["changes"]
    assert (row["state"], row["window"]) == ("kept", None)
    assert {"window.opened", "window.applied"}.isdisjoint(alone.names())


def test_house_alone_carries_one_after_the_other_in_one_run(alone: MemoryHouse) -> None:
    """Three findings, one scan: each is brought up to what the one before made live, verified there, and goes live."""
    alone.commit({"b.py": b"y = 1\n", "c.py": b"z = 1\n"})
    alone.findings[:] = [Finding(path=f"{name}.py", old=b"= 1", new=b"= 2") for name in "abc"]
    answer = alone.improve()
    assert [row["state"] for row in answer["changes"]] == ["kept"] * 3
    assert (answer["known"], answer["left"]) == ([], [])
    carried = [alone.change(row["id"]) for row in answer["changes"]]
    assert [each.base for each in carried[1:]] == [each.green for each in carried[:-1]]
    assert len(alone.changes()) == 3
    assert {name: data for name, data in alone.live_files().items() if name.endswith(b".py")} == {
        b"a.py": b"x = 2\n",
        b"b.py": b"y = 2\n",
        b"c.py": b"z = 2\n",
    }


def test_house_alone_carries_no_more_than_it_may(alone: MemoryHouse) -> None:
    """`--max` counts what is brought up, too; the rest goes on in the next run."""
    alone.commit({"b.py": b"y = 1\n", "c.py": b"z = 1\n"})
    alone.findings[:] = [Finding(path=f"{name}.py", old=b"= 1", new=b"= 2") for name in "abc"]
    answer = alone.improve(limits=Limits(most=2))
    assert ([row["state"] for row in answer["changes"]], len(answer["left"])) == (["kept"] * 2, 1)
    alone.deliver()
    assert [row["state"] for row in alone.improve()["changes"]] == ["kept"]


def test_house_alone_names_what_an_earlier_one_leaves_no_place_for(alone: MemoryHouse) -> None:
    """Two findings on one line: the second is held as a conflict, with commands that go on; live is the first."""
    alone.findings[:] = [Finding(path="a.py", old=b"x = 1", new=b"x = 2"), Finding(path="a.py", old=b"1", new=b"3")]
    first, second = alone.improve()["changes"]
    assert (first["state"], second["verdict"]["rule"]) == ("kept", "restack-conflict")
    for command in (f"greenroom improve {alone.path}", f"greenroom edit {second['id']}"):
        assert command in second["held"]["remedy"]


def test_house_alone_goes_on_when_one_opt_in_covers_several(alone: MemoryHouse) -> None:
    """An opt-in that is added lets the first through at once and the others after it, by `moved`."""
    alone.commit(MORE)
    alone.findings[:] = TYPOS[:2]
    alone.improve()
    alone.opt_in("codespell")
    (row,) = standing.reconsider(alone.house, alone.tell)["changes"]
    assert row["state"] == "kept"
    assert [each["state"] for each in alone.apply_windows()] == ["kept"]
    assert alone.live_files()[b"b.md"] == b"an address\n"


def test_house_alone_does_not_apply_what_was_cancelled(house: MemoryHouse) -> None:
    """A window that a person cancelled keeps its content out in any mode, and the finding out of later windows."""
    change = house.proposed()
    house.cancel_window(change)
    house.set_mode(Mode.AUTONOMOUS)
    assert house.promote(change)["held"]["rule"] == "needs-approval"
    house.commit({"b.md": b"more\n"})
    (row,) = house.improve()["changes"]
    assert (row["id"] != change, row["held"]["rule"]) == (True, "needs-approval")
    assert "live.promoted" not in house.names()


def test_house_keeps_a_cancelled_finding_out_of_later_windows_whatever_is_found_beside_it(tmp_path: Path) -> None:
    """A second typo far away makes it another patch, which takes its place: the finding still needs a person."""
    far = b"".join(b"line %d\n" % number for number in range(30))
    house = MemoryHouse(tmp_path, files={"notes.md": b"teh\n" + far})
    house.set_mode(Mode.SUPERVISED)
    house.opt_in("codespell")
    house.findings[:] = [Finding(path="notes.md", old=b"teh", new=b"the")]
    change = house.proposed()
    house.cancel_window(change)
    house.deliver()
    house.commit({"notes.md": b"teh\n" + far + b"teh\n"})
    house.findings[:] = [Finding(path="notes.md", old=b"teh", new=b"the", summary="both")]
    (row,) = house.improve()["changes"]
    assert house.change(row["id"]).parent == change
    assert (row["window"], row["held"]["rule"]) == (None, "needs-approval")
    house.clock.advance(2 * HOUR)
    assert house.apply_windows() == []
    retried = lineage.retry(house.house, row["id"], tell=house.tell)
    assert retried["held"]["rule"] == "needs-approval"
    assert house.approve(retried["id"])["state"] == "kept"
    house.close()


def test_a_cancel_is_kept_for_each_finding_beside_a_later_and_for_what_follows(house: MemoryHouse) -> None:
    """One shared finding is enough, `reopen` takes no cancel back; a parent that is lost or its own ends the look."""
    change = house.change(house.proposed())
    house.cancel_window(change.id)
    named = findings_of(house.house.store, change)
    house.house.decisions.forget(change.subject, named)
    assert house.house.decisions.cancelled(change.subject, (*named, "another"))
    assert not house.house.decisions.cancelled(change.subject, ["another"])
    assert house.house.decisions.among(change.subject, named) == {}
    ring = dataclasses.replace(change, id=ChangeId("other1"), parent=ChangeId("other1"), cancelled=False)
    inside = (house.house.changes, house.house.board, house.house.decisions, house.house.store)
    assert standing.cancelled_before(*inside, ring)
    assert standing.cancelled_before(*inside, dataclasses.replace(ring, request=Digest(f"text:sha256:{'0' * 64}")))
    house.commit(MORE)
    house.findings[:] = TYPOS[1:2]
    (row,) = house.improve()["changes"]
    other = house.change(row["id"])
    for parent, said in ((None, False), (other.id, False), (ChangeId("gone22"), False), (change.id, True)):
        assert standing.cancelled_before(*inside, dataclasses.replace(other, parent=parent)) is said
