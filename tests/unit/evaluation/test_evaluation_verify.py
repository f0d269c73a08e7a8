"""The evaluator asks for the right runs, and concludes from what the keeper signed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import Tampered, Unusable
from greenroom.domain.outcomes import DiffClass, FileDiff, Finding, ScanResult, TestRun
from greenroom.domain.plan import Plan
from greenroom.domain.ports import CheckRun
from greenroom.domain.proof import Attestation, Predicate, Receipt, Role, RunOutput, Seal, Usage
from greenroom.domain.verdict import Instant, Refused
from greenroom.domain.vocabulary import Kind, Subject
from greenroom.evaluation.verify import EARLY, MAX_EARLY, KeeperEvaluator, Known
from greenroom.keeper.once import key_of
from greenroom.testing.store import MemoryStore

BASE, GREEN = digest_of("tree", b"base"), digest_of("tree", b"green")
GOLDEN = digest_of("golden", b"golden")
NAMES = ("classify_diff_t0", "scan_diff_t0", "compare_tests_t0", "run_tests_t1")
TOOLS = {name: digest_of("tool", name.encode()) for name in NAMES}
PLAN = Plan(
    subject=Subject(kind=Kind.WORKSPACE, address="/r#main"),
    intent="i",
    base=BASE,
    golden=GOLDEN,
    steps=(),
    blobs=(),
)


NOTHING = Known()


class PlainAttestor:
    """Envelopes as plain JSON; knows the keeper's by their role."""

    def ready(self) -> None:
        return

    def sign(self, predicate: str, about: Digest, body: bytes) -> bytes:
        plain = {"predicate": str(predicate), "about": about, "body": body.hex(), "role": "keeper"}
        return json.dumps(plain).encode()

    def open(self, envelope: bytes, predicate: str, role: Role) -> Attestation:
        plain = json.loads(envelope)
        if plain["role"] != role or plain["predicate"] != str(predicate):
            raise Tampered("wrong-signature", "no known key signed this")
        return Attestation(predicate=predicate, about=plain["about"], body=bytes.fromhex(plain["body"]), role=role)


Answer = TestRun | ScanResult | DiffClass | bytes | Refused


class ScriptedKeeper:
    """Answers each run from a script, signing receipts; remembers what it was asked."""

    def __init__(self, store: MemoryStore, answer: Callable[[CheckRun], Answer]) -> None:
        self.store = store
        self.answer = answer
        self.asked: list[CheckRun] = []
        self.builds = 0
        self.greens = [GREEN]
        self.laid: Mapping[str, Digest] | None = None

    def check(self, run: CheckRun) -> Digest | Refused:
        self.asked.append(run)
        answer = self.answer(run)
        if isinstance(answer, Refused):
            return answer
        data = answer if isinstance(answer, bytes) else documents.encode(answer)
        empty = self.store.put("text", b"")
        result = self.store.put("output", data) if data else None
        output = RunOutput(result=result, stdout=empty, stderr=empty, truncated=False)
        receipt = Receipt(
            run=f"run-{len(self.asked)}",
            check=run.check,
            role=run.role,
            mounted=dict(run.trees),
            golden=run.golden,
            tool=run.tool,
            args=self.store.put("text", documents.encode(dict(run.args))),
            layers={},
            exit=0,
            ended_by="exit",
            output=self.store.put("output", documents.encode(output)),
            usage=Usage(wall_ms=1, cpu_ms=1),
            began=Instant(len(self.asked)),
            ended=Instant(len(self.asked)),
            laid=dict(run.trees) if self.laid is None else self.laid,
        )
        return self._signed(Predicate.RECEIPT, receipt.output, documents.encode(receipt))

    def build(self, plan: Digest) -> Digest | Refused:
        self.builds += 1
        green = self.greens[min(self.builds, len(self.greens)) - 1]
        seal = Seal(
            build=f"b{self.builds}",
            plan=plan,
            base=BASE,
            golden=GOLDEN,
            green=green,
            steps=(),
            at=Instant(self.builds),
        )
        return self._signed(Predicate.SEAL, green, documents.encode(seal))

    def _signed(self, predicate: Predicate, about: Digest, body: bytes) -> Digest:
        return self.store.put("statement", PlainAttestor().sign(predicate, about, body))

    def golden(self) -> Digest:
        return GOLDEN

    def present(self, path: str, branch: str, directory: int) -> str:
        raise NotImplementedError

    def bring(self, subject: Subject, ticket: str, branch: str | None) -> Digest | Refused:
        raise NotImplementedError

    def prepare(self, tree: Digest) -> Digest:
        return GOLDEN

    def layers(self) -> Mapping[str, bool]:
        return {}


