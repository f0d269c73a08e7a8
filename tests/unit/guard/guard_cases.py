"""A paper house under the real law: Cedar and the built-in tools, over papers that a test writes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.plan import Arg, Step, ToolManifest
from greenroom.domain.verdict import Held, Refused, Verdict
from greenroom.domain.vocabulary import Trust
from greenroom.policy.decide import CedarPolicy
from greenroom.policy.manifests import BUILTIN, builtin_manifests, manifest_digest
from greenroom.testing.papers import PaperHouse, Papers, papers

MANIFESTS = {
    manifest_digest(manifest): manifest
    for manifest in builtin_manifests({name: digest_of("blob", name.encode()) for name in BUILTIN}).values()
}
TOOLS = {manifest.name: digest for digest, manifest in MANIFESTS.items()}


class LawfulHouse(PaperHouse):
    """A paper house whose policy is Cedar's, over the built-in tools and `more`."""

    more: ClassVar[Mapping[Digest, ToolManifest]] = {}

    def policy(self, name: bytes = b"first", rules: Any = None, **fake: Any) -> Any:
        """A policy that can be put in force, by its digest."""
        digest = super().policy(name, rules, **fake)
        found = self.policies[digest]
        law = CedarPolicy(digest, found.constitution, {**MANIFESTS, **self.more})
        self.policies[digest] = dataclasses.replace(found, policy=law)
        return digest


def one_step(house: PaperHouse, tool: Digest, **values: str | int) -> Papers:
    """A good change whose one step is that tool with these arguments."""
    made = papers(house)
    args = {name: Arg(value=value, trust=Trust.BOX) for name, value in values.items()}
    made.plan = dataclasses.replace(made.plan, steps=(Step(id="apply", tool=tool, args=args),))
    made.plan_digest = house.store.put("plan", documents.encode(made.plan))
    made.seals = (made.seal(), made.seal())
    (run,) = made.opened({"classify": made.receipts["classify"]})
    artifacts = {"diff": made.patch}
    made.receipts["classify"] = made.diff_run("classify", "classify_diff_t0", run.result, artifacts=artifacts)
    return made


def warrant(house: PaperHouse, made: Papers) -> Any:
    """What the guard says once a person has agreed."""
    made.approve()
    return house.guard.warrant(made.dossier())


def told(answer: Verdict | str, rule: str) -> None:
    """Refused or held, by the rule, with a place and a remedy."""
    assert isinstance(answer, Refused | Held), answer
    assert answer.rule == rule
    assert answer.where
    assert answer.remedy
