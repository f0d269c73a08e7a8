"""A run outside the runs of changes that gave nothing is told to the log; what gave an answer is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from keeper_house import House, Sight, ended
from keeper_repository import make
from test_keeper_bring import bring, importer
from test_keeper_check import ask
from test_keeper_prepare import Broker, lacking, needs, preparer

from greenroom.domain import documents, failures
from greenroom.domain.errors import Unreachable
from greenroom.domain.events import Event
from greenroom.domain.failures import Failure
from greenroom.domain.proof import Predicate, Receipt
from greenroom.domain.verdict import Held, Refused
from greenroom.domain.vocabulary import Tier
from greenroom.keeper.prepare import FIND, INSTALL
from greenroom.keeper.runs import Runner

pytestmark = pytest.mark.slow


def told(house: House) -> list[Failure | None]:
    """What the log was told, as the metrics read it."""
    return [failures.read(documents.load_json(documents.encode(event))) for event in house.told]


def failed(during: str, tool: str, rule: str, tier: Tier | None = Tier.WORKSPACE) -> Failure:
    """A failure; the tools here are of tier 1."""
    return Failure(during=during, tool=tool, tier=tier, rule=rule)


def crash(sight: Sight) -> Any:
    """A tool that dies."""
    return ended(139, "signal", b"Segmentation fault")


def silent(sight: Sight) -> Any:
    """A tool that ends well and leaves nothing."""
    return ended()


@pytest.mark.parametrize(
    ("check", "during"), [("codegen", "scan"), ("settings", "settings"), ("tests", ""), ("classify", "")]
)
def test_a_scan_that_crashes_is_told_with_its_receipt_and_a_check_of_a_change_is_not(
    house: House, check: str, during: str
) -> None:
    """The runs of a change are in its papers already. Each attempt is a run of its own; one that is on record is not
    made again."""
    house.walls.tool = crash
    for _ in range(2):
        assert not isinstance(house.keeper.check(ask(house, house.tool(), check=check)), Refused)
    assert told(house) == [failed(during, "toy_t1", "tool-crash")] * (2 if during else 0)
    for event in house.told:
        assert house.opened(Receipt, event.digests["receipt"], Predicate.RECEIPT).ended_by == "signal"
    assert len({event.key for event in house.told}) == len(house.told)


def test_what_a_tool_says_no_to_and_what_a_stop_ends_is_no_failure(house: House) -> None:
    """A no is an answer; a stop is a person's."""
    no = {"refused": {"rule": "not-this", "where": "here", "remedy": "another"}}
    house.walls.tool = lambda sight: sight.result(no)
    assert isinstance(house.keeper.check(ask(house, house.tool(), check="codegen")), Refused)
    house.walls.tool = lambda sight: ended(137, "stop")
    assert isinstance(house.keeper.check(ask(house, house.tool(), check="settings")), Refused)
    house.stop[0] = True
    assert isinstance(house.keeper.check(ask(house, house.tool(), check="codegen", role="other")), Refused)
    assert house.told == []


def test_a_result_that_is_missing_is_a_failure(house: House) -> None:
    """A tool that ends with 0 and leaves nothing broke its promise."""
    house.walls.tool = silent
    house.keeper.check(ask(house, house.tool(), check="codegen"))
    assert told(house) == [failed("scan", "toy_t1", "bad-result")]


def test_an_import_that_crashes_is_told_and_one_that_is_done_is_not(house: House, tmp_path: Path) -> None:
    """The person is told the rule; the log has it too."""
    importer(house)
    repository = make(tmp_path / "r", {"a": b"1"})
    assert isinstance(bring(house, repository), str)
    assert house.told == []
    house.walls.tool = crash
    assert isinstance(bring(house, repository), Refused)
    assert told(house) == [failed("import", "import_git_t1", "tool-crash")]


def test_a_preparation_tells_which_of_its_steps_failed(house: House) -> None:
    """Finding, fetching and installing each by its name; the broker runs outside the walls and has no tier."""
    tree = house.tree({"a.py": b""})
    assert isinstance(preparer(house, needs("gone"), Broker(lacking("gone"))).prepare(tree), Held)
    assert told(house) == [failed("prepare", "fetch", "no-wheel", None)]
    room = preparer(house, needs("six"), Broker())
    play = house.walls.tool
    house.walls.tool = lambda sight: play(sight) if sight.request.get("mounts") else crash(sight)
    assert isinstance(room.prepare(tree), Held)
    house.walls.tool = silent
    assert isinstance(room.prepare(tree), Held)
    assert told(house)[1:] == [failed("prepare", INSTALL, "tool-crash"), failed("prepare", FIND, "bad-result")]


def test_what_only_tests_need_and_cannot_be_had_is_told_once_a_preparation(house: House) -> None:
    """However often the broker is asked until it fits; what is remembered is not fetched, and not told, again."""
    broker = Broker(lacking("gone", "lost"))
    room = preparer(house, needs("six", optional=["gone", "lost"]), broker)
    for name in ("a.py", "b.py"):
        assert not isinstance(room.prepare(house.tree({name: b""})), Held)
    assert told(house) == [failed("prepare", "fetch", "no-wheel", None)]
    assert len(broker.asked) == 3


def test_a_fetch_that_a_stop_ends_is_no_failure(house: House) -> None:
    """The stop is in the log already."""
    room = preparer(house, needs("six"), Broker(lacking("six", rule="stopped")))
    assert isinstance(room.prepare(house.tree({"a.py": b""})), Held)
    assert house.told == []


def test_a_log_that_cannot_be_written_changes_no_answer(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked for the run is answered as without a log."""

    def gone(event: Event) -> None:
        raise Unreachable("hung-up", "no guard")

    runner: Runner = house.keeper.runner
    monkeypatch.setattr(runner, "_tell", gone)
    house.walls.tool = crash
    assert not isinstance(house.keeper.check(ask(house, house.tool(), check="codegen")), Refused)
