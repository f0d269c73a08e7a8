"""What checks found, and what follows: pure rules that the executor uses and the guard recomputes.

`conclude` turns the runs of one check into Evidence. It reads only what the keeper signed: receipts and
the stored results they name. Nothing here trusts a verdict that somebody else computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from greenroom.domain.conditions import LIMITS
from greenroom.domain.coverage import Coverage, facts_of
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.proof import Contribution, Evidence, EvidenceVerdict, Receipt, Seal
from greenroom.domain.testfiles import SuiteFiles
from greenroom.domain.verdict import Held, Passed, Refused, Verdict

AGAIN = "-again"
"""The end of a role's name when the same run is made a second time, to tell flaky from broken."""

TRIED_AGAIN_POINTS, MAX_COUNTED = 3, 5
"""What each attempt before the one that counts adds to the risk, and how many are counted."""
OWN, ON_GREEN = "own-tests", "base-on-green"
"""The check that may rest on runs of another, and the role of the run that it rests on."""
LIVE = "live-tests"
BROKEN = "broken-build"
"""The fact that names the receipts of a build which broke off, parted by spaces. They are no evidence."""
UNPROVEN, UNPROVEN_POINTS = "tests-in-change", 10
"""The finding that a changed file gives or serves base's tests and was not laid over, and what it adds to the risk."""
ITSELF_ON_BASE, ITSELF_ON_GREEN = "greenroom-on-base", "greenroom-on-green"
"""The facts of a classification that name the mark by which a tree is Greenroom itself; missing where it has none."""
_SHOWN = ("base", "base-on-green", "own", "diff")