def suite_of(**outcomes: str) -> TestRun:
    return TestRun(framework="pytest", python="3.11", outcomes=outcomes, sentinel="failed")  # type: ignore[arg-type]


def by_role(**answers: Answer) -> Callable[[CheckRun], Answer]:
    return lambda run: answers[run.role.replace("-", "_")]


def house(answer: Callable[[CheckRun], Answer], known: Known = NOTHING) -> tuple[KeeperEvaluator, ScriptedKeeper]:
    store = MemoryStore()
    keeper = ScriptedKeeper(store, answer)
    evaluator = KeeperEvaluator(
        keeper=keeper,
        store=store,
        attestor=PlainAttestor(),
        tools=lambda: TOOLS,
        min_share=lambda: 50,
        known=lambda _: known,
        test_args=lambda _: {"argv": "pytest -q"},
    )
    return evaluator, keeper


def roles(keeper: ScriptedKeeper) -> list[str]:
    return [run.role for run in keeper.asked]


def test_equal_tests_pass_with_one_run_each() -> None:
    """When nothing differs, base and Green run once, Green under base's tests."""
    evaluator, keeper = house(by_role(base=suite_of(a="passed"), base_on_green=suite_of(a="passed")))
    evidence = evaluator.verify("tests", PLAN, BASE, GREEN, GOLDEN)
    assert evidence.verdict == "pass"
    assert roles(keeper) == ["base", "base-on-green"]
    base, green = keeper.asked
    assert (base.trees, base.overlay) == ({"work": BASE}, None)
    assert (green.trees, green.overlay) == ({"work": GREEN, "base": BASE}, ("base", "work"))
    assert base.args == green.args == {"argv": "pytest -q"}
    assert base.tool == TOOLS["run_tests_t1"]
    assert len(evidence.receipts) == 2


def test_the_base_run_is_shared_by_changes_of_one_base() -> None:
    """Changes of one base and golden ask for base in the same words, so that the keeper makes it once."""
    evaluator, keeper = house(by_role(base=suite_of(a="passed"), base_on_green=suite_of(a="passed")))
    evaluator.verify("tests", PLAN, BASE, GREEN, GOLDEN)
    evaluator.verify("tests", PLAN, BASE, digest_of("tree", b"other"), GOLDEN)
    evaluator.verify("tests", PLAN, BASE, GREEN, digest_of("golden", b"other"))
    base = [run for run in keeper.asked if run.role == "base"]
    green = [run for run in keeper.asked if run.role == "base-on-green"]
    assert base[0] == base[1] != base[2]
    assert len({key_of(run) for run in green}) == 3


def test_a_watch_has_runs_of_its_own() -> None:
    """Every run of the live tests is asked for with the promotion that it is for."""
    evaluator, keeper = house(by_role(base=suite_of(a="passed"), base_on_green=suite_of(a="passed")))
    occasion = digest_of("statement", b"warrant")
    evaluator.verify("live-tests", PLAN, BASE, GREEN, GOLDEN, occasion)
    assert [run.occasion for run in keeper.asked] == [occasion, occasion]


