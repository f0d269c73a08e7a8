"""May it happen? The Policy port on Cedar: default deny, and a forbid beats every permit.

`question` gathers plain facts, `gate.cedar` decides over them and the constitution's limits, `rules` turns the first
broken rule into words. Policies, limits and patterns are parsed once, when the policy is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources

import cedarpy

from greenroom.domain.arguments import int_range
from greenroom.domain.change import Change
from greenroom.domain.constitution import Constitution
from greenroom.domain.debate import Transcript
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Bug
from greenroom.domain.patterns import compile_pattern
from greenroom.domain.plan import Plan, ToolManifest
from greenroom.domain.ports import Facts
from greenroom.domain.proof import Evidence, Risk
from greenroom.domain.verdict import Passed, Verdict
from greenroom.domain.vocabulary import Agree, ConsentLevel, Mode, Stage
from greenroom.policy import consent, question, risk, rules
from greenroom.policy.vocabulary import CHECKS

_RESOURCE = {"type": "Constitution", "id": "box"}


class CedarPolicy:
    """The policy of a box: one constitution and the tools it knows, by manifest digest. Pure and safe to share."""

    def __init__(self, digest: Digest, constitution: Constitution, manifests: Mapping[Digest, ToolManifest]) -> None:
        """Parse everything once; raises Unusable for a pattern or glob that cannot be used."""
        self._law = question.law(digest, constitution, dict(manifests))
        for manifest in manifests.values():
            _check_patterns(manifest)
        text = cedar_text()
        checked = cedarpy.validate_policies(text, _read("gate.cedarschema"))
        if not checked.validation_passed:
            raise Bug("bad-gate", f"the gate does not fit its schema: {'; '.join(map(str, checked.errors))}")
        self._policies = cedarpy.PolicySet.from_str(text)
        self._entities = cedarpy.Entities.from_json_str(json.dumps(entities(constitution)), _read("gate.cedarschema"))

    @property
    def digest(self) -> Digest:
        """The digest of the policy bundle."""
        return self._law.digest

    @property
    def constitution(self) -> Constitution:
        """The constitution in force."""
        return self._law.constitution

    @property
    def tools(self) -> Mapping[str, Digest]:
        """The manifest digest of each tool, by the tool's name."""
        return {manifest.name: digest for digest, manifest in self._law.manifests.items()}

    def may(
        self, change: Change, stage: Stage, plan: Plan | None, facts: Facts, evidence: Sequence[Evidence] = ()
    ) -> Verdict:
        """Passed, or the first rule that says no or not yet, with its place and remedy."""
        asked = question.ask(self._law, change, stage, plan, facts, evidence)
        answer = cedarpy.is_authorized(request(change, stage, asked), self._policies, self._entities)
        diagnostics = answer.diagnostics
        if diagnostics.errors:
            raise Bug("bad-gate", f"the gate could not decide: {diagnostics.errors[0]}")
        if answer.allowed:
            return Passed()
        broken = diagnostics.id_annotations_by_reason.values()
        return rules.verdict(broken, asked.details, f"{stage.value} of {change.id}", facts.now)

    def checks(self, plan: Plan) -> tuple[str, ...]:
        """The checks that `plan` needs before it may be approved."""
        return CHECKS[plan.subject.kind]

    def weigh(self, plan: Plan, evidence: Sequence[Evidence], debate: Transcript | None = None) -> Risk:
        """The risk of `plan` given what its checks found, and what a debate adds to it.

        Raises Unusable `debate-differs` for a transcript whose rulings are not what the judge makes of its reviews.
        """
        return risk.weigh(plan, evidence, self._law.manifests, self._law.protected, debate)

    def agree(self, mode: Mode, level: ConsentLevel) -> Agree:
        """Who must agree in `mode` at `level`."""
        return consent.agree(mode, level)

    def manifest(self, tool: Digest) -> ToolManifest | None:
        """The manifest with digest `tool`, if the signed policy has it."""
        return self._law.manifests.get(tool)


def cedar_text() -> str:
    """The rules of the gate, in Cedar."""
    return _read("gate.cedar")


def request(change: Change, stage: Stage, asked: question.Question) -> dict[str, object]:
    """The Cedar request for one decision."""
    return {
        "principal": {"type": "Subject", "id": change.subject.kind.value},
        "action": {"type": "Action", "id": stage.value},
        "resource": _RESOURCE,
        "context": json.dumps(asked.context),
    }


def entities(constitution: Constitution) -> list[dict[str, object]]:
    """The constitution's limits as the one entity that the gate's rules read."""
    limits = {
        "max_steps": constitution.plan.max_steps,
        "max_parallel": constitution.plan.max_parallel,
        "tripcode_from_tier": constitution.plan.tripcode_from_tier,
        "never": list(constitution.never),
        "required_layers": list(question.required_layers(constitution)),
        "min_disk_free": constitution.sandbox.min_disk_free_bytes,
        "cap_changes": constitution.caps.changes,
        "cap_lines": constitution.caps.lines,
        "cap_risk": constitution.caps.risk,
        "cap_spend": constitution.caps.spend_micro,
        "probe_seconds": constitution.tests.probe_seconds,
    }
    return [{"uid": _RESOURCE, "attrs": limits, "parents": []}]


def _check_patterns(manifest: ToolManifest) -> None:
    for rule in manifest.args.values():
        if rule.type == "int":
            int_range(rule.allow)
        else:
            compile_pattern(rule.allow)
            compile_pattern(rule.deny)


def _read(name: str) -> str:
    return resources.files("greenroom.policy").joinpath(name).read_text("utf-8")
