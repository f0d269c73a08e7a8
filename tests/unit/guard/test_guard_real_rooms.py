"""The guard among the real rooms: log on disk, git refs, files by digest, Cedar and the built-in tools."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from greenroom.audit.log import TileLog
from greenroom.audit.note import NoteSigner
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.outcomes import DiffClass, FileDiff, Marks
from greenroom.domain.verdict import Held, Passed, Refused
from greenroom.domain.vocabulary import CGROUP_LAYERS, Trust
from greenroom.domain.vocabulary import LAYERS as EVERY_LAYER
from greenroom.guard.papers import ConstitutionOrder
from greenroom.guard.room import Rules
from greenroom.policy.bundle import load_policy, save_policy
from greenroom.policy.manifests import BUILTIN, builtin_manifests, manifest_digest
from greenroom.release.refs import RefRelease
from greenroom.release.store import FileStore
from greenroom.release.trees import StoreTrees
from greenroom.testing.papers import LAYERS, SUBJECT, Killed, PaperHouse, papers, promoted

pytestmark = pytest.mark.slow

MANIFESTS = builtin_manifests({name: digest_of("blob", name.encode()) for name in BUILTIN})
WALLS = tuple(name for name in EVERY_LAYER if name not in CGROUP_LAYERS)


class RealHouse(PaperHouse):
    """A paper house whose policy is the one that ships."""

    def rules(self, digest: Digest) -> Rules:
        policy = load_policy(self.store, digest)
        return Rules(policy=policy, constitution=policy.constitution)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealHouse]:
    for wall in WALLS:
        monkeypatch.setitem(LAYERS, wall, True)
    store = FileStore(tmp_path / "store")
    logs: list[TileLog] = []

    def open_log(signer: Any) -> TileLog:
        logs.append(TileLog(tmp_path / "log", NoteSigner("greenroom.example/box", signer._private)))
        return logs[-1]

    made = RealHouse(
        tmp_path,
        adopted=False,
        store=store,
        release=lambda held: RefRelease(tmp_path / "live", held, StoreTrees(held)),
        log=open_log,
        tools={name: manifest_digest(manifest) for name, manifest in MANIFESTS.items()},
    )
    text = resources.files("greenroom.policy").joinpath("CONSTITUTION.yaml").read_bytes()
    made.first = save_policy(store, text, MANIFESTS)
    order = made.order(ConstitutionOrder, policy=made.first, previous=None)
    assert isinstance(order, Passed), order
    made.base = made.tree({"a.py": b"x = 1\n", "README": b"teh words\n"})
    adopted = made.guard.adopt(made.imported(made.base, commit="", branch="", trust=int(Trust.UNTRUSTED)))
    assert adopted == made.base
    yield made
    made.guard.close()
    logs[0].close()


def test_guard_real_rooms_take_a_change_all_the_way(house: RealHouse) -> None:
    """Promote, mark good and revert, with git commits that only go forward and a tree that is the same to the byte."""
    before = house.guard.position(SUBJECT)
    made, _ = promoted(house, trust=Trust.UNTRUSTED)
    assert house.release.rehash(SUBJECT) == made.green
    assert isinstance(house.guard.mark_good(made.change, made.live_runs()), Passed)
    after = house.guard.position(SUBJECT)
    assert isinstance(house.guard.revert(SUBJECT, made.change, "ada"), Passed)
    assert house.release.rehash(SUBJECT) == made.base
    assert len({before, after, house.guard.position(SUBJECT)}) == 3
    assert house.names()[0] == "box.created"


@pytest.mark.parametrize("point", ["promote.intended", "promote.staged", "promote.swapped", "promote.logged"])
def test_guard_real_rooms_survive_a_kill(house: RealHouse, point: str) -> None:
    """With git and the log on disk, a killed promote is the old or the new live, once."""
    made = papers(house, trust=Trust.UNTRUSTED)
    made.approve()
    warrant = house.guard.warrant(made.dossier())
    assert isinstance(warrant, str), warrant
    house.crash_at = point
    with pytest.raises(Killed):
        house.guard.promote(warrant)
    guard = house.restart()
    again = guard.warrant(made.dossier())
    assert isinstance(again, str), again
    assert isinstance(guard.promote(again), Passed)
    assert house.release.rehash(SUBJECT) == made.green
    assert house.names().count("live.promoted") == 1


def test_guard_real_rooms_refuse_missing_walls(house: RealHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receipt of a run without a wall that the constitution names gives no warrant."""
    monkeypatch.setitem(LAYERS, "seccomp", False)
    made = papers(house, trust=Trust.UNTRUSTED)
    made.approve()
    answer = house.guard.warrant(made.dossier())
    assert isinstance(answer, Refused)
    assert answer.rule == "layer-missing"


def test_guard_real_rooms_refuse_protected_paths(house: RealHouse) -> None:
    """An untrusted change of a protected path is refused by the classification that the keeper signed."""
    made = papers(house, trust=Trust.UNTRUSTED)
    diff = DiffClass(files=(FileDiff(path=".github/ci.yml", line_class="config", added=1, removed=0, why="ci"),))
    made.receipts["classify"] = made.diff_run("classify", "classify_diff_t0", diff)
    made.approve()
    answer = house.guard.warrant(made.dossier())
    assert isinstance(answer, Refused)
    assert answer.rule == "protected-path"


@pytest.mark.parametrize("marks", [Marks(base="setup.py", green=None), Marks(base=None, green="setup.py")])
def test_guard_real_rooms_refuse_greenroom_itself(house: RealHouse, marks: Marks) -> None:
    """An untrusted change of Greenroom itself gets no warrant, by the marks in the keeper's classification."""
    made = papers(house, trust=Trust.UNTRUSTED)
    file = FileDiff(path="README", line_class="docs", added=1, removed=1, why="prose")
    diff = DiffClass(files=(file,), itself=marks)
    made.receipts["classify"] = made.diff_run("classify", "classify_diff_t0", diff)
    made.approve()
    answer = house.guard.warrant(made.dossier())
    assert isinstance(answer, Refused)
    assert (answer.rule, answer.where) == ("greenroom-itself", "Greenroom itself, by setup.py")


def test_guard_real_rooms_refuse_failing_tests(house: RealHouse) -> None:
    """Tests that fail on Green give no warrant, and the refusal names the test."""
    made = papers(house, trust=Trust.UNTRUSTED)
    made.receipts["green"] = made.test_run("base-on-green", "failed")
    made.approve()
    answer = house.guard.warrant(made.dossier())
    assert isinstance(answer, Refused)
    assert "t::a" in answer.where


def test_guard_real_rooms_hold_without_a_run(house: RealHouse) -> None:
    """A check whose runs were left out is inconclusive: held, nothing emitted."""
    made = papers(house, trust=Trust.UNTRUSTED)
    del made.receipts["scan"]
    made.approve()
    answer = house.guard.warrant(made.dossier())
    assert isinstance(answer, Held)
    assert answer.rule == "inconclusive"
    assert house.guard.live(SUBJECT) == made.base
