"""Dependencies: found and installed between walls, fetched by the broker; what cannot be had is said."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from keeper_house import House, Sight, ended

from greenroom.domain import documents
from greenroom.domain.digest import Digest, parse_digest
from greenroom.domain.errors import Unusable
from greenroom.domain.proof import Predicate, Receipt
from greenroom.domain.verdict import Held
from greenroom.keeper.golden import Golden
from greenroom.keeper.prepare import FIND, INSTALL, Fetch, Preparer

pytestmark = pytest.mark.slow


def needs(*required: str, optional: Sequence[str] = (), project: str = "app", notes: Sequence[str] = ()) -> Any:
    """A result of find_requirements_t0."""
    listed = [{"text": text, "source": "project", "needed": True} for text in required]
    listed += [{"text": text, "source": "extra:test", "needed": False} for text in optional]
    named = {"name": project, "version": "1.0", "entry_points": {}} if project else None
    return {"project": named, "python": ">=3.9", "requirements": listed, "sources": {}, "notes": list(notes)}


class Broker:
    """Gives one wheel for each requirement, but for those that it does not have."""

    def __init__(self, missing: Callable[[Sequence[str]], Held | None] = lambda requirements: None) -> None:
        self.missing = missing
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, requirements: Sequence[str], into: Path) -> bytes | Held:
        self.asked.append(tuple(requirements))
        held = self.missing(requirements)
        if held is not None:
            (into / "half.whl").write_bytes(b"")
            return held
        for text in requirements:
            (into / f"{text.split('=')[0]}-1-py3-none-any.whl").write_bytes(text.encode())
        return documents.encode({"requirements": list(requirements)})


def lacking(*names: str, rule: str = "no-wheel") -> Callable[[Sequence[str]], Held | None]:
    """No wheel for the first of `names` that is asked for."""

    def answer(requirements: Sequence[str]) -> Held | None:
        found = [text for text in requirements if text in names]
        return Held(rule=rule, where=found[0], remedy="leave it out") if found else None

    return answer


def preparer(house: House, found: Any, fetch: Fetch, **installed: Any) -> Preparer:
    """A preparer whose tools are played here: the installed tree has one file for each input."""

    def play(sight: Sight) -> None:
        if sight.request.get("mounts"):
            return sight.result(found)
        site = sight.path("/out") / "site"
        site.mkdir()
        for path in sight.path("/in").iterdir():
            (site / path.name).write_bytes(path.read_bytes())
        return sight.result({"wheels": [], "project": "", **installed})

    house.walls.tool = play
    house.tool(FIND, b"find", roots=("out",))
    house.tool(INSTALL, b"install", roots=("out",))
    return Preparer(
        runner=house.keeper.runner, fetch=fetch, tools=lambda: house.names, directory=house.directory / "prepare"
    )


def _golden(answer: Digest | Held) -> Digest:
    assert not isinstance(answer, Held), answer
    return answer


def made(house: House, answer: Digest | Held) -> tuple[Golden, list[str]]:
    """The golden that was answered, and the names in its dependencies."""
    golden = house.keeper.goldens.open(_golden(answer))
    assert golden.deps is not None
    return golden, [entry.path.decode() for entry in house.trees.manifest(golden.deps).entries]


def test_everything_that_is_asked_for_joins_the_golden(house: House) -> None:
    """The installed tree and the lock are part of a golden of their own; the wheels' directory is gone."""
    broker = Broker()
    room = preparer(house, needs("six==1", optional=["mock"], notes=["tox.ini: odd"]), broker)
    golden, names = made(house, room.prepare(house.tree({"a.py": b""})))
    assert names == ["mock-1-py3-none-any.whl", "project.json", "six-1-py3-none-any.whl"]
    assert golden.lock is not None
    assert documents.load_json(house.store.get(golden.lock)) == {"requirements": ["six==1", "mock"]}
    assert golden.notes == ("tox.ini: odd",)
    assert golden.toolchain == house.keeper.goldens.open(house.keeper.golden()).toolchain
    assert [path.name for path in (house.directory / "prepare").iterdir()] == ["known"]