def test_a_run_without_a_result_is_inconclusive_and_asked_for_again() -> None:
    """A malformed result says nothing; the next time base is asked for anew, and the keeper counts the attempts."""
    evaluator, keeper = house(by_role(base=b"{not json", base_on_green=suite_of(a="passed")))
    assert evaluator.verify("tests", PLAN, BASE, GREEN, GOLDEN).verdict == "inconclusive"
    evaluator.verify("tests", PLAN, BASE, GREEN, GOLDEN)
    assert roles(keeper).count("base") == 2


def test_a_difference_is_run_again_and_stays_a_failure() -> None:
    """A test that fails on Green twice and passes on base twice is broken."""
    failing = suite_of(a="failed", b="passed")
    passing = suite_of(a="passed", b="passed")
    evaluator, keeper = house(
        by_role(base=passing, base_again=passing, base_on_green=failing, base_on_green_again=failing)
    )
    evidence = evaluator.verify("tests", PLAN, BASE, GREEN, GOLDEN)
    assert evidence.verdict == "fail"
    assert [finding.why for finding in evidence.findings] == ["a"]
    assert roles(keeper) == ["base", "base-on-green", "base-again", "base-on-green-again"]


def test_a_difference_that_goes_away_is_flaky() -> None:
    """A test that fails on Green once and passes the second time is flaky."""
    passing = suite_of(a="passed", b="passed")
    evaluator, _ = house(
        by_role(
            base=passing,
            base_again=passing,
            base_on_green=suite_of(a="failed", b="passed"),
            base_on_green_again=passing,
        )
    )
    assert evaluator.verify("live-tests", PLAN, BASE, GREEN, GOLDEN).verdict == "flaky"


def test_a_test_that_wavers_on_base_is_left_out() -> None:
    """What base itself passes only sometimes says nothing about Green."""
    wavering = suite_of(a="failed", b="passed")
    evaluator, _ = house(
        by_role(
            base=suite_of(a="passed", b="passed"),
            base_again=wavering,
            base_on_green=wavering,
            base_on_green_again=wavering,
        )
    )
    evidence = evaluator.verify("tests", PLAN, BASE, GREEN, GOLDEN)
    assert (evidence.verdict, [f.name for f in evidence.findings]) == ("pass", ["flaky-test"])


def test_a_test_whose_name_is_another_each_time_is_not_missed() -> None:
    """A name that base itself does not give again says nothing; a name that only Green lacks is a lost test."""
    first, second, third = suite_of(a="passed", x1="passed"), suite_of(a="passed", x2="passed"), suite_of(a="passed")
    evaluator, _ = house(by_role(base=first, base_again=second, base_on_green=third, base_on_green_again=third))
    assert evaluator.verify("tests", PLAN, BASE, GREEN, GOLDEN).verdict == "pass"
    evaluator, _ = house(by_role(base=first, base_again=first, base_on_green=third, base_on_green_again=third))
    lost = evaluator.verify("tests", PLAN, BASE, GREEN, GOLDEN)
    assert (lost.verdict, [f.name for f in lost.findings]) == ("fail", ["test-lost"])


def test_own_tests_that_pass_need_one_run() -> None:
    """Base is asked only when one of Green's own tests fails."""
    evaluator, keeper = house(by_role(own=suite_of(a="passed")))
    assert evaluator.verify("own-tests", PLAN, BASE, GREEN, GOLDEN).verdict == "pass"
    assert roles(keeper) == ["own"]


def test_own_tests_that_failed_before_are_no_fault() -> None:
    """A test of Green that fails on base too is not held against the change; one that did not is."""
    evaluator, keeper = house(
        by_role(own=suite_of(a="failed"), own_again=suite_of(a="failed"), base=suite_of(a="failed"))
    )
    assert evaluator.verify("own-tests", PLAN, BASE, GREEN, GOLDEN).verdict == "pass"
    assert roles(keeper) == ["own", "base", "own-again"]
    evaluator, _ = house(by_role(own=suite_of(a="failed"), own_again=suite_of(a="failed"), base=suite_of(a="passed")))
    assert evaluator.verify("own-tests", PLAN, BASE, GREEN, GOLDEN).verdict == "fail"


def alone(**outcomes: str) -> TestRun:
    return replace(suite_of(**outcomes), alone=True)


