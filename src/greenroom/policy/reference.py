"""The same decisions once more, in plain Python: slow to read past, easy to believe. Tests compare it with Cedar.

It shares the checkers of single things (arguments, paths, breaches, risk) with the real policy, and nothing of how
the gate puts them together: every rule is written out again, one after the other, the first that speaks wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from greenroom.domain import arguments
from greenroom.domain.change import Change
from greenroom.domain.constitution import Constitution
from greenroom.domain.debate import Transcript
from greenroom.domain.digest import Digest
from greenroom.domain.globs import Globs
from greenroom.domain.plan import Plan, ToolManifest
from greenroom.domain.ports import Facts
from greenroom.domain.proof import Evidence
from greenroom.domain.vocabulary import ConsentLevel, Kind, Stage
from greenroom.policy import never, risk

Answer = tuple[Literal["passed", "refused", "held"], str]
"""The kind of verdict and the rule that it names; the rule is empty when passed."""

_PASSED: Answer = ("passed", "")


def decide(
    policy: Digest,
    constitution: Constitution,
    manifests: Mapping[Digest, ToolManifest],
    change: Change,
    stage: Stage,
    plan: Plan | None,
    facts: Facts,
    evidence: Sequence[Evidence],
) -> Answer:
    """The answer to whether `change` may take `stage`; `policy` is the digest of constitution and manifests."""
    if facts.stopped:
        return "held", "stopped"
    if stage is Stage.WATCH:
        return _watch(constitution, change, facts, evidence)
    if plan is None and stage is not Stage.PLAN:
        return "refused", "plan-missing"
    if plan is None and facts.live not in (None, change.base):
        return "refused", "base-moved"
    if plan is None:
        return _PASSED if facts.policy == policy else ("held", "policy-mismatch")
    judged = tuple(evidence) if stage in (Stage.APPROVE, Stage.PROMOTE) else ()
    swapped = stage is Stage.PROMOTE and change.green == facts.live and facts.live not in (None, change.base)
    refused = (
        _binding(change, stage, plan, facts, swapped=swapped)
        or _plan(constitution, manifests, plan)
        or _steps(constitution, manifests, change, plan, facts)
        or _never(constitution, manifests, plan, judged)
        or _layers(constitution, manifests, stage, plan, facts)
        or _green(change, stage)
        or _snapshots(constitution, manifests, stage, plan, facts)
        or _nothing(change, stage)
        or _evidence(change, stage, plan, judged)
        or _paths(constitution, plan, judged)
    )
    if refused:
        return "refused", refused
    waiting = _conditions(policy, stage, facts) or _waiting(
        constitution, manifests, change, stage, plan, facts, judged, swapped=swapped
    )
    return ("held", waiting) if waiting else _PASSED


def level(
    constitution: Constitution,
    manifests: Mapping[Digest, ToolManifest],
    plan: Plan,
    evidence: Sequence[Evidence],
    debate: Transcript | None,
) -> ConsentLevel:
    """The consent level of `plan` by what its checks found; of several findings of one check the last counts."""
    tools = [manifests.get(step.tool) for step in plan.steps]
    last = {item.check: item for item in evidence}
    classify = last.get("classify")
    files = classify.findings if classify is not None and classify.verdict == "pass" else ()
    if any(tool is None or tool.tier >= 3 or tool.network or tool.egress for tool in tools):
        return ConsentLevel.PERSON
    if _itself(evidence):
        return ConsentLevel.PERSON
    if any(Globs(constitution.protected_paths).match(file.why) for file in files):
        return ConsentLevel.PERSON
    if any(tool is not None and tool.tier == 2 for tool in tools) or _untrusted(plan):
        return ConsentLevel.REVIEW
    if debate is not None and len(debate.rounds) > 1:
        return ConsentLevel.REVIEW
    if "tests" not in last or any(last[name].verdict != "pass" for name in ("tests", "own-tests") if name in last):
        return ConsentLevel.REVIEW
    low = ["comment", "docs"]
    if classify is not None and classify.facts.get("reproduced-by"):
        low.append("lint")
    return ConsentLevel.OPT_IN if files and all(file.name in low for file in files) else ConsentLevel.REVIEW


def _binding(change: Change, stage: Stage, plan: Plan, facts: Facts, *, swapped: bool) -> str:
    if (plan.subject, plan.base, plan.golden) != (change.subject, change.base, change.golden):
        return "plan-mismatch"
    if stage is Stage.PLAN:
        return "base-moved" if facts.live not in (None, change.base) else ""
    if facts.live is None:
        return "unknown-subject"
    return "" if facts.live == change.base or swapped else "base-moved"


def _plan(constitution: Constitution, manifests: Mapping[Digest, ToolManifest], plan: Plan) -> str:
    if not plan.steps:
        return "plan-empty"
    if len(plan.steps) > constitution.plan.max_steps:
        return "plan-too-long"
    for index, step in enumerate(plan.steps):
        earlier = [other.id for other in plan.steps[:index]]
        if step.id in earlier or any(name not in earlier for name in step.after):
            return "plan-order"
    depths: list[int] = []
    for step in plan.steps:
        below = [depth for depth, earlier in zip(depths, plan.steps, strict=False) if earlier.id in step.after]
        depths.append(1 + max(below, default=0))
    if any(depths.count(depth) > constitution.plan.max_parallel for depth in depths):
        return "plan-too-parallel"
    if any(step.tool not in manifests for step in plan.steps):
        return "unknown-tool"
    return ""


def _steps(
    constitution: Constitution, manifests: Mapping[Digest, ToolManifest], change: Change, plan: Plan, facts: Facts
) -> str:
    for step in plan.steps:
        for problem in arguments.problems(step, manifests[step.tool], plan.blobs):
            return problem.rule
    if any(arg.trust > change.origin.trust for step in plan.steps for arg in step.args.values()):
        return "trust-raised"
    tools = [manifests[step.tool] for step in plan.steps]
    if not facts.tripcode and any(tool.tier >= constitution.plan.tripcode_from_tier for tool in tools):
        return "tripcode-needed"
    if any(tool.network or tool.egress for tool in tools):
        return "network-denied"
    return ""


def _never(
    constitution: Constitution, manifests: Mapping[Digest, ToolManifest], plan: Plan, evidence: Sequence[Evidence]
) -> str:
    broken = {name for name, _ in never.breaches(plan, manifests, constitution.unrevertible_tools)}
    broken |= {found.name for item in evidence for found in item.findings}
    return min(broken & set(constitution.never), default="")


def _layers(
    constitution: Constitution, manifests: Mapping[Digest, ToolManifest], stage: Stage, plan: Plan, facts: Facts
) -> str:
    if stage in (Stage.PLAN, Stage.DEBATE):
        return ""
    needed = set(constitution.sandbox.required_layers)
    for step in plan.steps:
        needed.update(manifests[step.tool].isolation)
    cgroup = {"cgroup-memory", "cgroup-pids", "cgroup-cpu"}
    needed = needed - cgroup if constitution.sandbox.allow_without_cgroup else needed | cgroup
    return "layer-missing" if any(facts.layers.get(layer) is not True for layer in needed) else ""


def _watch(constitution: Constitution, change: Change, facts: Facts, evidence: Sequence[Evidence]) -> Answer:
    """Before the watch anything sealed may be watched; after it the postconditions of the kind must hold."""
    if not change.green:
        return "refused", "not-sealed"
    if not facts.watched:
        return _PASSED
    wanted = constitution.postconditions[change.subject.kind]
    broken = _judged(change, {name for name in wanted if name != "probe"}, evidence)
    if broken:
        return "refused", broken
    if facts.violations:
        return "held", "violation-seen"
    if any(item.verdict == "inconclusive" for item in evidence):
        return "held", "inconclusive"
    short = "probe" in wanted and facts.probe_green_s < constitution.tests.probe_seconds
    return ("held", "probe-short") if short else _PASSED


def _green(change: Change, stage: Stage) -> str:
    if stage in (Stage.VERIFY, Stage.APPROVE, Stage.PROMOTE):
        if change.green is None:
            return "not-sealed"
        if not change.seals:
            return "not-rehearsed"
    return ""


def _snapshots(
    constitution: Constitution, manifests: Mapping[Digest, ToolManifest], stage: Stage, plan: Plan, facts: Facts
) -> str:
    if stage not in (Stage.APPROVE, Stage.PROMOTE):
        return ""
    needed = {step.id for step in plan.steps if manifests[step.tool].tier >= constitution.plan.snapshot_from_tier}
    return "" if needed <= facts.snapshots else "snapshot-missing"


def _nothing(change: Change, stage: Stage) -> str:
    return "nothing-changed" if stage in (Stage.APPROVE, Stage.PROMOTE) and change.green == change.base else ""


def _evidence(change: Change, stage: Stage, plan: Plan, evidence: Sequence[Evidence]) -> str:
    if stage not in (Stage.APPROVE, Stage.PROMOTE):
        return ""
    needed = {"reseal", "classify", "scan"}
    if plan.subject.kind is Kind.WORKSPACE:
        needed |= {"loosened", "tests", "own-tests"}
    return _judged(change, needed, evidence)


def _judged(change: Change, needed: set[str], evidence: Sequence[Evidence]) -> str:
    if any(item.about != change.green for item in evidence):
        return "evidence-of-another-green"
    if not needed <= {item.check for item in evidence}:
        return "evidence-missing"
    for item in evidence:
        if item.verdict == "flaky":
            return "flaky"
        if item.verdict == "fail":
            named = item.findings[0].name if item.findings else ""
            return item.facts.get("why") or named or f"{item.check}-failed"
    testing = ("tests", "own-tests", "live-tests")
    unusable = any(e.verdict == "broken-before" and e.check not in testing for e in evidence)
    return "evidence-unusable" if unusable else ""


def _paths(constitution: Constitution, plan: Plan, evidence: Sequence[Evidence]) -> str:
    paths = [file.why for item in evidence if item.check == "classify" for file in item.findings]
    if not all(Globs(constitution.allowed_paths).match(path) for path in paths):
        return "path-not-allowed"
    untrusted = _untrusted(plan)
    if untrusted and _itself(evidence):
        return "greenroom-itself"
    protected = any(Globs(constitution.protected_paths).match(path) for path in paths)
    return "protected-path" if untrusted and protected else ""


def _untrusted(plan: Plan) -> bool:
    trusts = [arg.trust for step in plan.steps for arg in step.args.values()]
    return not trusts or min(trusts) == 0


def _itself(evidence: Sequence[Evidence]) -> bool:
    return any(item.facts.get("greenroom-on-base") or item.facts.get("greenroom-on-green") for item in evidence)


def _conditions(policy: Digest, stage: Stage, facts: Facts) -> str:
    if facts.policy != policy:
        return "policy-mismatch"
    return "violation-seen" if facts.violations and stage in (Stage.APPROVE, Stage.PROMOTE) else ""


def _waiting(
    constitution: Constitution,
    manifests: Mapping[Digest, ToolManifest],
    change: Change,
    stage: Stage,
    plan: Plan,
    facts: Facts,
    evidence: Sequence[Evidence],
    *,
    swapped: bool,
) -> str:
    if any(item.verdict == "inconclusive" for item in evidence):
        return "inconclusive"
    if swapped or stage in (Stage.PLAN, Stage.DEBATE):
        return ""
    if stage is Stage.PROMOTE and facts.health:
        return facts.health[0].rule
    if stage is not Stage.APPROVE and facts.disk_free_bytes < constitution.sandbox.min_disk_free_bytes:
        return "disk-low"
    if stage not in (Stage.APPROVE, Stage.PROMOTE):
        return ""
    classified = [item for item in evidence if item.check == "classify"]
    score = risk.weigh(plan, evidence, manifests, Globs(constitution.protected_paths)).score
    if change.risk is not None and change.risk.score > score:
        score = change.risk.score
    after = {
        "day-cap-changes": (facts.totals.changes + 1, constitution.caps.changes),
        "day-cap-lines": (
            facts.totals.lines + (risk.lines_of(classified[0]) if classified else 0),
            constitution.caps.lines,
        ),
        "day-cap-risk": (facts.totals.risk + score, constitution.caps.risk),
        "day-cap-spend": (facts.totals.spend_micro, constitution.caps.spend_micro),
    }
    return next((rule for rule, (total, cap) in after.items() if total > cap), "")