MAX_UNPROVEN = 20
"""How many such files a card names."""
OVERLAID = ("tests", "live-tests")
"""The checks that lay base's tests over Green."""
_UNKNOWN = "the runs do not say which files base's tests come from"
_STANDS = "changed, and base's tests come from it or rest on it as it stands there"
TestOutcome = Literal["passed", "failed", "error", "skipped", "xfailed", "xpassed"]
LineClass = Literal["comment", "docs", "lint", "logic", "config", "tests", "binary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRun:
    """The result document of `run_tests_t1`. `sentinel` is what became of the test that must fail.

    `coverage` is which of the changed lines ran; None where the run had nothing to compare its tree with. `alone` is
    True where that other tree made no difference: settings, options and metadata come out of the tree itself as they
    were taken, and no probe stood in it. `bounds` names tests that failed because they wrote or printed more than the
    run may: the process of the suite says so itself, so it tells a person why they failed and never excuses them.
    `suite` is where the run found its tests beyond names; None where it cannot tell.
    """

    __test__ = False
    framework: Literal["pytest", "unittest", "none"]
    python: str
    outcomes: Mapping[str, TestOutcome]
    sentinel: Literal["failed", "passed", "missing"]
    notes: tuple[str, ...] = ()
    coverage: Coverage | None = None
    alone: bool = False
    bounds: Mapping[str, Literal["disk", "output"]] = field(default_factory=dict)
    suite: SuiteFiles | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding of a scan. `points` is its weight in the risk; `blocks` makes the check fail."""

    rule: str
    path: str
    line: int
    message: str
    points: int
    blocks: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """The result document of the scanning tools; `tools` are names and versions of what scanned."""

    findings: tuple[Finding, ...]
    tools: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDiff:
    """One changed file of a diff and the class of its most consequential line."""

    path: str
    line_class: LineClass
    added: int
    removed: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The path by which each of two trees is Greenroom itself (`domain.itself`); None where there is none."""

    base: str | None
    green: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffClass:
    """The result document of `classify_diff_t0`: what kind of change the diff between two trees is.

    `itself` is None in what earlier tools left: it was not looked for, and nothing was asked because of it.
    """

    files: tuple[FileDiff, ...]
    reproduced_by: str | None = None
    itself: Marks | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a check as the rules see it: the signed receipt, its digest, and the parsed result if any."""

    digest: Digest
    receipt: Receipt
    result: TestRun | ScanResult | DiffClass | None


RESULTS: Mapping[str, type[TestRun] | type[ScanResult] | type[DiffClass]] = {
    "tests": TestRun,
    "own-tests": TestRun,
    "live-tests": TestRun,
    "scan": ScanResult,
    "loosened": ScanResult,
    "classify": DiffClass,
}
"""The result document of each check."""


REMEDIES: Mapping[str, str] = {
    "tests": "see the runs with `greenroom show ID --runs`; mend the tests or the change and propose it again",
    "own-tests": "see the runs with `greenroom show ID --runs`; mend the tests of the change and propose it again",
    "live-tests": "the promotion was taken back; see the runs with `greenroom show ID --runs`",
    "scan": "take the finding out of the diff and propose it again",
    "loosened": "keep the tests as strict as they are on base",
    "reseal": "make the build repeatable: the same plan must give the same tree twice",
    "classify": "see the run with `greenroom show ID --runs`",
}
"""What would make each check pass."""
_FEWER = "run fewer tests at a time: `greenroom improve REPO --test-command`"
_BOUND: Mapping[str, str] = {
    LIMITS[
        "disk"
    ]: "this test wrote more than a run may; let it write less, or raise the write volume of `run_tests_t1` "
    "in the policy, and propose it again",
    LIMITS["output"]: "this test printed more than a run may; let it print less, and propose it again",
}
"""What would let a test pass that failed at a bound of its run, by the rule."""
_STUCK: Mapping[str, str] = {
    "wall": f"the run took longer than its time; find what hangs, or {_FEWER}",
    "memory": f"the run took more memory than it may; find what takes it, or {_FEWER}",
    "output": f"the run printed more than it may; make it quieter, or {_FEWER}",
    "disk": f"the run wrote more than it may, or the disk is full; free some space, or {_FEWER}",
    "processes": f"the run started more processes than it may; let it start fewer, or {_FEWER}",
    "signal": "the run was killed; see how it crashes outside the box, mend that and propose it again",
    "stop": "a stop ended the run; `greenroom lift`",
    "exit": "the run ended without a result; see that the tests run outside the box, or set how they run with "
    "`greenroom improve REPO --test-command`",
    "no-run": "nothing was run; `greenroom doctor` says what this machine lacks",
}
"""What would let a check be had that could not be had, by what ended its run."""


def lent_to_own(about: Digest, runs: Sequence[Run]) -> Sequence[Run]:
    """Those of `runs` that prove `own-tests` about the tree `about` too; none where they do not.

    They are the runs of `tests`, where base's tests laid over Green left Green as it is: the keeper's receipts say that
    each run on Green was on the very tree `about`, and their results that it ran there as if alone.
    """
    lent = [run for run in runs if run.receipt.check == "tests"]
    on_green = [run for run in lent if run.receipt.role.removesuffix(AGAIN) == ON_GREEN]
    bare = all(
        run.receipt.mounted.get("work") == run.receipt.laid.get("work") == about
        and isinstance(run.result, TestRun)
        and run.result.alone
        for run in on_green
    )
    return lent if bare and any(run.receipt.role == ON_GREEN for run in on_green) else ()


def runs_of(check: str, about: Digest, runs: Sequence[Run]) -> Sequence[Run]:
    """Those of `runs` that count for `check` about the tree `about`: its own, else for `own-tests` those lent to it."""
    own = [run for run in runs if run.receipt.check == check]
    return lent_to_own(about, runs) if check == OWN and not own else own


def conclude(check: str, about: Digest, runs: Sequence[Run], *, min_share: int = 50) -> Evidence:
    """The evidence that `runs` give for `check` about the tree `about`; `min_share` is a percentage.

    Raises Unusable `unknown-check` for a check without a rule.
    """
    rule = _RULES.get(check)
    if rule is None:
        raise Unusable("unknown-check", f"no rule for the check {check!r}")
    if check == OWN and any(run.receipt.check != OWN for run in runs) and not lent_to_own(about, runs):
        return _evidence(check, about, runs, "inconclusive", facts={"why": "a run of another check"})
    broken = [run for run in runs if run.receipt.ended_by != "exit" or run.result is None]
    if not runs or broken:
        return _evidence(check, about, runs, "inconclusive", facts=_why_broken(broken))
    roles = {run.receipt.role for run in runs}
    alone = sorted(role for role in roles if role.endswith(AGAIN) and role.removesuffix(AGAIN) not in roles)
    if alone:
        return _evidence(check, about, runs, "inconclusive", facts={"why": f"{alone[0]} without the first run"})
    return _with_attempts(rule(check, about, runs, min_share), runs)


def _with_attempts(found: Evidence, runs: Sequence[Run]) -> Evidence:
    """`found` with a contribution for each run that is not a first attempt: a person shall see it.

    They stand by role, in whatever order the runs came: card and guard must say the same. Runs that another check lent
    are told of there.
    A classification's findings are the changed files, and its tool runs nothing of the repository: it stays as it is.
    """
    if found.verdict not in ("pass", "broken-before") or found.check == "classify":
        return found
    again = tuple(
        Contribution(
            name="tried-again",
            points=TRIED_AGAIN_POINTS * min(MAX_COUNTED, run.receipt.attempt - 1),
            why=f"{run.receipt.role} is attempt {run.receipt.attempt}: those before were cut or ended without a result",
            source=run.digest,
        )
        for run in sorted(runs, key=lambda run: run.receipt.role)
        if run.receipt.attempt > 1
        and run.receipt.check == found.check
        and run.receipt.role.removesuffix(AGAIN) in _SHOWN
    )
    return replace(found, findings=(*again, *found.findings)) if again else found


def verdict_on(evidence: Sequence[Evidence]) -> Verdict:
    """What a change's evidence allows: the first that fails refuses, the first that could not be had holds.

    `broken-before` passes here: it raises the consent level, which is the policy's matter.
    """
    for item in evidence:
        if item.verdict in ("fail", "flaky"):
            found = item.findings[0] if item.findings else None
            rule = "flaky" if item.verdict == "flaky" else item.facts.get("why") or (found.name if found else "")
            where = found.why if found else item.check
            remedy = REMEDIES.get(item.check, "")
            if item.check != LIVE:
                remedy = _BOUND.get(rule, remedy)
            return Refused(rule=rule or f"{item.check}-failed", where=where, remedy=remedy)
    for item in evidence:
        if item.verdict == "inconclusive":
            why = item.facts.get("why", "no result")
            rule = "stopped" if item.facts.get("rule") == "stopped" else LIMITS.get(item.facts.get("ended-by", ""), "")
            return Held(rule=rule or "inconclusive", where=f"{item.check}: {why}", remedy=_remedy_of_cause(item))
    return Passed()


def _remedy_of_cause(item: Evidence) -> str:
    """What would let an inconclusive check be had: the keeper's word where it refused, else what the cause calls for.

    Only test suites are the person's to make smaller; for every other check their remedy would name the wrong thing.
    """
    said = item.facts.get("remedy", "")
    ended = item.facts.get("ended-by", "")
    if said or not ended:
        return said or REMEDIES.get(item.check, "")
    if item.check in ("tests", "own-tests", "live-tests"):
        return _STUCK.get(ended, REMEDIES[item.check])
    return f"the {item.check} could not read the change within its bounds; make the change smaller"


def conclude_reseal(about: Digest, plan: Digest, seals: Sequence[tuple[Digest, Seal]]) -> Evidence:
    """Two separate builds of one plan gave the same Green."""
    digests = tuple(digest for digest, _ in seals)
    builds = {seal.build for _, seal in seals if seal.plan == plan}
    verdict: EvidenceVerdict = "inconclusive"
    if len(builds) >= 2:
        verdict = "pass" if all(seal.green == about for _, seal in seals) else "fail"
    facts = {"builds": str(len(builds))}
    return Evidence(check="reseal", about=about, verdict=verdict, receipts=digests, facts=facts)


def _tests(check: str, about: Digest, runs: Sequence[Run], min_share: int) -> Evidence:
    base, green = _with_reruns(runs, "base"), _with_reruns(runs, "base-on-green")
    if not base or not green:
        return _evidence(
            check, about, runs, "inconclusive", facts={"why": "a run of base or green is missing", "ended-by": "no-run"}
        )
    if base[0].framework == "none":
        return _evidence(check, about, runs, "broken-before", facts={"why": "no-runnable-tests", "ran": "0"})
    if green[0].framework == "none":
        found = Contribution(name="test-lost", points=100, why="no test of base can be run on Green")
        return _evidence(check, about, runs, "fail", (found,), {"why": "test-lost"})
    forged = [r for group in (base, green) for r in group if r.sentinel != "failed"]
    if forged:
        found = Contribution(name="sentinel", points=100, why="a test that must fail was not reported as failing")
        return _evidence(check, about, runs, "fail", (found,), {"why": "tests-forged"})
    return _compare(check, about, runs, base, green, min_share)


def _with_reruns(runs: Sequence[Run], role: str) -> list[TestRun]:
    """The results of `role`, then those of its reruns (`<role>-again`), whatever order the runs came in."""
    roles = (role, f"{role}-again")
    return [r.result for name in roles for r in runs if r.receipt.role == name and isinstance(r.result, TestRun)]


def _compare(
    check: str, about: Digest, runs: Sequence[Run], base: list[TestRun], green: list[TestRun], min_share: int
) -> Evidence:
    steady = {t for t, o in base[0].outcomes.items() if o == "passed"}
    wavering = {t for t in steady if any(r.outcomes.get(t) != "passed" for r in base[1:])}
    steady -= wavering
    broken = {t for t in steady if green[0].outcomes.get(t) != "passed"}
    recovered = {t for t in broken if any(r.outcomes.get(t) == "passed" for r in green[1:])}
    # A name that base itself does not give again (an object's address in a parameter's name) cannot be missed.
    lasting = {t for t in base[0].outcomes if all(t in r.outcomes for r in base[1:])}
    missing = lasting - set(green[0].outcomes)
    skipped = sum(o == "skipped" for o in green[0].outcomes.values())
    total = len(base[0].outcomes)
    share = 100 * len(steady) // total if total else 0
    facts = {
        "ran": str(len(green[0].outcomes)),
        "passed": str(len(steady - broken)),
        "skipped": str(skipped),
        "failing-before": str(sum(o in ("failed", "error") for o in base[0].outcomes.values())),
        "share": str(share),
        "python": green[0].python,
        "framework": green[0].framework,
        **facts_of(green[0].coverage),
    }
    lost = _worst_first(broken - recovered, green[0]) + sorted(missing - broken)
    if lost:
        findings = tuple(
            Contribution(
                name="test-lost" if t in missing else _failure(t, green[0], "test-broken"), points=100, why=t[:300]
            )
            for t in lost[:20]
        )
        return _evidence(check, about, runs, "fail", findings, facts)
    names = sorted(recovered | wavering)
    findings = tuple(Contribution(name="flaky-test", points=5, why=t[:300]) for t in names[:20])
    if recovered:
        return _evidence(check, about, runs, "flaky", findings, facts)
    findings = (*findings, *_unproven(runs))
    if share < min_share:
        return _evidence(check, about, runs, "broken-before", findings, facts | {"why": "too-few-tests-pass-on-base"})
    return _evidence(check, about, runs, "pass", findings, facts)


def _worst_first(names: Iterable[str], run: TestRun) -> list[str]:
    """What failed at a bound of the run comes first: after it others fail that would have passed."""
    return sorted(names, key=lambda name: (name not in run.bounds, name))


def _failure(name: str, run: TestRun, otherwise: str) -> str:
    """The rule of a failed test: that of the bound which it met, else `otherwise`."""
    return LIMITS.get(run.bounds.get(name, ""), otherwise)


def _unproven(runs: Sequence[Run]) -> tuple[Contribution, ...]:
    """The changed files that base's tests stand on and that were Green's own in a run.

    A run that was to be told where the tests are, and was not, counts as one such file.
    """
    paths = sorted({path for run in runs for path in run.receipt.unproven or ()})
    blind = any(run.receipt.suite is not None and run.receipt.unproven is None for run in runs)
    reasons = [*([_UNKNOWN] if blind else []), *(f"{path[:300]} {_STANDS}" for path in paths)]
    return tuple(
        Contribution(name=UNPROVEN, points=UNPROVEN_POINTS if not at else 0, why=why)
        for at, why in enumerate(reasons[:MAX_UNPROVEN])
    )


def unproven_by(runs: Sequence[Run]) -> str:
    """Why base's tests are no proof of the tree that `runs` were on, though they pass; empty where they are one.

    Not known counts as no proof.
    """
    over = [run.receipt for run in runs if run.receipt.check in OVERLAID and run.receipt.role.startswith(ON_GREEN)]
    if any(receipt.unproven is None for receipt in over):
        return _UNKNOWN
    paths = sorted({path for receipt in over for path in receipt.unproven or ()})
    return f"{paths[0][:300]} {_STANDS}" if paths else ""


def _own_tests(check: str, about: Digest, runs: Sequence[Run], min_share: int) -> Evidence:
    del min_share
    lent = bool(lent_to_own(about, runs))
    base, own = _with_reruns(runs, "base"), _with_reruns(runs, ON_GREEN if lent else "own")
    if not own or own[0].framework == "none":
        return _evidence(check, about, runs, "broken-before", facts={"why": "no-runnable-tests"})
    if own[0].sentinel != "failed":
        return _evidence(check, about, runs, "fail", facts={"why": "tests-forged"})
    failing_before = {t for r in base for t, o in r.outcomes.items() if o in ("failed", "error")}
    failed = {t for t, o in own[0].outcomes.items() if o in ("failed", "error")}
    bad = _worst_first(failed - failing_before, own[0])
    always = [t for t in bad if all(r.outcomes.get(t) in ("failed", "error") for r in own[1:])]
    findings = tuple(
        Contribution(name=_failure(t, own[0], "own-test-fails"), points=100, why=t[:300]) for t in bad[:20]
    )
    verdict: EvidenceVerdict = "pass" if not bad else "fail" if always else "flaky"
    rests = {"rests-on": f"tests, {ON_GREEN}: the same tree, run as if alone"} if lent else {}
    return _evidence(check, about, runs, verdict, findings, {"ran": str(len(own[0].outcomes)), **rests})


def _scan(check: str, about: Digest, runs: Sequence[Run], min_share: int) -> Evidence:
    del min_share
    found = [f for run in runs if isinstance(run.result, ScanResult) for f in run.result.findings]
    findings = tuple(
        Contribution(name=f.rule, points=f.points, why=f"{f.path}:{f.line}: {f.message}"[:500]) for f in found[:50]
    )
    verdict: EvidenceVerdict = "fail" if any(f.blocks for f in found) else "pass"
    return _evidence(check, about, runs, verdict, findings, {"findings": str(len(found))})


def _classify(check: str, about: Digest, runs: Sequence[Run], min_share: int) -> Evidence:
    del min_share
    result = runs[0].result
    if not isinstance(result, DiffClass):
        return _evidence(check, about, runs, "inconclusive")
    classes = sorted({f.line_class for f in result.files})
    facts = {
        "classes": ",".join(classes),
        "files": str(len(result.files)),
        "lines": str(sum(f.added + f.removed for f in result.files)),
        "reproduced-by": result.reproduced_by or "",
    }
    marks = result.itself or Marks(base=None, green=None)
    facts |= {ITSELF_ON_BASE: marks.base} if marks.base else {}
    facts |= {ITSELF_ON_GREEN: marks.green} if marks.green else {}
    files = tuple(Contribution(name=f.line_class, points=0, why=f.path) for f in result.files)
    return _evidence(check, about, runs, "pass", files, facts)


_RULES: Mapping[str, Callable[[str, Digest, Sequence[Run], int], Evidence]] = {
    "tests": _tests,
    "own-tests": _own_tests,
    "live-tests": _tests,
    "scan": _scan,
    "loosened": _scan,
    "classify": _classify,
}


def _why_broken(broken: Sequence[Run]) -> dict[str, str]:
    if not broken:
        return {"why": "no-run", "ended-by": "no-run"}
    first = broken[0].receipt
    why = f"{first.role} run ended by {first.ended_by}, exit {first.exit}"
    return {"why": why, "run": first.run, "ended-by": first.ended_by}


def _evidence(
    check: str,
    about: Digest,
    runs: Sequence[Run],
    verdict: EvidenceVerdict,
    findings: tuple[Contribution, ...] = (),
    facts: Mapping[str, str] | None = None,
) -> Evidence:
    return Evidence(
        check=check,
        about=about,
        verdict=verdict,
        receipts=tuple(run.digest for run in runs),
        findings=findings,
        facts=facts or {},
    )