def test_own_tests_rest_on_the_runs_of_tests_where_they_prove_both() -> None:
    """No run is made for them: the receipts are those of base's tests on Green, and of base."""
    evaluator, keeper = house(by_role(base=suite_of(a="passed"), base_on_green=alone(a="passed")))
    tests = evaluator.verify("tests", PLAN, BASE, GREEN, GOLDEN)
    own = evaluator.verify("own-tests", PLAN, BASE, GREEN, GOLDEN, found=[tests])
    assert (own.verdict, own.receipts) == ("pass", tests.receipts)
    assert roles(keeper) == ["base", "base-on-green"]


@pytest.mark.parametrize("why", ["probes", "overlay", "failing", "another Green"])
def test_own_tests_are_run_where_another_run_does_not_prove_them(why: str) -> None:
    """Probes stood in it, base's tests changed the tree, a test failed that does not on base, or it is of another."""
    green = (
        suite_of(a="passed") if why == "probes" else alone(a="passed", **({"b": "failed"} if why == "failing" else {}))
    )
    evaluator, keeper = house(by_role(base=suite_of(a="passed"), base_on_green=green, own=suite_of(a="passed")))
    keeper.laid = {"work": digest_of("tree", b"overlaid"), "base": BASE} if why == "overlay" else None
    tests = evaluator.verify("tests", PLAN, BASE, GREEN, GOLDEN)
    if why == "another Green":
        tests = replace(tests, about=BASE)
    own = evaluator.verify("own-tests", PLAN, BASE, GREEN, GOLDEN, found=[tests])
    assert own.verdict == "pass"
    assert roles(keeper) == ["base", "base-on-green", "own"]


CHECKS = ("reseal", "classify", "scan", "loosened", "tests", "own-tests")


def test_runs_that_wait_for_nothing_begin_early() -> None:
    """Base's tests and what only reads the trees begin at once: their answers are taken, none is asked for twice."""
    begun, due = threading.Event(), threading.Event()
    asked: list[CheckRun] = []

    def answer(run: CheckRun) -> Answer:
        asked.append(run)
        if len(asked) == len(EARLY):
            begun.set()
            due.wait(10)
        return {"classify": DiffClass(files=()), "tests": suite_of(a="passed")}.get(run.check, ScanResult(findings=()))

    evaluator, _ = house(answer)
    evaluator.begin(CHECKS, PLAN, BASE, GREEN, GOLDEN)
    assert not asked
    evaluator._side_by_side = True
    evaluator.begin(CHECKS, PLAN, BASE, GREEN, GOLDEN)
    assert begun.wait(10)
    due.set()
    early = sorted(map(key_of, asked))
    assert {(run.check, run.role) for run in asked} == set(EARLY.items())
    assert all(run.trees.get("work") != GREEN for run in asked)
    del asked[:]
    for check in CHECKS[1:]:
        evaluator.verify(check, PLAN, BASE, GREEN, GOLDEN)
    assert [(run.check, run.role) for run in asked if key_of(run) in early] == []
    assert {(run.check, run.role) for run in asked} >= {("tests", "base-on-green")}
    for check in EARLY:
        evaluator.verify(check, PLAN, BASE, GREEN, GOLDEN)
    assert sorted(key_of(run) for run in asked if EARLY.get(run.check) == run.role) == early


def test_an_early_run_without_a_result_is_made_once_a_verify() -> None:
    """Base's suite that hits its wall is told by the early receipt: asking again would use up another attempt."""
    asked: list[str] = []
    told, due = threading.Event(), threading.Event()

    def answer(run: CheckRun) -> Answer:
        asked.append(run.role)
        if (run.check, run.role) == ("tests", "base"):
            told.set()
            due.wait(10)
            return b""
        return {"tests": suite_of(a="passed")}.get(run.check, ScanResult(findings=()))

    evaluator, _ = house(answer)
    evaluator._side_by_side = True
    evaluator.begin(["tests"], PLAN, BASE, GREEN, GOLDEN)
    assert told.wait(10)
    evaluator.begin(["tests"], PLAN, BASE, GREEN, GOLDEN)
    due.set()
    said = evaluator.verify("tests", PLAN, BASE, GREEN, GOLDEN)
    assert (said.verdict, len(said.receipts)) == ("inconclusive", 1)
    assert asked == ["base"]


