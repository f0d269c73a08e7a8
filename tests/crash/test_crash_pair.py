"""Processes killed while one change follows another: a restack with a carried yes, both ways back, a rebuild."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from crash_box import Stage, opened
from crash_outcomes import recorded
from crash_pair import BOTH_FOUND, BOTH_MENDED, ONE_MENDED, OTHER_MENDED, PairBox
from crash_pair_points import JOURNEYS, PAIR_QUICK, REBUILDS, pair_cases
from crash_points import CODE, Case, code_digest
from crash_story import told

ALL = pair_cases()
SECONDS = {"restack": 6.0, "all-after": 1.0, "undo": 4.0}
"""About how long each first command takes: a kill from outside falls somewhere in it."""
TREES: Mapping[str, Sequence[Mapping[str, str]]] = {
    "restack": (ONE_MENDED, BOTH_MENDED),
    "all-after": (BOTH_MENDED, ONE_MENDED, BOTH_FOUND),
    "undo": (BOTH_MENDED, OTHER_MENDED),
    **dict.fromkeys(REBUILDS, (ONE_MENDED,)),
}
"""The live files before each journey, at each step of it, and after it; at no moment may there be others."""
REBUILD = ("doctor", "--rebuild", "--yes")


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[PairBox, Mapping[str, Stage]]]:
    """The box and its copies; its processes are always ended."""
    with opened(PairBox) as box:
        yield box, box.make()


def _parameters(*, rebuilds: bool) -> list[Any]:
    chosen = [case for case in ALL if (case.journey in REBUILDS) is rebuilds]
    return [pytest.param(c, id=str(c), marks=[] if str(c) in PAIR_QUICK else [pytest.mark.full]) for c in chosen]


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.parametrize("case", _parameters(rebuilds=False))
def test_crash_of_what_follows_or_stands_on_another(made: tuple[PairBox, Mapping[str, Stage]], case: Case) -> None:
    """Killed anywhere, the same command goes on: no yes is asked for again, and each effect is there once."""
    box, stages = made
    with recorded(case) as outcome, told(box, case):
        trees = TREES[case.journey]
        box.begin(stages["moved" if case.journey == "restack" else "stacked"], case.crash_at)
        assert box.live_files() == trees[0]
        _go(box, case)
        outcome["live"] = _seen(box, trees)
        box.resume()
        outcome["repeated"] = _to_the_end(box, case)
        box.down()
        row = box.verify()
        assert row["state"] == (
            "kept" if case.journey == "restack" else "reverted" if case.journey == "all-after" else "kept"
        )
        assert box.live_files() == trees[-1]
        _ended_as(box, case, outcome["repeated"])
        assert code_digest() == CODE, "the code was changed while the case ran"
        outcome["ended"] = row["state"]


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.parametrize("case", _parameters(rebuilds=True))
def test_crash_of_a_rebuild_loses_nothing(made: tuple[PairBox, Mapping[str, Stage]], case: Case) -> None:
    """Killed anywhere, the database is the old one or the new; asked again it is whole, and the work goes on."""
    box, stages = made
    with recorded(case) as outcome, told(box, case):
        box.begin(stages["moved"])
        left = _spoil(box, case.journey)
        box.crash_at = case.crash_at
        box.marker.touch()
        answer = box.run(*REBUILD)
        assert box.crashed, f"{case} was never passed\n{answer}{box.processes_log()}"
        _nothing_lost(box, case.journey, left)
        outcome["live"] = _seen(box, TREES[case.journey])
        made_again = box.must(*REBUILD).data
        assert not box.must(*REBUILD).data["needed"]
        outcome["repeated"] = int(made_again["needed"])
        _nothing_lost(box, case.journey, left)
        assert not list(box.box.db.glob(".*.part"))
        # The base of what waits is live again, and the yes that was given holds.
        box.must("revert", box.one)
        box.must("promote", box.other)
        box.resume()
        box.down()
        row = box.verify()
        assert (row["id"], row["state"]) == (box.other, "kept")
        assert box.live_files() == OTHER_MENDED
        assert code_digest() == CODE, "the code was changed while the case ran"
        outcome["ended"] = row["state"]


def test_crash_pair_cases_are_each_its_own() -> None:
    """Every journey has cases, no case is twice, and every quick one exists; CI runs eight at most."""
    names = [str(case) for case in ALL]
    assert len(set(names)) == len(names)
    assert set(names) >= PAIR_QUICK
    assert len(PAIR_QUICK) <= 8
    assert {case.journey for case in ALL} == set(JOURNEYS)


def _commands(box: PairBox, journey: str) -> Iterator[tuple[str, ...]]:
    """The commands of a person, each as it is to be typed once those before it ended."""
    if journey == "restack":
        yield "promote", box.other
    elif journey == "all-after":
        yield "revert", box.one, "--all-after"
    else:
        yield "revert", box.one, "--as-change"
        undo = box.undo()
        if undo is not None and undo["held"] is not None:
            yield "approve", undo["id"], "--yes"


def _go(box: PairBox, case: Case) -> None:
    """The person's commands, with the crash on their way."""
    if not case.point:
        box.kill_on_the_way(str(case), case.role, SECONDS[case.journey], next(_commands(box, case.journey)))
        return
    answers = [box.run(*words) for words in _commands(box, case.journey)]
    assert box.crashed, f"{case} was never passed\n{answers}{box.processes_log()}"