def test_the_tree_is_read_only_and_the_install_sees_no_tree(house: House) -> None:
    """Discovery mounts the tree read-only; the install is given wheels and nothing of the repository."""
    room = preparer(house, needs("six"), Broker())
    room.prepare(house.tree({"a.py": b""}))
    find, install = house.walls.cells
    assert [m.writable for m in find.mounts if m.target == "/mnt/base"] == [False]
    assert not any(m.target.startswith("/mnt/") for m in install.mounts)


def test_the_same_requirements_are_prepared_once(house: House) -> None:
    """Another tree with the same requirements shares all that is heavy, without another fetch, also after a restart."""
    broker = Broker()
    room = preparer(house, needs("six"), broker)
    trees = [house.tree({name: b""}) for name in ("a.py", "b.py", "c.py")]
    first, second = (made(house, room.prepare(tree))[0] for tree in trees[:2])
    third, _ = made(house, preparer(house, needs("six"), broker).prepare(trees[2]))
    assert [golden.tree for golden in (first, second, third)] == trees
    assert dataclasses.replace(second, tree=first.tree) == dataclasses.replace(third, tree=first.tree) == first
    mounts = {house.keeper.goldens.mounts(golden) for golden in (first, second, third)}
    assert len(mounts) == 1
    assert broker.asked == [("six",)]


def test_a_golden_that_the_store_lost_is_made_again(house: House) -> None:
    """What is remembered is worth nothing without its bytes: they are had again, and the answer is the same."""
    broker = Broker()
    room, tree = preparer(house, needs("six"), broker), house.tree({"a.py": b""})
    answer = room.prepare(tree)
    (known,) = (house.directory / "prepare" / "known").iterdir()
    house.store.erase(parse_digest(known.read_text()))
    assert room.prepare(tree) == answer
    assert broker.asked == [("six",), ("six",)]


def test_a_tree_that_is_prepared_twice_has_one_golden(house: House) -> None:
    """The same tree and requirements give the same document."""
    room, tree = preparer(house, needs("six"), Broker()), house.tree({"a.py": b""})
    assert room.prepare(tree) == room.prepare(tree)


def test_a_project_that_needs_nothing_has_the_plain_golden_of_its_tree(house: House) -> None:
    """Nothing is fetched or installed for a folder of files; the golden still says whose it is."""
    broker, tree = Broker(), house.tree({})
    golden = house.keeper.goldens.open(_golden(preparer(house, needs(project=""), broker).prepare(tree)))
    assert golden == dataclasses.replace(house.keeper.goldens.open(house.keeper.golden()), tree=tree)
    assert broker.asked == []


def test_a_project_without_dependencies_still_finds_its_own_metadata(house: House) -> None:
    """Its name and version are installed, with nothing fetched."""
    broker = Broker()
    golden, names = made(house, preparer(house, needs(), broker).prepare(house.tree({})))
    assert (names, broker.asked, golden.lock) == (["project.json"], [], None)


def test_the_test_runner_is_the_toolchains_own(house: House) -> None:
    """pytest is neither fetched for its own sake nor installed when something brings it along."""
    broker = Broker()
    room = preparer(house, needs("pytest", optional=["pytest==7", "mock"]), broker)
    golden, names = made(house, room.prepare(house.tree({})))
    assert broker.asked == [("pytest", "mock")]
    assert names == ["mock-1-py3-none-any.whl", "project.json"]
    assert golden.notes == ("asks for pytest==7; tests run with pytest",)


def test_what_the_project_needs_must_be_had(house: House) -> None:
    """Without a wheel for a needed requirement the answer is held with its name and a remedy; it is tried again."""
    broker = Broker(lacking("lxml"))
    room = preparer(house, needs("lxml", "six"), broker)
    held = room.prepare(house.tree({}))
    assert held == Held(rule="no-wheel", where="lxml", remedy="leave it out")
    assert room.prepare(house.tree({})) == held
    assert len(broker.asked) > 2


