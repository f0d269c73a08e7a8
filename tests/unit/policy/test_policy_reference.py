"""Cedar and the plain reference give the same answer, over a great many changes that break rules at random."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import policy_cases as cases
import pytest

from greenroom.domain.change import Change
from greenroom.domain.constitution import Constitution
from greenroom.domain.digest import digest_of
from greenroom.domain.plan import Arg, Plan, ToolManifest
from greenroom.domain.ports import Facts, Totals
from greenroom.domain.proof import Contribution, Evidence, Risk
from greenroom.domain.verdict import Held, Passed
from greenroom.domain.vocabulary import LAYERS, ConsentLevel, Kind, Stage, Subject, Trust, Undo
from greenroom.policy import reference, rules
from greenroom.policy.decide import CedarPolicy
from greenroom.policy.manifests import manifest_digest
from greenroom.policy.vocabulary import NEVER

SEED = 20_261
SIDES = ("base", "green")
DEBATES = (None, cases.transcript((100, 100)), cases.transcript((100, 10), (100, 100)))
_APPLY = cases.TOOLS["apply_patch_t1"]
_NETWORKED = dataclasses.replace(_APPLY, name="networked_t1", network=True, isolation=("seccomp", "cgroup-memory"))
_EGRESS = dataclasses.replace(_APPLY, name="egress_t1", egress=("example.org:443",))
_ERASE = dataclasses.replace(_APPLY, name="erase_t1", undo=Undo.NONE)
MANIFESTS: dict[Any, ToolManifest] = {
    **cases.MANIFESTS,
    **{manifest_digest(tool): tool for tool in (_NETWORKED, _EGRESS, _ERASE)},
}


def _constitutions() -> tuple[Constitution, ...]:
    base = cases.CONSTITUTION
    change = dataclasses.replace
    return (
        base,
        change(base, allowed_paths=("docs", "src/**"), never=("force-push",), unrevertible_tools=("erase_t1",)),
        change(base, sandbox=change(base.sandbox, allow_without_cgroup=False, required_layers=("landlock",))),
        change(base, plan=change(base.plan, max_steps=2, max_parallel=1, tripcode_from_tier=2)),
        change(base, plan=change(base.plan, snapshot_from_tier=0), tests=change(base.tests, probe_seconds=0)),
        change(base, caps=change(base.caps, changes=1, lines=10, risk=30, spend_micro=5), protected_paths=("**",)),
        change(base, never=NEVER[::-1], protected_paths=(), allowed_paths=()),
    )


CONSTITUTIONS = _constitutions()
POLICIES = tuple(CedarPolicy(cases.POLICY, found, MANIFESTS) for found in CONSTITUTIONS)


@dataclasses.dataclass
class Case:
    change: Change
    plan: Plan | None
    facts: Facts
    evidence: list[Evidence]

    def alter(self, **changed: Any) -> None:
        self.change = dataclasses.replace(self.change, **changed)

    def replan(self, **changed: Any) -> None:
        if self.plan is not None:
            self.plan = dataclasses.replace(self.plan, **changed)

    def learn(self, **changed: Any) -> None:
        self.facts = dataclasses.replace(self.facts, **changed)


def _step(rng: random.Random, name: str) -> Any:
    trust = rng.choice(list(Trust))
    after = (rng.choice(["s0", "s1", "apply"]),) if rng.random() < 0.3 else ()
    kind = rng.randrange(8)
    if kind == 0:
        values = {"file": "system/a.json", "key": rng.choice(["auth", "theme"]), "value": rng.choice(["off", "on"])}
        return cases.step("config_update_t2", name, after, **values)
    if kind == 1:
        backup = {"backup": "system/b.db"} if rng.random() < 0.5 else {}
        return cases.step("db_migrate_t2", name, after, database="system/a.db", script=cases.PATCH, **backup)
    if kind == 2:
        return cases.step("factory_reset_t3", name, after)
    if kind == 3:
        words = rng.choice(["pytest -q", "git push -f", "git 'rebase'", "pytest '"])
        return cases.step("run_tests_t1", name, after, argv=Arg(value=words, trust=trust))
    found = cases.step("apply_patch_t1", name, after, patch=Arg(value=cases.PATCH, trust=trust))
    if kind == 4:
        tools = [_NETWORKED, _EGRESS, _ERASE]
        return dataclasses.replace(found, tool=manifest_digest(rng.choice(tools)))
    return dataclasses.replace(found, tool=digest_of("tool", b"?")) if kind == 5 else found


def _steps(case: Case, rng: random.Random) -> None:
    count = rng.choice([0, 1, 1, 2, 3, 5, 33])
    case.replan(steps=tuple(_step(rng, f"s{n if rng.random() < 0.9 else 0}") for n in range(count)))


def _trust(case: Case, rng: random.Random) -> None:
    trust = rng.choice(list(Trust))
    case.replan(steps=(cases.step(patch=Arg(value=cases.PATCH, trust=trust)),))
    case.alter(origin=dataclasses.replace(case.change.origin, trust=rng.choice(list(Trust))))


def _command(case: Case, rng: random.Random) -> None:
    words = rng.choice(["pytest -q", "git push -f", "git 'rebase'", "pytest '", "dropdb shop"])
    case.replan(steps=(cases.step("run_tests_t1", argv=Arg(value=words, trust=Trust.PERSON)),))
    case.alter(origin=dataclasses.replace(case.change.origin, trust=Trust.PERSON))


def _tool(case: Case, rng: random.Random) -> None:
    tool = manifest_digest(rng.choice([_NETWORKED, _EGRESS, _ERASE]))
    case.replan(steps=(dataclasses.replace(cases.step(), tool=tool),))


def _verdict(case: Case, rng: random.Random) -> None:
    at = rng.randrange(len(case.evidence)) if case.evidence else None
    if at is not None:
        verdict: Any = rng.choice(["pass", "fail", "flaky", "broken-before", "inconclusive"])
        name = rng.choice(["secret-x", *NEVER])
        findings = (Contribution(name=name, points=rng.randrange(60), why="a.py:1"),) if rng.random() < 0.4 else ()
        facts = {"why": "tests-forged"} if rng.random() < 0.2 else {}
        case.evidence[at] = dataclasses.replace(case.evidence[at], verdict=verdict, findings=findings, facts=facts)


def _files(case: Case, rng: random.Random) -> None:
    paths = ["src/a.py", "docs/a.md", ".github/ci.yml", "a.pem", "setup.py"]
    files = [(rng.choice(paths), rng.choice(["docs", "logic", "binary", "lint"])) for _ in range(rng.randrange(4))]
    lines, reproduced = rng.choice([0, 5, 11, 6000]), rng.choice(["", "ruff:F401"])
    found = cases.classified(
        *files, lines=lines, reproduced=reproduced, marks=_marks(rng) if rng.random() < 0.2 else {}
    )
    case.evidence = [found if item.check == "classify" else item for item in case.evidence]


def _marks(rng: random.Random) -> dict[str, str]:
    """By which mark base, or Green, or both, or neither, is Greenroom itself; a mark may be an empty word."""
    return {
        side: rng.choice(["", "pyproject.toml", "src/greenroom/a.py"]) for side in rng.sample(SIDES, rng.randrange(3))
    }


def _itself(case: Case, rng: random.Random) -> None:
    """Greenroom's own repository, low changes among them, from every sort of place."""
    found = cases.classified(("README.md", rng.choice(["docs", "config"])), marks=_marks(rng))
    case.evidence = [found if item.check == "classify" else item for item in case.evidence]
    case.replan(steps=(cases.step(patch=Arg(value=cases.PATCH, trust=rng.choice([Trust.UNTRUSTED, Trust.BOX]))),))


