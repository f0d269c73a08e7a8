"""The card: everything a person needs to see of a change, as one stored document. `shown` is its digest.

`card_of` makes it from papers and from nothing else, so that the guard can make it again and compare.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from greenroom.domain.digest import Digest
from greenroom.domain.outcomes import DiffClass, FileDiff, Run, TestRun
from greenroom.domain.plan import Plan
from greenroom.domain.proof import Contribution, Evidence, Risk
from greenroom.domain.proposal import Proposal
from greenroom.domain.vocabulary import CGROUP_LAYERS, Agree, ChangeId, ConsentLevel, Origin, Subject

READ_IT = (
    "it is level {}: a person reads the diff. "
    'To set the command that runs the tests: greenroom improve REPO --test-command "python -m pytest tests"'
)
NO_TESTS = "no test of this repository could be run in the sandbox, so the tests say nothing about this change"
SHOWN = ("classify", "tests")
"""The checks whose runs a card tells of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A change as it is shown. Text from outside is escaped when rendered, not here; nothing is truncated.

    `summary`, `rationale`, `expected`, `confidence`, `rule` and `suggested_tests` are the proposer's words: those of
    the stored document `proposal`, which the first cards did not name. All else follows from plan, receipts, seals,
    golden, debate and policy.
    """

    change: ChangeId
    subject: Subject
    proposal: Digest | None = None
    summary: str
    rationale: str
    expected: str
    confidence: int
    rule: str
    patch: Digest
    files: tuple[FileDiff, ...]
    suggested_tests: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    risk: Risk
    agree: Agree
    origin: Origin
    plan: Digest
    base: Digest
    green: Digest
    golden: Digest
    debate: Digest | None
    tools: Mapping[str, str]
    environment: Mapping[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """What a card is made from. `golden` is the toolchain's document; of `runs`, those of the checks in SHOWN count."""

    change: ChangeId
    plan_digest: Digest
    plan: Plan
    green: Digest
    proposal_digest: Digest
    proposal: Proposal
    golden: Any
    evidence: tuple[Evidence, ...]
    runs: Sequence[Run]
    risk: Risk
    agree: Agree
    origin: Origin
    debate: Digest | None
    test_command: str | None


def card_of(papers: Papers) -> Card:
    """The card of a change, a pure function of its papers."""
    proposal, plan = papers.proposal, papers.plan
    golden = papers.golden if isinstance(papers.golden, dict) else {}
    command = {"test-command": papers.test_command} if papers.test_command else {}
    return Card(
        change=papers.change,
        subject=plan.subject,
        proposal=papers.proposal_digest,
        summary=proposal.summary,
        rationale=proposal.rationale,
        expected=proposal.expected,
        confidence=proposal.confidence,
        rule=proposal.rule,
        patch=proposal.patch,
        files=_files(papers.runs),
        suggested_tests=proposal.suggested_tests,
        evidence=papers.evidence,
        risk=papers.risk,
        agree=papers.agree,
        origin=papers.origin,
        plan=papers.plan_digest,
        base=plan.base,
        green=papers.green,
        golden=plan.golden,
        debate=papers.debate,
        tools={f"plan step {step.id}": step.tool for step in plan.steps}
        | {f"proposer {proposal.proposer}": proposal.proposer_version},
        environment={**_environment(golden), **command, **_terms(plan)},
        notes=(*_notes(golden, papers.evidence, papers.risk.level), *_left_out(papers.runs), *_open_walls(papers.runs)),
    )


def differences(shown: Card, found: Card) -> Iterator[str]:
    """The members in which a card is not what it should be; the order of receipts and contributions tells nothing."""
    one, other = _ordered(shown), _ordered(found)
    for field in dataclasses.fields(Card):
        if getattr(one, field.name) != getattr(other, field.name):
            yield field.name


