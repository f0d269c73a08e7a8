"""Plan: words or a finding become a typed plan. Thinkers return bytes; here they are parsed and labelled."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.plan import Arg, Plan, Step
from greenroom.domain.ports import Store
from greenroom.domain.proposal import Proposal, read
from greenroom.domain.terms import Terms
from greenroom.domain.verdict import Passed
from greenroom.domain.vocabulary import Subject
from greenroom.pipeline.flow import Done

MAX_PATCH_BYTES = 4 * 1024 * 1024


def _no_terms(subject: Subject) -> Terms | None:
    del subject
    return None


class PlanStage:
    """Turns a stored proposal into a plan of one step, `apply_patch_t1`, bound to base and golden.

    `terms` gives what the subject's settings say of its commits and caps.
    """

    def __init__(
        self,
        *,
        store: Store,
        apply_tool: str,
        tools: Callable[[], Mapping[str, Digest]],
        terms: Callable[[Subject], Terms | None] = _no_terms,
    ) -> None:
        self._store = store
        self._apply_tool = apply_tool
        self._tools = tools
        self._terms = terms

    def run(self, change: Change) -> Done:
        """Store the plan; `plan` of the change is its digest."""
        proposal = read_proposal(self._store, change)
        self._store.get(proposal.patch, MAX_PATCH_BYTES)
        plan = Plan(
            subject=change.subject,
            intent=proposal.summary,
            base=change.base,
            golden=change.golden,
            steps=(self._apply(change, proposal),),
            blobs=(proposal.patch,),
            terms=self._terms(change.subject),
        )
        digest = self._store.put("plan", documents.encode(plan))
        return Done(Passed(produced={"plan": digest}), dataclasses.replace(change, plan=digest))

    def _apply(self, change: Change, proposal: Proposal) -> Step:
        tool = self._tools().get(self._apply_tool)
        if tool is None:
            raise Unusable("unknown-tool", f"the signed policy has no tool {self._apply_tool!r}")
        patch = Arg(value=proposal.patch, trust=change.origin.trust)
        return Step(id="apply", tool=tool, args={"patch": patch})


def read_proposal(store: Store, change: Change) -> Proposal:
    """The proposal that `change` was made from, strictly parsed."""
    return read(store, change.request)