def _kind(case: Case, rng: random.Random) -> None:
    subject = Subject(kind=rng.choice(list(Kind)), address="x")
    case.alter(subject=subject)
    if rng.random() < 0.8:
        case.replan(subject=subject)


def _totals(case: Case, rng: random.Random) -> None:
    numbers = [rng.choice([0, 1, 9, 49, 50, 4999, 1490, 1500]) for _ in range(4)]
    case.learn(totals=Totals(changes=numbers[0], lines=numbers[1], risk=numbers[2], spend_micro=numbers[3]))


def _layers(case: Case, rng: random.Random) -> None:
    case.learn(layers={name: rng.random() < 0.85 for name in LAYERS if rng.random() < 0.95})


def _posts(case: Case, rng: random.Random) -> None:
    """What the watch of some kind saw."""
    subject = Subject(kind=rng.choice(list(Kind)), address="x")
    verdict: Any = rng.choice(["pass", "pass", "pass", "fail", "broken-before", "inconclusive"])
    case.alter(subject=subject)
    case.learn(watched=rng.random() < 0.8, probe_green_s=rng.choice([0, 9, 10, 3600]))
    case.evidence = [cases.item("live-tests", verdict)] if rng.random() < 0.9 else []


def _health(case: Case, rng: random.Random) -> None:
    ill = [Held(rule=name, where="here", remedy="mend it") for name in ("change-baking", "log-unwritable")]
    case.learn(health=tuple(rng.sample(ill, rng.randrange(3))))


