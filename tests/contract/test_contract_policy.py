"""What every Policy keeps, the real one on Cedar and the fake alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from greenroom.domain.change import Change
from greenroom.domain.digest import Digest, digest_of, prefix_of
from greenroom.domain.plan import Arg, Plan, Step, ToolManifest
from greenroom.domain.ports import Facts, Policy
from greenroom.domain.proof import Contribution, Evidence
from greenroom.domain.verdict import Held, Instant, Passed, Refused
from greenroom.domain.vocabulary import (
    CONSENT,
    LAYERS,
    ChangeId,
    ConsentLevel,
    Kind,
    Mode,
    Origin,
    Stage,
    State,
    Subject,
    Trust,
)
from greenroom.policy.bundle import load_policy, save_policy
from greenroom.policy.constitution import default_text
from greenroom.policy.manifests import BUILTIN, builtin_manifests, manifest_digest
from greenroom.testing.policy import FakePolicy
from greenroom.testing.store import MemoryStore

TOOLS = builtin_manifests({name: digest_of("blob", name.encode()) for name in BUILTIN})
MANIFESTS: dict[Digest, ToolManifest] = {manifest_digest(tool): tool for tool in TOOLS.values()}
SUBJECT = Subject(kind=Kind.WORKSPACE, address="/home/ada/project")
BASE, GREEN = digest_of("tree", b"base"), digest_of("tree", b"green")
GOLDEN, PATCH = digest_of("golden", b"golden"), digest_of("blob", b"patch")


def cedar() -> Policy:
    store = MemoryStore()
    return load_policy(store, save_policy(store, default_text(), TOOLS))


def fake() -> Policy:
    return FakePolicy(manifests=MANIFESTS)


@pytest.fixture(params=[cedar, fake])
def policy(request: pytest.FixtureRequest) -> Policy:
    make: Callable[[], Policy] = request.param
    return make()


def change() -> Change:
    return Change(
        id=ChangeId("c-1"),
        subject=SUBJECT,
        origin=Origin(actor="ruff", door="cli", engine=None, prompt=None, trust=Trust.BOX),
        request=digest_of("text", b"request"),
        mode=Mode.PROPOSE,
        state=State.PROPOSED,
        base=BASE,
        golden=GOLDEN,
        green=GREEN,
        seals=(digest_of("statement", b"seal"),),
    )


def plan() -> Plan:
    args = {"patch": Arg(value=PATCH, trust=Trust.BOX)}
    step = Step(id="apply", tool=manifest_digest(TOOLS["apply_patch_t1"]), args=args)
    return Plan(subject=SUBJECT, intent="mend", base=BASE, golden=GOLDEN, steps=(step,), blobs=(PATCH,))


def facts(policy: Policy) -> Facts:
    return Facts(
        now=Instant(1),
        stopped=False,
        mode=Mode.PROPOSE,
        live=BASE,
        layers=dict.fromkeys(LAYERS, True),
        disk_free_bytes=2**40,
        policy=policy.digest,
        health=(),
    )


def evidence(policy: Policy) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(check=check, about=GREEN, verdict="pass", receipts=(digest_of("statement", check.encode()),))
        for check in policy.checks(plan())
    )


@pytest.mark.parametrize("stage", list(Stage))
def test_a_proven_change_passes_each_stage(policy: Policy, stage: Stage) -> None:
    """With every required check passed, the change may go on."""
    assert policy.may(change(), stage, plan(), facts(policy), evidence(policy)) == Passed()


@pytest.mark.parametrize("stage", list(Stage))
def test_a_stop_holds_each_stage(policy: Policy, stage: Stage) -> None:
    """Under a stop every stage waits, by the same rule."""
    stopped = dataclasses.replace(facts(policy), stopped=True)
    verdict = policy.may(change(), stage, plan(), stopped, evidence(policy))
    assert isinstance(verdict, Held)
    assert verdict.rule == "stopped"


@pytest.mark.parametrize("stage", [Stage.DEBATE, Stage.SIMULATE, Stage.VERIFY, Stage.APPROVE, Stage.PROMOTE])
def test_nothing_goes_on_without_a_plan(policy: Policy, stage: Stage) -> None:
    """After the plan stage there is a plan."""
    verdict = policy.may(change(), stage, None, facts(policy), evidence(policy))
    assert isinstance(verdict, Refused)
    assert verdict.rule == "plan-missing"


@pytest.mark.parametrize("stage", [Stage.APPROVE, Stage.PROMOTE])
def test_each_required_check_is_required(policy: Policy, stage: Stage) -> None:
    """Leave out any one check, and the change is refused with its name in the place."""
    found = evidence(policy)
    for left_out in found:
        rest = tuple(item for item in found if item is not left_out)
        verdict = policy.may(change(), stage, plan(), facts(policy), rest)
        assert isinstance(verdict, Refused)
        assert verdict.rule == "evidence-missing"
        assert left_out.check in verdict.where
        assert verdict.remedy


def test_the_same_question_gets_the_same_answer(policy: Policy) -> None:
    """A policy has no memory that matters."""
    answers = [policy.may(change(), Stage.APPROVE, plan(), facts(policy), evidence(policy)[1:]) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    risks = [policy.weigh(plan(), evidence(policy)) for _ in range(3)]
    assert risks[0] == risks[1] == risks[2]


def test_risk_has_reasons_and_never_less_than_nothing(policy: Policy) -> None:
    """Every contribution has a name, a reason and points from 0; the score ends at 100."""
    finding = Contribution(name="B101", points=300, why="a.py:1")
    worse = tuple(dataclasses.replace(item, findings=(finding,)) for item in evidence(policy))
    for found in ((), evidence(policy), worse):
        risk = policy.weigh(plan(), found)
        assert risk.contributions
        assert all(part.name and part.why and part.points >= 0 for part in risk.contributions)
        assert 0 <= risk.score <= 100


@pytest.mark.parametrize("mode", list(Mode))
def test_who_must_agree_is_the_matrix_of_the_house(policy: Policy, mode: Mode) -> None:
    """No policy asks fewer people than the matrix."""
    assert tuple(policy.agree(mode, level) for level in ConsentLevel) == CONSENT[mode]


def test_tools_are_known_by_their_manifests_digest(policy: Policy) -> None:
    """An unknown digest has no manifest, and the policy's own digest is one of a policy."""
    for digest, manifest in MANIFESTS.items():
        assert policy.manifest(digest) == manifest
    assert policy.manifest(digest_of("tool", b"?")) is None
    assert prefix_of(policy.digest) == "policy"
