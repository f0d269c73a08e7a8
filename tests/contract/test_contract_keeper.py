"""The Keeper port's promise about checks, on the real keeper between scripted walls and on the fake: made once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.outcomes import TestRun
from greenroom.domain.plan import ArgRule, Caps, ToolManifest
from greenroom.domain.ports import Cell, CheckRun, Outcome
from greenroom.domain.proof import Predicate, Receipt, RunOutput
from greenroom.domain.testfiles import SuiteFiles
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import Tier, Trust, Undo
from greenroom.keeper.service import KeeperService
from greenroom.release.trees import StoreTrees
from greenroom.testing.clock import ManualClock
from greenroom.testing.keeper import FakeKeeper, tree_of
from greenroom.testing.log import attestors
from greenroom.testing.store import MemoryStore
from greenroom.testing.walls import FakeWalls, ended

pytestmark = pytest.mark.slow

BODY = b"# the body of a tool\n"
CAPS = Caps(
    cpu_s=1, cpu_millicores=1000, wall_s=1, memory_bytes=1 << 20, disk_bytes=1, processes=1, output_bytes=1 << 20
)
MANIFEST = ToolManifest(
    name="run_tests_t1",
    body=digest_of("blob", BODY),
    tier=Tier.WORKSPACE,
    args={"argv": ArgRule(type="text", allow=".*", deny="", min_trust=Trust.UNTRUSTED, max_bytes=9, required=False)},
    caps=CAPS,
    roots=("work",),
    network=False,
    egress=(),
    per_minute=1000,
    cooldown_s=0,
    isolation=(),
    executes=False,
    undo=Undo.EXACT,
)
TOOL = digest_of("tool", documents.encode(MANIFEST))


def _suite(outcome: Any) -> TestRun:
    suite = SuiteFiles(others=("plugin.py",))
    return TestRun(framework="pytest", python="3.11", outcomes={"t::a": outcome}, sentinel="failed", suite=suite)


@dataclass
class Desk:
    """A keeper whose runs come out as `script` says, one after the other; None ends badly."""

    store: MemoryStore
    script: list[str | None] = field(default_factory=list)
    made: int = 0
    keeper: Any = None
    opener: Any = None

    def next(self) -> TestRun | None:
        """The result of the next run."""
        outcome = self.script[min(self.made, len(self.script) - 1)]
        self.made += 1
        return None if outcome is None else _suite(outcome)

    def play(self, cell: Cell) -> Outcome:
        """The next run as the walls see it."""
        result = self.next()
        if result is None:
            return ended(137, ended_by="wall")
        out = next(mount.source for mount in cell.mounts if mount.target == "/out")
        (Path(out) / "result.json").write_bytes(documents.encode(result))
        return ended()

    def ask(self, **more: Any) -> CheckRun:
        """A run of tests."""
        tree = tree_of(self.store, {b"a.py": b"x = 1\n"})
        golden = self.keeper.prepare(tree)
        usual: dict[str, Any] = {"check": "tests", "role": "base", "tool": TOOL, "args": {}, "trees": {"work": tree}}
        return CheckRun(**(usual | {"golden": golden} | more))

    def receipt(self, answer: Digest | Refused) -> Receipt:
        """The receipt that was answered."""
        assert not isinstance(answer, Refused), answer
        body = self.opener.open(self.store.get(answer), Predicate.RECEIPT, "keeper").body
        return documents.decode(Receipt, body)


@pytest.fixture(params=["real", "fake"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """A desk over either keeper."""
    signers = attestors()
    found = Desk(MemoryStore(), opener=signers["owner"])
    if request.param == "fake":
        found.keeper = FakeKeeper(
            store=found.store,
            attestor=signers["keeper"],
            clock=ManualClock(),
            apply=lambda plan, files: None,
            results=lambda run: found.next(),
        )
        yield found
        return
    found.keeper = KeeperService(
        directory=tmp_path / "keeper",
        walls=FakeWalls([found.play]),
        trees=StoreTrees(found.store),
        store=found.store,
        attestor=signers["keeper"],
        clock=ManualClock(),
        manifests={TOOL: (MANIFEST, BODY)}.get,
        tools=lambda: {MANIFEST.name: TOOL},
        stopped=lambda: False,
        helpers={},
        launcher=None,
        prepare=lambda runner: lambda tree: runner.goldens.of_tree(runner.goldens.current(), tree),
        distributions=("iniconfig",),
    )
    yield found
    found.keeper.close()


def test_contract_keeper_makes_a_run_once(desk: Desk) -> None:
    """Asked again, it gives the receipt of the first run, whatever another run would have shown."""
    desk.script = ["failed", "passed"]
    run = desk.ask()
    assert len({desk.keeper.check(run) for _ in range(5)}) == 1
    assert desk.made == 1
    assert desk.receipt(desk.keeper.check(run)).attempt == 1


@pytest.mark.parametrize(
    "more", [{"role": "base-again"}, {"occasion": digest_of("statement", b"w")}, {"args": {"argv": "x"}}]
)
def test_contract_keeper_makes_another_run_for_another_question(desk: Desk, more: Any) -> None:
    """A rerun, the watch of a promotion and another command are runs of their own, each made once."""
    desk.script = ["failed", "passed"]
    run = desk.ask()
    other = replace(run, **more)
    assert desk.keeper.check(run) != desk.keeper.check(other)
    assert desk.keeper.check(other) == desk.keeper.check(other)
    assert desk.made == 2
    assert desk.receipt(desk.keeper.check(other)).occasion == more.get("occasion")


def test_contract_keeper_takes_an_empty_argument_for_none(desk: Desk) -> None:
    """No second draw by saying nothing in another way."""
    desk.script = ["failed", "passed"]
    assert desk.keeper.check(desk.ask()) == desk.keeper.check(desk.ask(args={"argv": ""}))


def test_contract_keeper_counts_attempts_that_gave_no_answer(desk: Desk) -> None:
    """A run that ended badly may be tried again; the receipt says which attempt it is, and an answer stays."""
    desk.script = [None, None, "failed", "passed"]
    run = desk.ask()
    answers = [desk.keeper.check(run) for _ in range(4)]
    assert [desk.receipt(answer).attempt for answer in answers] == [1, 2, 3, 3]
    assert [desk.receipt(answer).ended_by for answer in answers] == ["wall", "wall", "exit", "exit"]


def test_contract_keeper_makes_no_fourth_attempt(desk: Desk) -> None:
    """After three bad ends it refuses, with a way on."""
    desk.script = [None, None, None, "passed"]
    run = desk.ask()
    answers = [desk.keeper.check(run) for _ in range(4)]
    assert isinstance(answers[3], Refused)
    assert answers[3].rule == "runs-exhausted"
    assert answers[3].where
    assert answers[3].remedy
    assert desk.made == 3


@pytest.mark.parametrize("lost", ["envelope", "result"])
def test_contract_keeper_puts_a_lost_receipt_back(desk: Desk, lost: str) -> None:
    """Erasing what a run left gives no second draw: the same papers are there again."""
    desk.script = ["failed", "passed"]
    run = desk.ask()
    first = desk.keeper.check(run)
    output = documents.decode(RunOutput, desk.store.get(desk.receipt(first).output))
    desk.store.erase(first if lost == "envelope" else output.result)  # type: ignore[arg-type]
    second = desk.keeper.check(run)
    assert second == first
    assert desk.receipt(second).attempt == 1
    assert output.result is not None
    assert desk.store.get(output.result)
    assert desk.made == 1


def test_contract_keeper_prepares_a_golden_for_one_tree(desk: Desk) -> None:
    """The golden's document names the tree that was asked about; the plain golden names none."""
    trees = [tree_of(desk.store, {name: b""}) for name in (b"a", b"b")]
    goldens = [desk.keeper.prepare(tree) for tree in trees]
    assert [documents.load_json(desk.store.get(golden))["tree"] for golden in goldens] == trees
    assert documents.load_json(desk.store.get(desk.keeper.golden())).get("tree") is None
    assert [desk.keeper.prepare(tree) for tree in trees] == goldens