def _system(case: Case, rng: random.Random) -> None:
    """A plan with steps of tier 2, and snapshots before some of them."""
    values = {"file": "system/a.json", "key": "theme", "value": "on"}
    case.replan(steps=(cases.step(), cases.step("config_update_t2", "s0", **values)))
    case.learn(snapshots=frozenset(rng.sample(["apply", "s0", "s1"], rng.randrange(4))))


def _doubt(points: int) -> Contribution:
    return Contribution(name="debate", points=points, why="a doubt")


def _drop(case: Case, rng: random.Random) -> None:
    if case.evidence:
        case.evidence.pop(rng.randrange(len(case.evidence)))


def _no_plan(case: Case, rng: random.Random) -> None:
    del rng
    case.plan = None


SPOILERS: tuple[Callable[[Case, random.Random], None], ...] = (
    _steps,
    _trust,
    _trust,
    _tool,
    _command,
    _verdict,
    _verdict,
    _files,
    _files,
    _itself,
    _itself,
    _kind,
    _totals,
    _totals,
    _layers,
    _drop,
    _no_plan,
    _posts,
    _posts,
    _health,
    _system,
    _system,
    lambda case, rng: case.learn(policy=rng.choice([None, cases.POLICY, digest_of("policy", b"other")])),
    lambda case, rng: case.alter(
        risk=Risk(contributions=(_doubt(rng.choice([0, 30, 100])),), level=ConsentLevel.REVIEW)
    ),
    lambda case, rng: case.learn(violations=("tests/base, run r: ended by memory",)),
    lambda case, rng: case.learn(stopped=rng.random() < 0.3),
    lambda case, rng: case.learn(live=rng.choice([None, cases.BASE, cases.GREEN, cases.OTHER])),
    lambda case, rng: case.learn(disk_free_bytes=rng.choice([0, 2**29 - 1, 2**29])),
    lambda case, rng: case.learn(tripcode=rng.random() < 0.5),
    lambda case, rng: case.alter(green=rng.choice([None, cases.BASE, cases.GREEN])),
    lambda case, rng: case.alter(seals=()),
    lambda case, rng: case.alter(golden=digest_of("golden", b"other")),
    lambda case, rng: case.replan(base=cases.OTHER),
    lambda case, rng: case.replan(blobs=()),
    lambda case, rng: case.evidence.append(cases.item(rng.choice(cases.CHECKS), about=cases.OTHER)),
)