@pytest.mark.parametrize("ended", [True, False])
def test_base_s_tests_begin_while_green_is_built_and_are_green_s_then(ended: bool) -> None:
    """Without a Green nothing else begins; its verify takes the one run over, under way or ended, without a result."""
    asked: list[tuple[str, str]] = []
    told, due = threading.Event(), threading.Event()

    def answer(run: CheckRun) -> Answer:
        asked.append((run.check, run.role))
        told.set()
        if (run.check, run.role) == ("tests", "base"):
            due.wait(10)
            return b""
        return ScanResult(findings=())

    evaluator, _ = house(answer)
    evaluator._side_by_side = True
    evaluator.begin(CHECKS, PLAN, BASE, None, GOLDEN)
    assert told.wait(10)
    if ended:
        [early] = evaluator._early.values()
        due.set()
        early.result(10)
    assert asked == [("tests", "base")]
    evaluator.begin(["tests"], PLAN, BASE, GREEN, GOLDEN)
    due.set()
    said = evaluator.verify("tests", PLAN, BASE, GREEN, GOLDEN)
    assert (said.verdict, len(said.receipts)) == ("inconclusive", 1)
    assert asked == [("tests", "base")]
    evaluator.verify("tests", PLAN, BASE, GREEN, GOLDEN)
    assert len(asked) == 2, "a later try is another attempt"


def test_early_runs_that_nobody_came_for_are_forgotten() -> None:
    """What is remembered is bounded."""
    evaluator, keeper = house(lambda run: suite_of(a="passed"))
    evaluator.verify("tests", PLAN, BASE, GREEN, GOLDEN)
    for number in range(MAX_EARLY + 3):
        evaluator._remember(digest_of("tree", b"%d" % number), keeper.asked[0], digest_of("plan", b"p"))
    assert len(evaluator._early) == MAX_EARLY


def test_an_early_run_that_is_refused_or_breaks_is_said_when_it_is_due() -> None:
    """Nothing of it is lost or told early: the run that is due meets the same answer."""
    no = Refused(rule="layer-missing", where="seccomp", remedy="see doctor")
    told = threading.Semaphore(0)

    def answer(run: CheckRun) -> Answer:
        told.release()
        if run.check == "scan":
            raise Unusable("not-stored", "gone")
        return no

    evaluator, _ = house(answer)
    evaluator._side_by_side = True
    evaluator.begin(CHECKS, PLAN, BASE, GREEN, GOLDEN)
    assert all(told.acquire(timeout=10) for _ in EARLY)
    assert evaluator.verify("tests", PLAN, BASE, GREEN, GOLDEN).facts["rule"] == "layer-missing"
    with pytest.raises(Unusable, match="not-stored"):
        evaluator.verify("scan", PLAN, BASE, GREEN, GOLDEN)


def test_diffs_are_read_from_both_trees() -> None:
    """classify, scan and loosened mount base and green; classify may say how the patch is made again."""
    found = Finding(rule="secret", path="a.py", line=1, message="m", points=50, blocks=True)
    answers: Mapping[str, Answer] = {
        "classify": DiffClass(files=(FileDiff(path="a.py", line_class="lint", added=1, removed=1, why="w"),)),
        "scan": ScanResult(findings=(found,)),
        "loosened": ScanResult(findings=()),
    }
    evaluator, keeper = house(lambda run: answers[run.check], Known(reproduce="ruff:F401"))
    verdicts = [evaluator.verify(c, PLAN, BASE, GREEN, GOLDEN).verdict for c in ("classify", "scan", "loosened")]
    assert verdicts == ["pass", "fail", "pass"]
    assert all(run.trees == {"base": BASE, "green": GREEN} for run in keeper.asked)
    assert [run.args for run in keeper.asked] == [{"reproduce": "ruff:F401"}, {}, {}]
    assert [run.tool for run in keeper.asked] == [TOOLS[n] for n in NAMES[:3]]