def _ordered(card: Card) -> Card:
    evidence = [dataclasses.replace(item, receipts=tuple(sorted(item.receipts))) for item in card.evidence]
    contributions = tuple(sorted(card.risk.contributions, key=_key))
    return dataclasses.replace(
        card,
        evidence=tuple(sorted(evidence, key=lambda item: item.check)),
        risk=dataclasses.replace(card.risk, contributions=contributions),
    )


def _key(part: Contribution) -> tuple[str, int, str, str]:
    return part.name, part.points, part.why, part.source or ""


def _files(runs: Sequence[Run]) -> tuple[FileDiff, ...]:
    classified = [run.result for run in runs if run.receipt.check == "classify"]
    return next((result.files for result in classified if isinstance(result, DiffClass)), ())


def _environment(golden: Mapping[str, Any]) -> Mapping[str, str]:
    found = {"python tested": str(golden.get("python", "")), "interpreter": str(golden.get("interpreter", ""))}
    host = golden.get("host", {})
    if isinstance(host, dict):
        found |= {f"host {name}": str(value) for name, value in host.items()}
    packages = golden.get("packages", {})
    if isinstance(packages, dict):
        found["toolchain"] = ", ".join(f"{name} {version}" for name, version in sorted(packages.items()))
    indexes = golden.get("indexes", {})
    if isinstance(indexes, dict):
        found |= {f"dependencies from {index}": str(names) for index, names in sorted(indexes.items())}
    pinned = golden.get("environment", {})
    if isinstance(pinned, dict) and pinned:
        found["cell environment"] = ", ".join(f"{name}={value}" for name, value in sorted(pinned.items()))
    return found


def _terms(plan: Plan) -> Mapping[str, str]:
    """What the commit will say beside the change itself, and the caps that were lowered."""
    terms = plan.terms
    if terms is None:
        return {}
    caps = {"changes": terms.changes, "lines": terms.lines, "risk": terms.risk}
    said = {
        "commit author": terms.author,
        "commit trailers": "; ".join(terms.trailers),
        "test environment": ", ".join(terms.environment),
        "day caps": ", ".join(f"{name} {cap}" for name, cap in caps.items() if cap is not None),
    }
    return {name: text for name, text in said.items() if text}


def _notes(golden: Mapping[str, Any], evidence: Sequence[Evidence], level: ConsentLevel) -> Iterator[str]:
    said = golden.get("notes", [])
    yield from (str(note) for note in said if isinstance(said, list))
    for item in evidence:
        if item.check == "tests" and item.verdict == "broken-before":
            why = item.facts.get("why", "")
            share = f"{item.facts['share']} %, " if item.facts.get("share") else ""
            few = f"too few of base's tests pass here ({share}{why}) to speak for this change"
            yield f"{NO_TESTS if why == 'no-runnable-tests' else few}; {READ_IT.format(int(level))}"
        if item.check == "tests" and item.facts.get("skipped", "0") != "0":
            yield f"{item.facts['skipped']} tests were skipped"


def _left_out(runs: Sequence[Run]) -> Iterator[str]:
    """The tests that fail on the unchanged code too, each with its reason as the run noted it."""
    for run in runs:
        ran = run.result if (run.receipt.check, run.receipt.role) == ("tests", "base") else None
        if not isinstance(ran, TestRun):
            continue
        failing = sum(outcome in ("failed", "error") for outcome in ran.outcomes.values())
        if failing:
            yield f"{failing} tests fail here on the unchanged code too and are left out of the comparison"
        yield from (note for note in ran.notes if note.startswith(("failed: ", "error: ")))


def _open_walls(runs: Sequence[Run]) -> Iterator[str]:
    """The layers of the sandbox that some run went without."""
    told = [run.receipt.layers for run in runs if run.receipt.check in SHOWN]
    missing = sorted({name for layers in told for name, enforced in layers.items() if not enforced})
    if missing:
        whole = set(CGROUP_LAYERS) & set(missing)
        bounds = "; memory and CPU are limited for each process, not in total" if whole else ""
        yield f"layers of the sandbox that were not enforced: {', '.join(missing)}{bounds}"