def test_contract_keeper_says_which_trees_lay_there(desk: Desk) -> None:
    """An overlay that changes nothing leaves Green's own digest in the receipt; any other one gives another."""
    desk.script = ["passed"]
    base = tree_of(desk.store, {b"a.py": b"x = 1\n", b"tests/test_a.py": b"1\n"})
    prose = tree_of(desk.store, {b"a.py": b"x = 2\n", b"tests/test_a.py": b"1\n"})
    tests = tree_of(desk.store, {b"a.py": b"x = 2\n", b"tests/test_a.py": b"2\n"})
    first = desk.keeper.check(desk.ask(trees={"work": base}))
    assert desk.receipt(first).laid == {"work": base}
    for green, laid in ((prose, prose), (tests, prose)):
        both = {"work": green, "base": base}
        run = desk.ask(role="base-on-green", trees=both, overlay=("base", "work"), suite=first)
        receipt = desk.receipt(desk.keeper.check(run))
        assert receipt.mounted == {"work": green, "base": base}
        assert receipt.laid == {"work": laid, "base": base}


def test_contract_keeper_takes_where_tests_are_from_its_own_run_on_base(desk: Desk) -> None:
    """The suite of an overlay is the receipt of the same check on base: it tells, and any other is refused."""
    desk.script = ["passed"]
    base, green = (tree_of(desk.store, {b"a.py": b, b"plugin.py": b}) for b in (b"1", b"2"))
    golden = desk.keeper.prepare(base)
    first = desk.keeper.check(desk.ask(trees={"work": base}, golden=golden))
    both = {"work": green, "base": base}
    over = desk.ask(role="base-on-green", trees=both, golden=golden, overlay=("base", "work"), suite=first)
    receipt = desk.receipt(desk.keeper.check(over))
    assert (receipt.unproven, receipt.suite) == (("plugin.py",), first)
    other = desk.keeper.check(desk.ask(trees={"work": green}, golden=golden))
    for suite in (other, None):
        refused = desk.keeper.check(replace(over, suite=suite))
        assert isinstance(refused, Refused)
        assert refused.rule == "bad-suite"
