"""A check run is made once for what determines it; attempts that gave no answer are counted, each before it runs."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from keeper_house import House, Sight, Tool, ended, make_house, rule

from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import Bug, Tampered, Unreachable, Unusable
from greenroom.domain.ports import CheckRun
from greenroom.domain.proof import Predicate, Receipt
from greenroom.domain.verdict import Instant, Refused
from greenroom.keeper import attempts, once, results
from greenroom.keeper.attempts import KEPT_NS, Attempts
from greenroom.keeper.once import MAX_BAD, MAX_UNFINISHED, Once, key_of

pytestmark = pytest.mark.slow

TESTS = {"framework": "pytest", "python": "3.11", "outcomes": {"t::a": "passed"}, "sentinel": "failed", "notes": []}
ARGS = {"argv": rule(required=False), "only": rule(required=False)}


class Killed(BaseException):
    """The keeper is gone at this point."""


def ask(house: House, **more: Any) -> CheckRun:
    """A run of tests on one tree."""
    values: dict[str, Any] = {
        "check": "tests",
        "role": "base",
        "tool": house.tool(args=ARGS),
        "args": {},
        "trees": {"work": house.tree({"a.py": b"x = 1\n"})},
        "golden": house.keeper.golden(),
    }
    return CheckRun(**values | more)


def receipt_of(house: House, answer: Digest | Refused) -> Receipt:
    """The receipt of an answer that is one."""
    found = house.opened(Receipt, answer, Predicate.RECEIPT)
    assert isinstance(found, Receipt)
    return found


def flaky(*outcomes: str) -> Tool:
    """A suite of one test that comes out so, run by run, then so on from the start."""
    turn = itertools.cycle(outcomes)
    return lambda sight: sight.result(TESTS | {"outcomes": {"t::a": next(turn)}})


def again(house: House) -> Once:
    """A keeper's memory after a restart: the same directory, nothing else."""
    return Once(house.keeper.runner, Attempts(house.directory / "keeper" / "attempts.db"))


def rule_of(answer: object) -> str:
    """The rule of a refusal."""
    assert isinstance(answer, Refused), answer
    assert answer.where
    assert answer.remedy
    return answer.rule


def test_asked_again_a_run_is_the_receipt_of_the_first(house: House) -> None:
    """A flaky check that failed stays failed, however often it is asked for, also after a restart."""
    house.walls.tool = flaky("failed", "passed")
    run = ask(house)
    answers = {house.keeper.check(run) for _ in range(5)} | {again(house).check(run)}
    assert len(answers) == 1
    assert len(house.walls.cells) == 1
    assert receipt_of(house, answers.pop()).attempt == 1


OTHERS: dict[str, Callable[[House], dict[str, Any]]] = {
    "check": lambda house: {"check": "own-tests"},
    "role": lambda house: {"role": "base-again"},
    "tool": lambda house: {"tool": house.tool(args=ARGS, per_minute=7)},
    "args": lambda house: {"args": {"argv": "pytest"}},
    "trees": lambda house: {"trees": {"work": house.tree({"a.py": b"x = 2\n"})}},
    "mount": lambda house: {"trees": {"base": house.tree({"a.py": b"x = 1\n"})}},
    "golden": lambda house: {"golden": house.keeper.goldens.of_tree(house.keeper.golden(), house.tree({}))},
    "occasion": lambda house: {"occasion": digest_of("statement", b"warrant")},
}


@pytest.mark.parametrize("member", sorted(OTHERS))
def test_what_determines_a_run_makes_it_another(house: House, member: str) -> None:
    """Each member of what is asked for counts."""
    house.walls.tool = lambda sight: sight.result(TESTS)
    run = ask(house)
    other = dataclasses.replace(run, **OTHERS[member](house))
    assert house.keeper.check(run) != house.keeper.check(other)
    assert len(house.walls.cells) == 2


def test_every_member_of_a_run_is_in_its_key(house: House) -> None:
    """A member that is added to the request later cannot be left out by mistake."""
    run = ask(house, trees={"work": house.tree({"a": b""}), "base": house.tree({"b": b""})})
    bent: dict[str, Any] = {
        "check": "x",
        "role": "x",
        "tool": digest_of("tool", b"x"),
        "args": {"argv": "x"},
        "trees": {},
        "golden": digest_of("golden", b"x"),
        "overlay": ("base", "work"),
        "occasion": digest_of("statement", b"x"),
        "suite": digest_of("statement", b"y"),
    }
    assert set(bent) == {field.name for field in dataclasses.fields(CheckRun)}
    keys = {key_of(dataclasses.replace(run, **{name: value})) for name, value in bent.items()}
    assert len(keys | {key_of(run)}) == len(bent) + 1