def test_what_only_tests_need_is_left_out_with_a_note(house: House) -> None:
    """The golden says what is missing and why, for the card."""
    broker = Broker(lacking("odd", "rare"))
    room = preparer(house, needs("six", optional=["odd", "mock", "rare"]), broker)
    golden, names = made(house, room.prepare(house.tree({})))
    assert names == ["mock-1-py3-none-any.whl", "project.json", "six-1-py3-none-any.whl"]
    assert golden.notes == (
        "without odd (extra:test): no-wheel odd",
        "without rare (extra:test): no-wheel rare",
    )


def test_what_no_tree_may_hold_is_left_out_with_a_note(house: House) -> None:
    """The card names what of a dependency is not there; the same wheels give the same golden."""
    left_out = {"left_out": ["lib/static/.git", "x" * 400], "left_out_more": 3}
    tree = house.tree({})
    answers = [preparer(house, needs("six"), Broker(), **left_out).prepare(tree)]
    (known,) = (house.directory / "prepare" / "known").iterdir()
    known.unlink()
    answers.append(preparer(house, needs("six"), Broker(), **left_out).prepare(tree))
    assert answers[0] == answers[1]
    named, long, more = made(house, answers[0])[0].notes
    assert named == "without lib/static/.git of a dependency: a tree may not hold a .git"
    assert (len(long), more) == (300, "without 3 more such entries of dependencies")


@pytest.mark.parametrize("wrong", [{"left_out": "x"}, {"left_out_more": "3"}, {"wheels": None}, {"odd": 1}])
def test_a_malformed_word_of_the_install_is_held(house: House, wrong: Any) -> None:
    """What the install says of hostile wheels is read strictly."""
    held = preparer(house, needs("six"), Broker(), **wrong).prepare(house.tree({}))
    assert isinstance(held, Held)
    assert held.rule == "bad-result"


def test_a_culprit_that_is_not_named_is_found_one_by_one(house: House) -> None:
    """When pip names something deeper, each optional requirement is tried with what is there."""

    def deep(requirements: Sequence[str]) -> Held | None:
        return Held(rule="no-wheel", where="deeper", remedy="r") if "odd" in requirements else None

    room = preparer(house, needs("six", optional=["odd", "mock"]), Broker(deep))
    golden, names = made(house, room.prepare(house.tree({})))
    assert names == ["mock-1-py3-none-any.whl", "project.json", "six-1-py3-none-any.whl"]
    assert golden.notes == ("without odd (extra:test): no-wheel deeper",)


def test_without_a_network_tests_go_on_and_nothing_is_remembered(house: House) -> None:
    """An index that does not answer today may answer tomorrow."""
    broker = Broker(lambda requirements: Held(rule="index-unreachable", where="", remedy="r"))
    room = preparer(house, needs(optional=["mock"]), broker)
    golden, _ = made(house, room.prepare(house.tree({})))
    assert golden.notes == ("without mock: the package index cannot be reached",)
    broker.missing = lambda requirements: None
    assert made(house, room.prepare(house.tree({})))[0].notes == ()
    needed = preparer(house, needs("six"), Broker(lacking("six", rule="index-unreachable")))
    held = needed.prepare(house.tree({}))
    assert isinstance(held, Held)
    assert held.rule == "index-unreachable"


@pytest.mark.parametrize("result", [{}, {"requirements": "six"}, [], needs() | {"more": 1}])
def test_a_malformed_discovery_is_held(house: House, result: Any) -> None:
    """What the tool makes of hostile files is read strictly."""
    held = preparer(house, result, Broker()).prepare(house.tree({}))
    assert isinstance(held, Held)
    assert held.rule == "bad-result"


def test_a_crash_of_a_tool_is_held(house: House) -> None:
    """A tool that breaks down leaves no golden."""
    room = preparer(house, needs("six"), Broker())
    house.walls.tool = lambda sight: ended(1)
    held = room.prepare(house.tree({}))
    assert isinstance(held, Held)
    assert held.rule == "tool-crash"


def test_a_stop_holds(house: House) -> None:
    """Nothing is discovered, fetched or installed while the box is stopped."""
    broker = Broker()
    room = preparer(house, needs("six"), broker)
    house.stop[0] = True
    held = room.prepare(house.tree({}))
    assert isinstance(held, Held)
    assert (held.rule, broker.asked, house.walls.cells) == ("stopped", [], [])