def _seen(box: PairBox, trees: Sequence[Mapping[str, str]]) -> str:
    """What is live right after the crash, rehashed by the box and read again by plain git."""
    files = box.live_files()
    box.live()
    assert files in trees, f"live is neither the old nor the new: {files}"
    return "old" if files == trees[0] else "new" if files == trees[-1] else "between two reverts"


def _to_the_end(box: PairBox, case: Case) -> int:
    """Repeat the person's command where the crash came before it was taken in; how often it took."""
    for times in range(4):
        if _at_the_end(box, case.journey):
            return times
        if case.journey == "restack":
            _promote(box, box.newest(box.other)["id"])
        else:
            # A change that waits for approval is told by exit 4.
            answers = [box.run(*words) for words in _commands(box, case.journey)]
            assert all(answer.code in (0, 4) for answer in answers), answers
        box.resume()
    raise AssertionError(f"{case} does not come to its end: {box.rows()}")


def _promote(box: PairBox, change: str) -> None:
    """By the yes that was given; it is given again only where a run that was cut makes the risk greater."""
    answer = box.run("promote", change)
    if answer.code == 0:
        return
    assert answer.data["error"]["reference"] == "wrong-state", answer
    risk = box.must("show", change).data["card"]["risk"]["contributions"]
    assert any(each["name"].endswith(":tried-again") for each in risk), risk
    box.must("approve", change, "--yes")


def _at_the_end(box: PairBox, journey: str) -> bool:
    if journey == "undo":
        undo = box.undo()
        return undo is not None and undo["state"] == "kept"
    ends = {"restack": (box.other, "kept"), "all-after": (box.one, "reverted")}
    change, state = ends[journey]
    return bool(box.newest(change)["state"] == state)


def _ended_as(box: PairBox, case: Case, repeated: int) -> None:
    """Each entry once: one child, one yes that is carried, no more yeses than a person typed."""
    entries = box.entries()
    names = [entry["name"] for entry in entries]
    assert names.count("change.superseded") == 1
    refused = {entry["about"] for entry in entries if entry["name"] == "consent.refused"}
    assert refused <= {"risk-greater"}
    typed = 2 + repeated + 1 if case.journey == "undo" else 2 + len(refused)
    assert (3 if case.journey == "undo" else typed) <= names.count("consent.given") <= typed
    assert names.count("consent.carried") == (0 if refused else 1)
    if case.journey == "all-after":
        assert box.newest(box.other)["state"] == "reverted"


def _spoil(box: PairBox, journey: str) -> Sequence[bytes]:
    """Bring the database into the state of the journey; bytes that may never be gone."""
    if journey == "lost":
        box.lose()
    elif journey == "earlier":
        box.put_back()
    else:
        return box.spoil()
    return []


def _nothing_lost(box: PairBox, journey: str, left: Sequence[bytes]) -> None:
    there = box.databases()
    assert all(data in there for data in left), "what was left of a damaged database is gone"
    if journey == "earlier":
        assert box.remembered(), "what only the database knew is gone"
