"""Run the tests of a repository as they stand: between walls, on golden, with its dependencies. Nothing is changed.

It is what verify does on base: the same import, settings, toolchain and tool. The repository is not adopted, so live,
changes and settings stay as they are; the run is of an occasion of its own, so it is no evidence for any change.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.errors import TooLarge, Unusable
from greenroom.domain.events import Event
from greenroom.domain.outcomes import Run, TestRun, conclude, verdict_on
from greenroom.domain.ports import CheckRun
from greenroom.domain.proof import Import, Predicate, Receipt, RunOutput
from greenroom.domain.settings import Merged, Values
from greenroom.domain.verdict import Held, Passed, Refused, Verdict
from greenroom.domain.vocabulary import Subject
from greenroom.pipeline.house import House, Tell
from greenroom.pipeline.improving import workspace
from greenroom.pipeline.plain import verdict_plain
from greenroom.pipeline.settings import allowed, merged_at, not_allowed

TOOL = "run_tests_t1"
EVENT = "tests.ran"
FAILED = "tests-failed"
NONE = "no-runnable-tests"
FORGED = "tests-forged"
MAX_RESULT_BYTES = 8 * 1024 * 1024
MOST_NAMES = 200
"""How many tests that do not pass an answer names."""
_BAD = ("failed", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """All that a run needs, and what could not be had for it."""

    brought: Import
    golden: Digest
    lacking: tuple[str, ...]
    args: Mapping[str, str | int]


def run_tests(
    house: House, ticket: str, *, path: str, branch: str, own: Values, actor: str, tell: Tell
) -> dict[str, Any]:
    """The tests of the repository presented for `ticket`, each with its outcome, and a verdict.

    Passed where none fails; Refused `tests-failed` where one does, `tests-forged` where the run cannot be believed;
    Held where no test could be run, with the reason. `own` are the box's own settings; Unusable as `settle` has it.
    """
    subject = workspace(path, branch)
    answer = _nothing(subject)
    ready = _ready(house, subject, ticket, branch=branch, own=own, tell=tell)
    if not isinstance(ready, _Ready):
        return _told(house, answer, ready, actor)
    answer |= {"tree": ready.brought.tree, "commit": ready.brought.commit, "lacking": list(ready.lacking)}
    tell({"event": "tests", "subject": str(subject)})
    envelope = house.keeper.check(
        CheckRun(
            check="tests",
            role="base",
            tool=house.tools()[TOOL],
            args=ready.args,
            trees={"work": ready.brought.tree},
            golden=ready.golden,
            # What a person asks for runs; that it ran before is no answer, and what comes of it is proof of nothing.
            occasion=house.store.put("text", secrets.token_bytes(16)),
        )
    )
    if isinstance(envelope, Refused):
        return _told(house, answer, envelope, actor)
    run, output = _opened(house, envelope)
    answer |= {"receipt": envelope, "stdout": output.stdout, "stderr": output.stderr}
    answer["took_ms"] = run.receipt.usage.wall_ms
    if isinstance(run.result, TestRun):
        answer |= _counted(run.result)
    return _told(house, answer, _verdict(run), actor)


def _nothing(subject: Subject) -> dict[str, Any]:
    """The answer before there is anything to tell."""
    empty = {"tree": None, "commit": None, "receipt": None, "stdout": None, "stderr": None, "took_ms": 0}
    lists: dict[str, Any] = {"lacking": [], "failing": [], "notes": [], "counts": {}, "framework": "", "python": ""}
    return {"subject": str(subject), **empty, **lists}


def _ready(
    house: House, subject: Subject, ticket: str, *, branch: str, own: Values, tell: Tell
) -> _Ready | Refused | Held:
    """Taken in, but not adopted; its settings asked; its toolchain and dependencies prepared."""
    tell({"event": "import", "subject": str(subject)})
    envelope = house.keeper.bring(subject, ticket, branch or None)
    if isinstance(envelope, Refused):
        return envelope
    body = house.attestor.open(house.store.get(envelope), Predicate.IMPORT, "keeper").body
    brought = documents.decode(Import, body)
    tell({"event": "imported", "tree": brought.tree, "commit": brought.commit})
    merged = merged_at(house, subject, brought.tree, own, ())
    if not isinstance(merged, Merged):
        return merged
    if not allowed(house, subject, merged):
        return not_allowed(merged)
    if TOOL not in house.tools():
        return Refused(rule="tool-unknown", where=TOOL, remedy="greenroom init, which signs this installation's tools")
    tell({"event": "prepare"})
    prepared = house.prepare(brought.tree)
    if isinstance(prepared, Held):
        return prepared
    tell({"event": "prepared", "notes": list(prepared[1])})
    terms = merged.terms(house.caps())
    names = terms.environment if terms is not None else ()
    args = {"argv": merged.command} if merged.command else {}
    return _Ready(
        brought=brought,
        golden=prepared[0],
        lacking=prepared[1],
        args={**args, **({"environment": " ".join(names)} if names else {})},
    )


def _opened(house: House, envelope: Digest) -> tuple[Run, RunOutput]:
    signed = house.attestor.open(house.store.get(envelope), Predicate.RECEIPT, "keeper")
    receipt = documents.decode(Receipt, signed.body)
    output = documents.decode(RunOutput, house.store.get(receipt.output))
    return Run(digest=envelope, receipt=receipt, result=_result(house, output)), output


def _result(house: House, output: RunOutput) -> TestRun | None:
    """The result document; None where the tool left none that can be read."""
    if output.result is None:
        return None
    try:
        return documents.decode(TestRun, house.store.get(output.result, MAX_RESULT_BYTES), limit=MAX_RESULT_BYTES)
    except TooLarge:
        return None
    except Unusable as error:
        if error.reference in ("bad-json", "bad-document", "bad-digest"):
            return None
        raise


def _counted(result: TestRun) -> dict[str, Any]:
    """What came of the tests: how many of each outcome, and the names of those that do not pass."""
    failing = sorted(name for name, outcome in result.outcomes.items() if outcome in _BAD)
    return {
        "framework": result.framework,
        "python": result.python,
        "counts": dict(sorted(Counter(result.outcomes.values()).items())),
        "failing": failing[:MOST_NAMES],
        "notes": list(result.notes),
    }


def _verdict(run: Run) -> Verdict:
    result = run.result
    if run.receipt.ended_by != "exit" or not isinstance(result, TestRun):
        return verdict_on([conclude("tests", run.receipt.mounted["work"], [run])])
    if result.framework == "none":
        where = "; ".join(result.notes)[:300] or "the tree says of no test how it is run"
        remedy = "set how they run: `greenroom improve REPO --test-command`, or `test-command` in greenroom.toml"
        return Held(rule=NONE, where=where, remedy=remedy)
    if result.sentinel != "failed":
        where = "a test that must fail was not reported as failing, so what the others say cannot be believed"
        return Refused(
            rule=FORGED, where=where, remedy="see what the repository's conftest.py and plugins do to reports"
        )
    bad = sorted(name for name, outcome in result.outcomes.items() if outcome in _BAD)
    if bad:
        first = ", ".join(bad[:3]) + (", ..." if len(bad) > 3 else "")
        remedy = "mend the tests, or what they test; the runs of a change count these as failing before"
        return Refused(rule=FAILED, where=f"{len(bad)} of {len(result.outcomes)}: {first}"[:300], remedy=remedy)
    return Passed()


def _told(house: House, answer: dict[str, Any], verdict: Verdict, actor: str) -> dict[str, Any]:
    """The answer with its verdict, once the log says that a run was asked for and how it ended."""
    house.guard.append(
        Event(
            key=f"{EVENT}/{secrets.token_hex(16)}",
            at=house.clock.now(),
            actor=actor,
            name=EVENT,
            about="passed" if isinstance(verdict, Passed) else verdict.rule,
            digests={name: answer[name] for name in ("tree", "receipt") if answer[name] is not None},
        )
    )
    return {**answer, "verdict": verdict_plain(verdict)}
