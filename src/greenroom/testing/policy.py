"""A policy for tests: it permits everything unless told otherwise, and remembers what it was asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from greenroom.domain.change import Change
from greenroom.domain.debate import Transcript
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.plan import Plan, ToolManifest
from greenroom.domain.ports import Facts
from greenroom.domain.proof import Contribution, Evidence, Risk
from greenroom.domain.verdict import Held, Passed, Refused, Verdict
from greenroom.domain.vocabulary import CONSENT, Agree, ConsentLevel, Mode, Stage


class FakePolicy:
    """The Policy port, scripted.

    `verdicts` answers by stage (Passed where it says nothing; a stop in the facts always holds); `required` are the
    checks of every plan; `level` and `points` make up every risk; `manifests` are the known tools by digest.
    """

    def __init__(
        self,
        *,
        manifests: Mapping[Digest, ToolManifest] | None = None,
        required: Sequence[str] = ("reseal", "classify", "scan"),
        level: ConsentLevel = ConsentLevel.REVIEW,
        points: int = 10,
        verdicts: Mapping[Stage, Verdict] | None = None,
        digest: Digest | None = None,
    ) -> None:
        self.verdicts: dict[Stage, Verdict] = dict(verdicts or {})
        self.asked: list[tuple[str, Stage]] = []
        self._manifests = dict(manifests or {})
        self._required = tuple(required)
        self._risk = Risk(contributions=(Contribution(name="fake", points=points, why="a fake policy"),), level=level)
        self._digest = digest or digest_of("policy", b"fake policy")

    @property
    def digest(self) -> Digest:
        """A digest of kind `policy`."""
        return self._digest

    @property
    def tools(self) -> Mapping[str, Digest]:
        """The manifest digest of each tool, by the tool's name."""
        return {manifest.name: digest for digest, manifest in self._manifests.items()}

    def may(
        self, change: Change, stage: Stage, plan: Plan | None, facts: Facts, evidence: Sequence[Evidence] = ()
    ) -> Verdict:
        """The scripted verdict; held as `stopped` under a stop, refused without evidence that is required."""
        self.asked.append((change.id, stage))
        if facts.stopped:
            return Held(rule="stopped", where=f"{stage.value} of {change.id}", remedy="greenroom lift")
        if stage in self.verdicts:
            return self.verdicts[stage]
        if stage not in (Stage.PLAN, Stage.WATCH) and plan is None:
            return Refused(rule="plan-missing", where=stage.value, remedy="plan first")
        missing = set(self._required) - {item.check for item in evidence}
        if stage in (Stage.APPROVE, Stage.PROMOTE) and missing:
            return Refused(rule="evidence-missing", where=", ".join(sorted(missing)), remedy="verify first")
        return Passed()

    def checks(self, plan: Plan) -> tuple[str, ...]:
        """The same checks for every plan."""
        del plan
        return self._required

    def weigh(self, plan: Plan, evidence: Sequence[Evidence], debate: Transcript | None = None) -> Risk:
        """The same risk for every plan, and ten points more for each round of a debate but the first."""
        del plan, evidence
        if debate is None:
            return self._risk
        said = Contribution(name="debate", points=10 * (len(debate.rounds) - 1), why=debate.why)
        return dataclasses.replace(self._risk, contributions=(*self._risk.contributions, said))

    def agree(self, mode: Mode, level: ConsentLevel) -> Agree:
        """The matrix of the house."""
        return CONSENT[mode][level]

    def manifest(self, tool: Digest) -> ToolManifest | None:
        """The manifest with digest `tool`, if it was given."""
        return self._manifests.get(tool)