def _cases(count: int, seed: int) -> Iterator[tuple[str, random.Random, int, Case]]:
    """`count` generated cases: what to call each, its dice, the constitution, the case."""
    rng = random.Random(seed)
    for number in range(count):
        which = rng.randrange(len(POLICIES))
        case = Case(cases.change(), cases.plan(), cases.facts(), list(cases.evidence()))
        for spoil in rng.sample(SPOILERS, rng.choice([0, 1, 1, 2, 2, 3, 6])):
            spoil(case, rng)
        yield f"case {number} of seed {seed}", rng, which, case


def _compare(count: int, seed: int) -> Counter[str]:
    """Compare `count` generated cases; the rules that spoke, counted."""
    heard: Counter[str] = Counter()
    for name, rng, which, case in _cases(count, seed):
        stage = rng.choice([*Stage, Stage.APPROVE, Stage.PROMOTE, Stage.PROMOTE])
        if case.facts.watched:
            stage = rng.choice([Stage.WATCH, Stage.WATCH, stage])
        verdict = POLICIES[which].may(case.change, stage, case.plan, case.facts, case.evidence)
        expected = reference.decide(
            cases.POLICY, CONSTITUTIONS[which], MANIFESTS, case.change, stage, case.plan, case.facts, case.evidence
        )
        kind = "passed" if isinstance(verdict, Passed) else "held" if isinstance(verdict, Held) else "refused"
        found = (kind, "" if isinstance(verdict, Passed) else verdict.rule)
        assert found == expected, f"{name}, {stage}: {case}"
        heard[found[1]] += 1
    return heard


def _compare_levels(count: int, seed: int) -> Counter[tuple[ConsentLevel, bool]]:
    """Compare the consent levels of `count` generated cases: how many had each, by whether Greenroom itself changes."""
    heard: Counter[tuple[ConsentLevel, bool]] = Counter()
    for name, rng, which, case in _cases(count, seed):
        plan, debate = case.plan or cases.plan(), rng.choice(DEBATES)
        level = POLICIES[which].weigh(plan, case.evidence, debate).level
        expected = reference.level(CONSTITUTIONS[which], MANIFESTS, plan, case.evidence, debate)
        assert level is expected, f"{name}, {debate}: {case}"
        itself = any("greenroom" in fact and item.facts[fact] for item in case.evidence for fact in item.facts)
        heard[level, itself] += 1
    return heard


_TOLD_OTHERWISE = {"argument", "never", "evidence-failed", "evidence-inconclusive", "health"}
"""Rules whose verdict carries the name of what broke them."""


def test_cedar_and_the_reference_agree() -> None:
    """On a thousand generated changes both give the same verdict and name the same rule."""
    heard = _compare(1000, SEED)
    assert heard[""] > 50
    assert len(heard) > 20


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_cedar_and_the_reference_agree_on_a_hundred_thousand(part: int) -> None:
    """The same over a hundred thousand cases, in ten parts; in each part every rule speaks."""
    heard = _compare(10_000, SEED + 1 + part)
    assert heard.total() == 10_000
    assert {rule.id for rule in rules.ORDER} - _TOLD_OTHERWISE <= set(heard)
    assert {"argument-type", "inconclusive", "flaky", "change-baking", "log-unwritable", *NEVER} <= set(heard)


OF_ITSELF = {(ConsentLevel.PERSON, True)}
"""Levels that are heard where Greenroom itself changes: the highest, and no other."""


def test_levels_are_those_of_the_reference() -> None:
    """On a thousand generated changes policy and reference ask the same of people; for Greenroom itself always all."""
    heard = _compare_levels(1000, SEED)
    assert {found for found in heard if found[1]} == OF_ITSELF
    assert {found for found in heard if not found[1]} == {(level, False) for level in list(ConsentLevel)[1:]}


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_levels_are_those_of_the_reference_on_a_hundred_thousand(part: int) -> None:
    """The same over a hundred thousand cases, in ten parts."""
    heard = _compare_levels(10_000, SEED + 1 + part)
    assert heard.total() == 10_000
    assert {found for found in heard if found[1]} == OF_ITSELF