def test_a_policy_without_the_tools_is_unusable(house: House) -> None:
    """The tools come from the signed policy."""
    room = preparer(house, needs("six"), Broker())
    house.names.clear()
    with pytest.raises(Unusable, match="unknown-tool"):
        room.prepare(house.tree({}))


def test_both_runs_are_receipted_as_prepare(house: House) -> None:
    """Discovery and install are signed like every other run, under a check of their own."""
    signed: list[Receipt] = []
    sign = house.attestor.sign

    def remember(predicate: str, about: Digest, body: bytes) -> bytes:
        if predicate == Predicate.RECEIPT:
            signed.append(documents.decode(Receipt, body))
        return sign(predicate, about, body)

    house.attestor.sign = remember  # type: ignore[method-assign]
    preparer(house, needs("six"), Broker()).prepare(house.tree({}))
    assert [(r.check, r.role) for r in signed] == [("prepare", "find"), ("prepare", "install")]


def test_what_a_killed_keeper_left_is_cleared(house: House) -> None:
    """Half fetched wheels and a half written note are gone at the next start; what is remembered stays."""
    broker, tree = Broker(), house.tree({"a.py": b""})
    preparer(house, needs("six"), broker).prepare(tree)
    folder = house.directory / "prepare"
    (folder / "wheels-x" / "tmp").mkdir(parents=True)
    (folder / "wheels-x" / "tmp" / "half.whl").write_bytes(b"half")
    (folder / "0.part").write_text("gold")
    preparer(house, needs("six"), broker).prepare(tree)
    assert [path.name for path in folder.iterdir()] == ["known"]
    assert broker.asked == [("six",)]


def test_what_a_fetch_leaves_goes_however_deep_it_lies(house: House) -> None:
    """The fetch that failed leaves the way free for the one without what it lacked."""

    class Digs(Broker):
        def __call__(self, requirements: Sequence[str], into: Path) -> bytes | Held:
            if not self.asked:
                dig(into)
            return super().__call__(requirements, into)

    def dig(place: Path) -> None:
        before = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.chdir(place)
            for _ in range(sys.getrecursionlimit() + 200):
                os.mkdir("d", mode=0o700)
                os.chdir("d")
        finally:
            os.fchdir(before)
            os.close(before)

    left = house.directory / "prepare" / "wheels-left"
    left.mkdir(parents=True)
    dig(left)
    held = preparer(house, needs("gone"), Digs(lacking("gone"))).prepare(house.tree({"a.py": b""}))
    assert isinstance(held, Held)
    assert held.rule == "no-wheel"
    assert [path.name for path in (house.directory / "prepare").iterdir()] == ["known"]


@pytest.mark.parametrize("left", ["", "golden:", "\xff", f"golden:{'0' * 64}"])
def test_what_is_half_remembered_is_made_again(house: House, left: str) -> None:
    """A note that a crash emptied, or of a golden that is not there, is no reason to stand still for ever."""
    broker, tree = Broker(), house.tree({"a.py": b""})
    first = preparer(house, needs("six"), broker).prepare(tree)
    (known,) = (house.directory / "prepare" / "known").iterdir()
    known.write_text(left, encoding="latin-1")
    assert preparer(house, needs("six"), broker).prepare(tree) == first
    assert broker.asked == [("six",)] * 2


@pytest.mark.parametrize(
    "point", ["prepare.found", "prepare.fetched", "prepare.installed", "prepare.registered", "prepare.remembered"]
)
def test_a_keeper_killed_in_prepare_goes_on(house: House, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at any named point, the next keeper gives the golden that this one would have given."""
    broker, tree = Broker(), house.tree({"a.py": b""})

    class Killed(BaseException):
        pass

    def at(passed: str) -> None:
        if passed == point:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(house.keeper.runner, "crash_point", at)
        killed = preparer(house, needs("six"), broker)
        with pytest.raises(Killed):
            killed.prepare(tree)
    golden, names = made(house, preparer(house, needs("six"), broker).prepare(tree))
    assert (golden.tree, names) == (tree, ["project.json", "six-1-py3-none-any.whl"])
    assert [path.name for path in (house.directory / "prepare").iterdir()] == ["known"]
