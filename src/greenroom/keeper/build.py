"""Build: Green from a plan. Each step is rehearsed, then applied to a draft of base; then the draft is sealed."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from greenroom.domain import documents
from greenroom.domain.digest import Digest, prefix_of
from greenroom.domain.errors import NotFound, Tampered, Unreachable, Unusable
from greenroom.domain.plan import Plan, Step
from greenroom.domain.proof import Predicate, Seal
from greenroom.domain.verdict import Refused
from greenroom.keeper.runs import Job, Ran, Runner, refusal_of

WORK = "work"
MAX_STEPS = 256
MAX_TOLD = 32
"""How many receipts a refusal names at most: those of the last runs."""
REHEARSAL = "rehearsal"
APPLICATION = "application"


@dataclass(slots=True, kw_only=True)
class _Build:
    """One build on its way: the draft's directory, the tree it held before the step, receipts and trees kept so far."""

    plan: Plan
    draft: Path
    before: Digest
    receipts: list[Digest] = field(default_factory=list)
    snapshots: dict[str, Digest] = field(default_factory=dict)


class Builder:
    """Builds plans, one throwaway draft each, so that two builds of a plan share nothing but the plan."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def build(self, digest: Digest) -> Digest | Refused:
        """The signed Seal of the plan that `digest` names; Refused with the step in `where` and the steps' receipts.

        Before each step the draft is sealed, and the seal and the step's receipts name that tree: it is the snapshot
        of steps of tier 2. A step that fails discards the draft, so nothing half-done is ever sealed; base is never
        touched.
        Raises NotFound, Tampered or Unusable when the plan or what it names cannot be read.
        """
        store = self._runner.store
        if prefix_of(digest) != "plan":
            raise Unusable("bad-digest", "this digest does not name a plan", where=str(digest)[:80])
        plan = documents.decode(Plan, store.get(digest))
        if (refused := self._runner.gate.refusal() or _refuse_plan(plan)) is not None:
            return refused
        with self._runner.drafts.open() as folder:
            build = _Build(plan=plan, draft=folder / WORK, before=plan.base)
            try:
                self._runner.trees.materialise(plan.base, str(build.draft), uid=self._runner.drafts.uid)
                for step in plan.steps:
                    if (refused := self._step(build, step)) is not None:
                        return refused
            except (NotFound, Tampered, Unreachable):
                raise
            except (Unusable, OSError) as error:
                return _with_receipts(refusal_of(error), build)
        return self._seal(digest, build)

    def _step(self, build: _Build, step: Step) -> Refused | None:
        build.snapshots[step.id] = build.before
        for role in (REHEARSAL, APPLICATION):
            ran = self._runner.run(_job(build, step, role), counted=role == REHEARSAL)
            if isinstance(ran, Ran):
                build.receipts.append(ran.envelope)
            refused = ran if isinstance(ran, Refused) else ran.refused
            if refused is not None:
                where = f"step {step.id}, {role}: {refused.where}"[:500]
                return _with_receipts(Refused(rule=refused.rule, where=where, remedy=refused.remedy), build)
        self._runner.crash_point("build.applied")
        build.before = self._runner.trees.seal(str(build.draft))
        self._runner.crash_point("build.sealed")
        return None

    def _seal(self, digest: Digest, build: _Build) -> Digest:
        runner = self._runner
        seal = Seal(
            build=secrets.token_hex(16),
            plan=digest,
            base=build.plan.base,
            golden=build.plan.golden,
            green=build.before,
            steps=tuple(build.receipts),
            at=runner.clock.now(),
            snapshots=build.snapshots,
        )
        signed = runner.attestor.sign(Predicate.SEAL, seal.green, documents.encode(seal))
        runner.crash_point("build.signed")
        return runner.store.put("statement", signed)


def _with_receipts(refused: Refused, build: _Build) -> Refused:
    return replace(refused, receipts=tuple(build.receipts[-MAX_TOLD:]))


def _job(build: _Build, step: Step, role: str) -> Job:
    return Job(
        check="build",
        role=f"{step.id}/{role}",
        tool=step.tool,
        golden=build.plan.golden,
        args={name: arg.value for name, arg in step.args.items()},
        directories={WORK: build.draft},
        mounted={WORK: build.before},
        dry_run=role == REHEARSAL,
    )


def _refuse_plan(plan: Plan) -> Refused | None:
    """Steps in order, each name once, and no content that the plan does not list."""
    if not 0 < len(plan.steps) <= MAX_STEPS:
        return _bad_plan(f"{len(plan.steps)} steps; between 1 and {MAX_STEPS} are allowed")
    seen: set[str] = set()
    for step in plan.steps:
        if step.id in seen or not step.id or len(step.id) > 64 or not step.id.isprintable():
            return _bad_plan(f"step {step.id[:64]!r}: a step's name is short and its own")
        if not set(step.after) <= seen:
            return _bad_plan(f"step {step.id}: it comes after a step that is not before it")
        seen.add(step.id)
    return _refuse_blobs(plan)


def _refuse_blobs(plan: Plan) -> Refused | None:
    listed = set(plan.blobs)
    for step in plan.steps:
        for name, value in _digests(step).items():
            if value not in listed:
                return _bad_plan(f"step {step.id}, {name}: {value} is not among the plan's blobs")
    return None


def _digests(step: Step) -> Mapping[str, str]:
    values = {name: arg.value for name, arg in step.args.items()}
    return {n: v for n, v in values.items() if isinstance(v, str) and v.startswith(("blob:", "text:")) and len(v) == 69}


def _bad_plan(where: str) -> Refused:
    return Refused(rule="bad-plan", where=where, remedy="make the plan again")
