"""The question that the gate is asked: what a decision needs to know of a change, as plain facts.

Nothing is decided here. Each fact is a number, a word of the house or yes/no; text from outside stays in `details`,
which only says where a rule was broken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from greenroom.domain import arguments
from greenroom.domain.change import Change
from greenroom.domain.constitution import Constitution
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Bug
from greenroom.domain.globs import Globs
from greenroom.domain.outcomes import verdict_on
from greenroom.domain.plan import Plan, Step, ToolManifest
from greenroom.domain.ports import Facts
from greenroom.domain.proof import Evidence
from greenroom.domain.verdict import Held, Refused
from greenroom.domain.vocabulary import CGROUP_LAYERS, Stage, Trust
from greenroom.policy import itself, never, risk, rules
from greenroom.policy.vocabulary import CHECKS, NEVER, PROBE, TESTING_CHECKS

Fact = bool | int | str | list[str]
JUDGING = frozenset({Stage.APPROVE, Stage.PROMOTE})


@dataclass(frozen=True, slots=True)
class Question:
    """`context` goes to Cedar; `details` has the place (and the telling rule) for the rules that know more."""

    context: Mapping[str, Fact]
    details: Mapping[str, Refused | Held]


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """What the questions are asked against: the constitution, ready to match, and the tools by manifest digest.

    `digest` is that of the bundle of both.
    """

    digest: Digest
    constitution: Constitution
    manifests: Mapping[Digest, ToolManifest]
    protected: Globs
    allowed: Globs


def law(digest: Digest, constitution: Constitution, manifests: Mapping[Digest, ToolManifest]) -> Law:
    """The law of `constitution` over the tools `manifests`; raises Unusable for a glob that cannot be used."""
    return Law(
        digest=digest,
        constitution=constitution,
        manifests=manifests,
        protected=Globs(constitution.protected_paths),
        allowed=Globs(constitution.allowed_paths),
    )


def required_layers(constitution: Constitution) -> tuple[str, ...]:
    """The layers without which nothing runs: those named, and every cgroup layer where the constitution insists."""
    insisted = () if constitution.sandbox.allow_without_cgroup else CGROUP_LAYERS
    return tuple(dict.fromkeys((*constitution.sandbox.required_layers, *insisted)))


def ask(
    rule: Law, change: Change, stage: Stage, plan: Plan | None, facts: Facts, evidence: Sequence[Evidence]
) -> Question:
    """The question whether `change` may take `stage`, given `plan`, the world as `facts`, and what checks found."""
    context: dict[str, Fact] = {}
    details: dict[str, Refused | Held] = {}
    context.update(_of_world(rule, change, stage, facts, details))
    context.update(_of_plan(rule, change, plan, details))
    context.update(_of_green(change))
    context.update(_of_conditions(rule, change, stage, plan, facts, details))
    judged = evidence if stage in JUDGING or _watched(stage, facts) else ()
    context.update(_of_evidence(change, _required(rule, change, stage, plan, facts), judged, details))
    judged = evidence if stage in JUDGING else ()
    context.update(_of_paths(rule, judged, details))
    missing = _missing_layers(rule, context)
    if missing:
        details["layer-missing"] = _no("layer-missing", ", ".join(missing))
    context["breaches"] = _breaches(rule, plan, judged, details)
    context.update(_of_caps(rule, change, plan, facts, judged if stage in JUDGING else None))
    return Question(context, details)


def _of_world(
    rule: Law, change: Change, stage: Stage, facts: Facts, details: dict[str, Refused | Held]
) -> Mapping[str, Fact]:
    counted = stage is Stage.PROMOTE and facts.live is not None and facts.live == change.green != change.base
    live = "none" if facts.live is None else "base" if facts.live == change.base or counted else "moved"
    if live == "moved":
        details["base-moved"] = _no("base-moved", f"live is {facts.live}, the change was made against {change.base}")
    layers = [name for name, enforced in facts.layers.items() if enforced is True]
    if rule.constitution.sandbox.allow_without_cgroup:
        layers.extend(name for name in CGROUP_LAYERS if name not in layers)
    return {
        "stopped": facts.stopped,
        "live": live,
        "counted": counted,
        "tripcode": facts.tripcode,
        "layers": layers,
        "disk_free": facts.disk_free_bytes,
    }


def _of_plan(rule: Law, change: Change, plan: Plan | None, details: dict[str, Refused | Held]) -> Mapping[str, Fact]:
    # No more steps are read than the constitution allows: a longer plan is refused for its length.
    steps = plan.steps[: rule.constitution.plan.max_steps] if plan is not None else ()
    tools = [rule.manifests.get(step.tool) for step in steps]
    known = [tool for tool in tools if tool is not None]
    if len(known) < len(tools):
        step = steps[tools.index(None)]
        details["unknown-tool"] = _no("unknown-tool", f"step {step.id[:80]!r}: {step.tool}")
    unfit = _first_unfit(steps, tools, plan.blobs if plan is not None else ())
    if unfit is not None:
        details["argument"] = unfit
    dangerous = [t.name for t in known if t.tier >= rule.constitution.plan.tripcode_from_tier]
    if dangerous:
        details["tripcode-needed"] = _no("tripcode-needed", ", ".join(dangerous))
    given = [arg.trust for step in steps for arg in step.args.values()]
    return {
        "planned": plan is not None,
        "bound": plan is None or _binds(plan, change),
        "steps": len(plan.steps) if plan is not None else 0,
        "parallel": _parallel(steps),
        "ordered": _ordered(steps),
        "tools_known": len(known) == len(tools),
        "arguments_fit": unfit is None,
        "trust": int(min(given, default=Trust.UNTRUSTED)),
        "trust_raised": any(trust > change.origin.trust for trust in given),
        "tier": max((int(tool.tier) for tool in known), default=0),
        "network": any(tool.network or bool(tool.egress) for tool in known),
        "isolation": sorted({layer for tool in known for layer in tool.isolation}),
    }


def _missing_layers(rule: Law, context: Mapping[str, Fact]) -> list[str]:
    layers, isolation = context["layers"], context["isolation"]
    if not isinstance(layers, list) or not isinstance(isolation, list):
        raise Bug("bad-question", "layers are lists of words")
    return [name for name in dict.fromkeys((*required_layers(rule.constitution), *isolation)) if name not in layers]


def _of_green(change: Change) -> Mapping[str, Fact]:
    return {
        "sealed": change.green is not None,
        "rehearsed": bool(change.seals),
        "changed": change.green is not None and change.green != change.base,
    }


def _watched(stage: Stage, facts: Facts) -> bool:
    """The question is whether what was watched may be marked good."""
    return stage is Stage.WATCH and facts.watched


def _required(rule: Law, change: Change, stage: Stage, plan: Plan | None, facts: Facts) -> tuple[str, ...]:
    """The checks that must have evidence: before the act those of the plan's kind, after it the postconditions."""
    if _watched(stage, facts):
        return tuple(name for name in rule.constitution.postconditions[change.subject.kind] if name != PROBE)
    return CHECKS[plan.subject.kind] if plan is not None and stage is not Stage.WATCH else ()