def test_an_empty_argument_is_no_second_draw(house: House) -> None:
    """To say nothing, and to say that an argument is empty, is the same run."""
    house.walls.tool = flaky("failed", "passed")
    run = ask(house)
    assert house.keeper.check(dataclasses.replace(run, args={"argv": ""})) == house.keeper.check(run)


def test_a_run_of_an_occasion_says_so(house: House) -> None:
    """The receipt names the promotion that the run was made for."""
    house.walls.tool = lambda sight: sight.result(TESTS)
    occasion = digest_of("statement", b"warrant")
    assert receipt_of(house, house.keeper.check(ask(house, occasion=occasion))).occasion == occasion
    assert receipt_of(house, house.keeper.check(ask(house))).occasion is None


def test_two_who_ask_at_the_same_time_get_one_run(house: House) -> None:
    """The second waits for the first, and both have its receipt."""
    inside, go = threading.Event(), threading.Event()

    def tool(sight: Sight) -> None:
        inside.set()
        assert go.wait(5)
        sight.result(TESTS)

    house.walls.tool = tool
    run, answers = ask(house), list[Any]()
    threads = [threading.Thread(target=lambda: answers.append(house.keeper.check(run))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert inside.wait(5)
    go.set()
    for thread in threads:
        thread.join(5)
    assert len(answers) == 4
    assert len(set(answers)) == 1
    assert len(house.walls.cells) == 1


def test_a_stop_wakes_who_waits_for_a_run(house: House) -> None:
    """The one that runs is cut, the one that waits is refused; both say why."""
    inside = threading.Event()

    def tool(sight: Sight) -> object:
        inside.set()
        while not sight.cancelled():
            threading.Event().wait(0.01)
        return ended(137, "stop")

    house.walls.tool = tool
    run, answers = ask(house), list[Any]()
    threads = [threading.Thread(target=lambda: answers.append(house.keeper.check(run))) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert inside.wait(5)
    house.stop[0] = True
    for thread in threads:
        thread.join(5)
    assert [rule_of(answer) for answer in answers] == ["stopped", "stopped"]
    assert len(house.walls.cells) == 1


ENDS: dict[str, Tool] = {
    **{
        how: lambda sight, how=how: ended(137, how)
        for how in ("signal", "wall", "memory", "output", "disk", "processes")
    },
    "crash": lambda sight: ended(1),
    "no-result": lambda sight: None,
    "not-json": lambda sight: (sight.path("/out") / "result.json").write_bytes(b"{") and None,
    "another-document": lambda sight: sight.result({"all": "fine"}),
}


@pytest.mark.parametrize("end", sorted(ENDS))
def test_what_gave_no_answer_is_tried_again_and_counted(house: House, end: str) -> None:
    """The receipt says which attempt it is; an answer, once there, stays."""
    house.walls.tool = ENDS[end]
    run = ask(house)
    house.keeper.check(run)
    house.walls.tool = flaky("failed", "passed")
    first = house.keeper.check(run)
    assert receipt_of(house, first).attempt == 2
    assert house.keeper.check(run) == first


@pytest.mark.parametrize("end", sorted(ENDS))
def test_after_three_attempts_without_an_answer_none_is_made(house: House, end: str) -> None:
    """The refusal has a rule and a way on, also after a restart; nothing runs."""
    house.walls.tool = ENDS[end]
    run = ask(house)
    for _ in range(MAX_BAD):
        house.keeper.check(run)
    house.walls.tool = lambda sight: sight.result(TESTS)
    assert rule_of(house.keeper.check(run)) == "runs-exhausted"
    assert rule_of(again(house).check(run)) == "runs-exhausted"
    assert len(house.walls.cells) == MAX_BAD


def test_a_tool_that_said_no_says_it_again(house: House) -> None:
    """A reasoned no is an answer: the same, without another run."""
    house.walls.tool = lambda sight: sight.result({"refused": {"rule": "r", "where": "w", "remedy": "m"}})
    run = ask(house)
    assert [house.keeper.check(run) for _ in range(3)] == [Refused(rule="r", where="w", remedy="m")] * 3
    assert len(house.walls.cells) == 1


@pytest.mark.parametrize("point", ["run.laid-out", "run.ended", "run.signed"])
def test_a_keeper_that_is_killed_gives_no_draw_for_free(house: House, point: str) -> None:
    """The attempt is on record before it runs; one that was signed is the answer, though nobody saw it."""

    def kill(name: str) -> None:
        if name == point:
            raise Killed(name)

    house.walls.tool = flaky("failed", "passed")
    run = ask(house)
    house.keeper.runner.crash_point = kill
    with pytest.raises(Killed):
        house.keeper.check(run)
    house.keeper.runner.crash_point = lambda name: None
    signed = point == "run.signed"
    assert receipt_of(house, again(house).check(run)).attempt == (1 if signed else 2)
    assert len(house.walls.cells) == (1 if signed or point == "run.laid-out" else 2)


def test_accidents_have_a_bound_of_their_own(house: House) -> None:
    """A stop or a crash does not use up the attempts of a run soon, and is no endless supply of draws."""
    run = ask(house)
    house.walls.tool = lambda sight: ended(137, "stop")
    for _ in range(MAX_UNFINISHED - 1):
        assert rule_of(house.keeper.check(run)) == "stopped"
    house.walls.tool = lambda sight: ended(137, "wall")
    assert receipt_of(house, house.keeper.check(run)).attempt == MAX_UNFINISHED
    house.walls.tool = lambda sight: ended(137, "stop")
    assert rule_of(house.keeper.check(run)) == "stopped"
    assert rule_of(house.keeper.check(run)) == "runs-exhausted"


def test_what_never_ran_is_no_attempt(house: House) -> None:
    """Where the sandbox refuses, nothing was drawn."""
    run = ask(house)
    house.walls.tool = lambda sight: Refused(rule="cgroup-failed", where="w", remedy="m")
    for _ in range(MAX_UNFINISHED + 1):
        assert rule_of(house.keeper.check(run)) == "cgroup-failed"
    house.walls.tool = lambda sight: sight.result(TESTS)
    assert receipt_of(house, house.keeper.check(run)).attempt == 1


PAPERS = ["envelope", "output", "result", "artifact", "stdout", "request"]


def numbered(house: House) -> Tool:
    """A suite whose papers are others each time."""

    def tool(sight: Sight) -> None:
        sight.result(TESTS | {"notes": [str(len(house.walls.cells))]})
        sight.artifact("a.txt", str(len(house.walls.cells)).encode())

    return tool


def paper_of(house: House, answer: Digest | Refused, name: str) -> Digest:
    """The digest of one of the papers that a run left."""
    receipt = receipt_of(house, answer)
    output = house.opened_output(receipt)
    names: dict[str, Any] = {
        "envelope": answer,
        "output": receipt.output,
        "result": output.result,
        "artifact": output.artifacts["a.txt"],
        "stdout": output.stdout,
        "request": receipt.args,
    }
    return Digest(names[name])


@pytest.mark.parametrize("lost", [name for name in PAPERS if name != "stdout"])
@pytest.mark.parametrize("how", ["erased", "spoiled"])
def test_papers_that_are_gone_are_put_back(house: House, lost: str, how: str) -> None:
    """Whoever erases or spoils what a run left gets the same papers again, also after a restart, and no other draw."""
    house.walls.tool = numbered(house)
    run = ask(house)
    answer = house.keeper.check(run)
    paper = paper_of(house, answer, lost)
    before = house.store.get(paper)
    for keeper in (house.keeper, again(house), house.keeper, again(house)):
        if how == "erased":
            house.store.erase(paper)
        else:
            house.store.spoil(paper, b"other bytes")
        assert keeper.check(run) == answer
        assert house.store.get(paper) == before
    assert len(house.walls.cells) == 1


def test_what_a_tool_printed_is_no_draw_either(house: House) -> None:
    """The answer stands without it; it comes back when anything else has to."""
    house.walls.tool = numbered(house)
    run = ask(house)
    answer = house.keeper.check(run)
    printed = paper_of(house, answer, "stdout")
    house.store.erase(printed)
    assert house.keeper.check(run) == answer
    house.store.erase(Digest(str(answer)))
    assert house.keeper.check(run) == answer
    assert house.store.get(printed)
    assert len(house.walls.cells) == 1


@pytest.mark.parametrize("lost", [name for name in PAPERS if name != "stdout"])
@pytest.mark.parametrize("bound", ["MAX_KEPT_BYTES", "MAX_COPY_BYTES"])
def test_without_a_copy_what_is_gone_is_a_counted_attempt(
    house: House, monkeypatch: pytest.MonkeyPatch, lost: str, bound: str
) -> None:
    """Where there is no room for copies, erasing gives a further attempt, and no more than the bound of them."""
    monkeypatch.setattr(attempts if bound == "MAX_KEPT_BYTES" else once, bound, 0)
    house.walls.tool = numbered(house)
    run = ask(house)
    for number in range(1, MAX_BAD + 1):
        answer = house.keeper.check(run)
        assert receipt_of(house, answer).attempt == number
        assert house.keeper.check(run) == answer
        house.store.erase(paper_of(house, answer, lost))
    assert rule_of(house.keeper.check(run)) == "runs-exhausted"


def failing(house: House, monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    """The shared store takes nothing of that kind, as when somebody renamed its directory."""
    put = house.store.put

    def broken(kind: str, data: bytes) -> Digest:
        if kind == prefix:
            raise OSError("the directory is not there")
        return put(kind, data)

    monkeypatch.setattr(house.store, "put", broken)


@pytest.mark.parametrize("prefix", ["output", "text", "blob", "statement"])
def test_a_store_that_takes_nothing_gives_no_second_draw(
    house: House, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    """How it ended is on record before anything of it is in the store; the next who asks gets that answer."""
    house.walls.tool = numbered(house)
    run = ask(house)
    with monkeypatch.context() as patch:
        failing(house, patch, prefix)
        for _ in range(MAX_UNFINISHED + 1):
            with contextlib.suppress(OSError):
                house.keeper.check(run)
    receipt = receipt_of(house, house.keeper.check(run))
    assert receipt.attempt == 1
    assert len(house.walls.cells) == 1


def test_nothing_of_a_run_is_in_the_store_before_its_end_is_on_record(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever watches the store learns nothing of a draw that could still be denied."""
    path = house.directory / "keeper" / "attempts.db"
    put, seen = house.store.put, set[str]()

    def watched(kind: str, data: bytes) -> Digest:
        if kind in ("output", "text", "statement"):
            with contextlib.closing(sqlite3.connect(path)) as other:
                seen.update(state for (state,) in other.execute("SELECT state FROM attempts"))
        return put(kind, data)

    run = ask(house)
    house.walls.tool = numbered(house)
    monkeypatch.setattr(house.store, "put", watched)
    house.keeper.check(run)
    assert seen == {"concluded"}


def test_an_end_without_a_receipt_is_a_bad_one(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ended and of which no receipt could be made was drawn: three of them are the bound, not ten."""

    def broken(out: Path) -> results.Left:
        raise OSError("unreadable")

    house.walls.tool = numbered(house)
    run = ask(house)
    monkeypatch.setattr(results, "read", broken)
    for _ in range(MAX_BAD):
        with pytest.raises(OSError, match="unreadable"):
            house.keeper.check(run)
    assert rule_of(house.keeper.check(run)) == "runs-exhausted"


@pytest.mark.parametrize(
    "trouble",
    [
        OSError("no key"),
        Unreachable("hung-up", "no answer"),
        Unusable("log-unwritable", "the disk is full"),
        Tampered("key-unknown", "another key"),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
def test_a_receipt_that_cannot_be_signed_is_an_accident(
    house: House, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    """A key that cannot sign says nothing about the run: the bound is that of accidents, and there is one."""

    def broken(predicate: str, about: Digest, body: bytes) -> bytes:
        raise trouble

    house.walls.tool = numbered(house)
    run = ask(house)
    with monkeypatch.context() as patch:
        patch.setattr(house.attestor, "sign", broken)
        for _ in range(MAX_UNFINISHED - 1):
            with pytest.raises(type(trouble)):
                house.keeper.check(run)
    assert receipt_of(house, house.keeper.check(run)).attempt == MAX_UNFINISHED
    other = ask(house, role="base-again")
    monkeypatch.setattr(house.attestor, "sign", broken)
    for _ in range(MAX_UNFINISHED):
        with pytest.raises(type(trouble)):
            house.keeper.check(other)
    assert rule_of(house.keeper.check(other)) == "runs-exhausted"


@pytest.mark.parametrize(
    ("trouble", "raised"),
    [
        (Unreachable("hung-up", "no answer"), Unreachable),
        (Unusable("log-unwritable", "the disk is full"), Unreachable),
        (OSError(28, "No space left on device", "keeper/epoch.next"), Unreachable),
        (OSError(5, "Input/output error"), OSError),
        (Tampered("key-unknown", "another key"), Tampered),
        (Bug("no-signing-key", "none"), Bug),
    ],
)
def test_nothing_runs_whose_receipt_nobody_could_sign(
    house: House, monkeypatch: pytest.MonkeyPatch, trouble: Exception, raised: type[Exception]
) -> None:
    """What the guard can get over is waited for; no attempt and no use of the tool is counted meanwhile."""

    def unready() -> None:
        raise trouble

    house.walls.tool = numbered(house)
    run = ask(house, tool=house.tool(args=ARGS, per_minute=1))
    with monkeypatch.context() as patch:
        patch.setattr(house.attestor, "ready", unready)
        for _ in range(MAX_UNFINISHED + 1):
            with pytest.raises(raised) as caught:
                house.keeper.check(run)
            assert type(caught.value) is raised
    assert house.walls.cells == []
    assert receipt_of(house, house.keeper.check(run)).attempt == 1


def test_withdrawn_attempts_take_no_room(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What never ran does not fill the record."""
    monkeypatch.setattr(attempts, "MAX_ATTEMPTS", 3)
    house.walls.tool = lambda sight: Refused(rule="wall-failed", where="w", remedy="m")
    for _ in range(5):
        assert rule_of(house.keeper.check(ask(house))) == "wall-failed"
    house.walls.tool = lambda sight: sight.result(TESTS)
    assert receipt_of(house, house.keeper.check(ask(house))).attempt == 1


def test_a_record_that_was_deleted_is_an_empty_one(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way out of a full record: with the keeper down its file is deleted, and runs are made again."""
    monkeypatch.setattr(attempts, "MAX_ATTEMPTS", 1)
    house.walls.tool = lambda sight: sight.result(TESTS)
    house.keeper.check(ask(house))
    full = house.keeper.check(ask(house, role="base-again"))
    assert isinstance(full, Refused)
    assert (full.rule, "greenroom down" in full.remedy, "attempts.db" in full.remedy) == ("runs-full", True, True)
    house.keeper.close()
    for path in (house.directory / "keeper").glob("attempts.db*"):
        path.unlink()
    fresh = make_house(tmp_path)
    fresh.walls.tool = lambda sight: sight.result(TESTS)
    assert receipt_of(fresh, fresh.keeper.check(ask(fresh, role="base-again"))).attempt == 1
    fresh.keeper.close()


def test_a_run_is_forgotten_after_its_time_and_not_before(house: House) -> None:
    """What was concluded or used up stays so for 90 days after the last attempt."""
    used, done = ask(house), ask(house, role="base-again")
    house.walls.tool = lambda sight: ended(137, "wall")
    for _ in range(MAX_BAD):
        house.keeper.check(used)
    house.walls.tool = lambda sight: sight.result(TESTS)
    first = house.keeper.check(done)
    clock: Any = house.keeper.runner.clock
    clock.advance(KEPT_NS / 1e9 - 60)
    assert rule_of(again(house).check(used)) == "runs-exhausted"
    assert again(house).check(done) == first
    clock.advance(120)
    assert receipt_of(house, again(house).check(used)).attempt == 1
    assert again(house).check(done) != first


def test_a_record_that_is_full_makes_no_run(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is forgotten early: that would be a way to a second draw. What has an answer still has it."""
    monkeypatch.setattr(attempts, "MAX_ATTEMPTS", 2)
    house.walls.tool = lambda sight: sight.result(TESTS)
    first = house.keeper.check(ask(house))
    house.keeper.check(ask(house, role="base-again"))
    assert rule_of(house.keeper.check(ask(house, role="own"))) == "runs-full"
    assert rule_of(again(house).check(ask(house, role="own"))) == "runs-full"
    assert house.keeper.check(ask(house)) == first


def test_a_spoiled_record_is_named(tmp_path: Path) -> None:
    """The keeper does not go on as if nothing had been tried."""
    (tmp_path / "attempts.db").write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(Unusable) as raised:
        Attempts(tmp_path / "attempts.db")
    assert raised.value.reference == "attempts-unreadable"
    assert raised.value.remedy


def test_the_record_is_on_the_disk_before_the_run(house: House) -> None:
    """Another reader of the file sees the attempt while it runs, and its end afterwards."""
    path = house.directory / "keeper" / "attempts.db"
    seen: list[Any] = []

    def rows() -> list[Any]:
        with sqlite3.connect(path) as other:
            return other.execute("SELECT number, state FROM attempts").fetchall()

    def tool(sight: Sight) -> None:
        seen.append(rows())
        sight.result(TESTS)

    house.walls.tool = tool
    house.keeper.check(ask(house))
    assert [*seen, rows()] == [[(1, "begun")], [(1, "concluded")]]


def test_numbers_go_on_after_a_withdrawal(tmp_path: Path) -> None:
    """Two attempts of one run never have one number on record."""
    record = Attempts(tmp_path / "attempts.db")
    at = Instant(1)
    assert [record.begin("a", at), record.begin("a", at), record.begin("b", at)] == [1, 2, 1]
    record.withdraw("a", 2)
    assert record.begin("a", at) == 2
    assert record.tally("a", at).unfinished == 2
    record.close()