def test_reseal_builds_until_there_are_two_seals() -> None:
    """With the seal of simulate one more build is made; without it, two."""
    evaluator, keeper = house(by_role())
    evidence = evaluator.verify("reseal", PLAN, BASE, GREEN, GOLDEN)
    assert (evidence.verdict, keeper.builds, len(evidence.receipts)) == ("pass", 2, 2)
    first = Known(seals=evidence.receipts[:1])
    evaluator._known = lambda _: first
    assert evaluator.verify("reseal", PLAN, BASE, GREEN, GOLDEN).verdict == "pass"
    assert keeper.builds == 3


def test_reseal_fails_when_two_builds_differ() -> None:
    """The same plan must give the same tree."""
    evaluator, keeper = house(by_role())
    keeper.greens = [GREEN, digest_of("tree", b"other")]
    assert evaluator.verify("reseal", PLAN, BASE, GREEN, GOLDEN).verdict == "fail"


def test_seals_of_another_plan_do_not_count() -> None:
    """What is remembered by mistake is not taken for a build of this plan."""
    evaluator, keeper = house(by_role())
    other = keeper.build(digest_of("plan", b"other"))
    assert not isinstance(other, Refused)
    evaluator._known = lambda _: Known(seals=(other,))
    assert evaluator.verify("reseal", PLAN, BASE, GREEN, GOLDEN).verdict == "pass"
    assert keeper.builds == 3


def test_a_refused_run_is_inconclusive_and_says_why() -> None:
    """The keeper's rule, place and remedy are in the facts."""
    refused = Refused(rule="layer-missing", where="seccomp", remedy="see doctor")
    evaluator, _ = house(lambda run: refused)
    evidence = evaluator.verify("tests", PLAN, BASE, GREEN, GOLDEN)
    assert evidence.verdict == "inconclusive"
    assert evidence.facts == {"why": "layer-missing: seccomp", "rule": "layer-missing", "remedy": "see doctor"}


def test_a_forged_receipt_is_tampering() -> None:
    """A receipt that the keeper did not sign raises."""
    evaluator, keeper = house(by_role(own=suite_of(a="passed")))
    envelope = keeper.check(
        CheckRun(check="own-tests", role="own", tool=TOOLS["run_tests_t1"], args={}, trees={}, golden=GOLDEN)
    )
    assert not isinstance(envelope, Refused)
    forged = json.loads(keeper.store.get(envelope)) | {"role": "owner"}
    digest = keeper.store.put("statement", json.dumps(forged).encode())
    keeper.check = lambda run: digest  # type: ignore[method-assign]
    with pytest.raises(Tampered):
        evaluator.verify("own-tests", PLAN, BASE, GREEN, GOLDEN)


def test_unknown_checks_and_tools_are_named() -> None:
    """A check without a rule, or a tool that the policy lacks, is unusable."""
    evaluator, _ = house(by_role())
    with pytest.raises(Unusable, match="unknown-check"):
        evaluator.verify("vibes", PLAN, BASE, GREEN, GOLDEN)
    evaluator._tools = dict
    with pytest.raises(Unusable, match="unknown-tool"):
        evaluator.verify("scan", PLAN, BASE, GREEN, GOLDEN)


def test_another_plan_is_another_plan() -> None:
    """The seals are of the plan that was given, by the digest of its stored bytes."""
    evaluator, keeper = house(by_role())
    evidence = evaluator.verify("reseal", replace(PLAN, intent="other"), BASE, GREEN, GOLDEN)
    seal = documents.decode(
        Seal, PlainAttestor().open(keeper.store.get(evidence.receipts[0]), Predicate.SEAL, "keeper").body
    )
    assert seal.plan == digest_of("plan", documents.encode(replace(PLAN, intent="other")))