def _of_conditions(
    rule: Law, change: Change, stage: Stage, plan: Plan | None, facts: Facts, details: dict[str, Refused | Held]
) -> Mapping[str, Fact]:
    """What must be so before the act, and what must have stayed so after it."""
    unkept = _unkept(rule, plan, facts)
    if unkept:
        details["snapshot-missing"] = _no("snapshot-missing", f"no snapshot of Green before {unkept}")
    if facts.policy != rule.digest:
        where = f"this is {rule.digest}, in force is {facts.policy}"
        details["policy-mismatch"] = _no("policy-mismatch", where)
    if facts.health:
        details["health"] = facts.health[0]
    if facts.violations:
        details["violation-seen"] = _no("violation-seen", facts.violations[0])
    probed = PROBE in rule.constitution.postconditions[change.subject.kind]
    if _watched(stage, facts) and probed:
        asked = rule.constitution.tests.probe_seconds
        details["probe-short"] = _no("probe-short", f"probes were green for {facts.probe_green_s} of {asked} seconds")
    return {
        "snapshots_kept": not unkept,
        "policy_in_force": facts.policy == rule.digest,
        "healthy": not facts.health,
        "violated": bool(facts.violations) and (stage is not Stage.WATCH or facts.watched),
        "watched": _watched(stage, facts),
        "probed": probed,
        "probe_green": facts.probe_green_s,
    }


def _unkept(rule: Law, plan: Plan | None, facts: Facts) -> str:
    """The first step of the tiers that ask for it before which Green was not kept; empty when there is none."""
    limits = rule.constitution.plan
    for step in plan.steps[: limits.max_steps] if plan is not None else ():
        tool = rule.manifests.get(step.tool)
        if tool is not None and tool.tier >= limits.snapshot_from_tier and step.id not in facts.snapshots:
            return f"step {step.id[:80]!r} ({tool.name}, tier {int(tool.tier)})"
    return ""


def _of_evidence(
    change: Change, required: tuple[str, ...], evidence: Sequence[Evidence], details: dict[str, Refused | Held]
) -> Mapping[str, Fact]:
    found = {item.check for item in evidence if item.about == change.green}
    missing = [check for check in required if check not in found]
    if missing:
        details["evidence-missing"] = _no("evidence-missing", ", ".join(missing))
    unusable = [e.check for e in evidence if e.verdict == "broken-before" and e.check not in TESTING_CHECKS]
    if unusable:
        details["evidence-unusable"] = _no("evidence-unusable", ", ".join(unusable))
    answer = verdict_on(evidence)
    if isinstance(answer, Refused):
        details["evidence-failed"] = answer
    elif isinstance(answer, Held):
        details["evidence-inconclusive"] = answer
    return {
        "required": list(required),
        "evidence": sorted(found.intersection(required)),
        "evidence_foreign": any(item.about != change.green for item in evidence),
        "evidence_failed": isinstance(answer, Refused),
        "evidence_unusable": bool(unusable),
        "evidence_inconclusive": isinstance(answer, Held),
    }


def _of_paths(rule: Law, evidence: Sequence[Evidence], details: dict[str, Refused | Held]) -> Mapping[str, Fact]:
    paths = [file.why for item in evidence if item.check == "classify" for file in item.findings]
    outside = next((path for path in paths if not rule.allowed.match(path)), None)
    protected = next((path for path in paths if rule.protected.match(path)), None)
    if outside is not None:
        details["path-not-allowed"] = _no("path-not-allowed", outside)
    if protected is not None:
        details["protected-path"] = _no("protected-path", protected)
    mark = itself.mark_in(evidence)
    if mark:
        details["greenroom-itself"] = _no("greenroom-itself", f"Greenroom itself, by {mark}")
    return {"paths_allowed": outside is None, "paths_protected": protected is not None, "itself": bool(mark)}


def _breaches(
    rule: Law, plan: Plan | None, evidence: Sequence[Evidence], details: dict[str, Refused | Held]
) -> list[str]:
    places: dict[str, str] = {}
    if plan is not None and len(plan.steps) <= rule.constitution.plan.max_steps:
        for name, where in never.breaches(plan, rule.manifests, rule.constitution.unrevertible_tools):
            places.setdefault(name, where)
    for item in evidence:
        for found in item.findings:
            if found.name in NEVER:
                places.setdefault(found.name, found.why)
    broken = next((name for name in NEVER if name in places and name in rule.constitution.never), None)
    if broken is not None:
        details["never"] = Refused(rule=broken, where=places[broken], remedy=rules.remedy_of("never"))
    return sorted(places)


def _of_caps(
    rule: Law, change: Change, plan: Plan | None, facts: Facts, evidence: Sequence[Evidence] | None
) -> Mapping[str, Fact]:
    """The day's totals with this change added; before it is judged there is nothing to add.

    The change's own risk counts where a debate made it higher than the checks alone.
    """
    totals = facts.totals
    if plan is None or evidence is None:
        return {"changes": totals.changes, "lines": totals.lines, "risk": totals.risk, "spend": totals.spend_micro}
    classify = next((item for item in evidence if item.check == "classify"), None)
    weighed = risk.weigh(plan, evidence, rule.manifests, rule.protected).score
    return {
        "changes": totals.changes + 1,
        "lines": totals.lines + risk.lines_of(classify),
        "risk": totals.risk + max(weighed, change.risk.score if change.risk else 0),
        "spend": totals.spend_micro,
    }


def _binds(plan: Plan, change: Change) -> bool:
    return plan.subject == change.subject and plan.base == change.base and plan.golden == change.golden


def _ordered(steps: Sequence[Step]) -> bool:
    """True when ids are distinct and each step comes after the steps it names."""
    seen: set[str] = set()
    for step in steps:
        if step.id in seen or not seen.issuperset(step.after):
            return False
        seen.add(step.id)
    return True


def _parallel(steps: Sequence[Step]) -> int:
    """The most steps that stand at the same depth below the first ones."""
    depth: dict[str, int] = {}
    widths: dict[int, int] = {}
    for step in steps:
        depth[step.id] = 1 + max((depth.get(name, 0) for name in step.after), default=0)
        widths[depth[step.id]] = widths.get(depth[step.id], 0) + 1
    return max(widths.values(), default=0)


def _first_unfit(
    steps: Sequence[Step], tools: Sequence[ToolManifest | None], blobs: Iterable[Digest]
) -> Refused | None:
    named = tuple(blobs)
    for step, tool in zip(steps, tools, strict=True):
        if tool is not None:
            for problem in arguments.problems(step, tool, named):
                return problem
    return None


def _no(rule: str, where: str) -> Refused:
    return Refused(rule=rule, where=where, remedy=rules.remedy_of(rule))
