"""The runs of a change as doors show them: what ran, how it ended, and where what it printed is stored.

Read from what the keeper signed. A receipt that cannot be read or believed is a row with its problem, so that the
others are shown all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import GreenroomError, Unusable
from greenroom.domain.outcomes import RESULTS, DiffClass, ScanResult, TestRun
from greenroom.domain.ports import Attestor, Store
from greenroom.domain.proof import Evidence, Predicate, Receipt, RunOutput, Seal

MAX_RESULT_BYTES = 8 * 1024 * 1024
MAX_RUNS, MAX_NOTES, MAX_NOTE = 200, 20, 500
"""How many runs a change's answer has at most, how many notes each, and how many characters a note."""
_NS = 1_000_000_000
_PASSING = ("pass", "broken-before")


def runs_of(change: Change, store: Store, opener: Attestor) -> list[dict[str, Any]]:
    """Each run behind `change`, in order of its papers: the builds' steps, then the checks; at most MAX_RUNS.

    `well` is False where the run did not end by itself with exit 0 and a result without failures; `verdict` is that of
    the evidence it stands behind, empty for a build. `stdout` and `stderr` are digests in the store.
    """
    return [_row(store, opener, *each) for each in islice(_receipts(change, store, opener), MAX_RUNS)]


def uses_of(change: Change, store: Store, opener: Attestor) -> Iterator[tuple[Digest, bool]]:
    """The tool of each run behind `change`, and whether the run ended by itself, with exit 0 and a result.

    Runs whose papers cannot be read or believed are left out: `runs_of` and `greenroom log check` say why.
    """
    for digest, _, _ in _receipts(change, store, opener):
        try:
            receipt = documents.decode(Receipt, opener.open(store.get(digest), Predicate.RECEIPT, "keeper").body)
            output = documents.decode(RunOutput, store.get(receipt.output))
        except GreenroomError:
            continue
        yield receipt.tool, receipt.ended_by == "exit" and receipt.exit == 0 and output.result is not None


def _receipts(change: Change, store: Store, opener: Attestor) -> Iterator[tuple[Digest, str, str]]:
    """Digest, check and verdict of each run; one that stands behind two checks is there once, with the first."""
    seen = set[Digest]()
    for each in _all_receipts(change, store, opener):
        if each[0] not in seen:
            seen.add(each[0])
            yield each


def _all_receipts(change: Change, store: Store, opener: Attestor) -> Iterator[tuple[Digest, str, str]]:
    for digest in change.seals:
        yield from ((step, "build", "") for step in _steps(store, opener, digest))
    yield from ((step, "build", "") for step in change.broken)
    for digest in change.evidence:
        item = documents.decode(Evidence, store.get(digest))
        if item.check != "reseal":
            yield from ((receipt, item.check, item.verdict) for receipt in item.receipts)


def _steps(store: Store, opener: Attestor, digest: Digest) -> tuple[Digest, ...]:
    """The step receipts of a seal; the seal itself where it cannot be read, so that its row says why."""
    try:
        return documents.decode(Seal, opener.open(store.get(digest), Predicate.SEAL, "keeper").body).steps
    except GreenroomError:
        return (digest,)


def _row(store: Store, opener: Attestor, digest: Digest, check: str, verdict: str) -> dict[str, Any]:
    try:
        receipt = documents.decode(Receipt, opener.open(store.get(digest), Predicate.RECEIPT, "keeper").body)
        output = documents.decode(RunOutput, store.get(receipt.output))
        found = _result(store, receipt, output)
    except GreenroomError as error:
        return {"receipt": digest, "check": check, "verdict": verdict, "well": False, "problem": str(error)[:MAX_NOTE]}
    return {
        "receipt": digest,
        "check": receipt.check,
        "role": receipt.role,
        "verdict": verdict,
        "well": receipt.ended_by == "exit" and receipt.exit == 0 and found is not None and not _failures(found),
        "telling": bool(verdict) and verdict not in _PASSING,
        "exit": receipt.exit,
        "ended_by": receipt.ended_by,
        "seconds": round((receipt.ended - receipt.began) / _NS, 3),
        "attempt": receipt.attempt,
        "tests": dict(Counter(found.outcomes.values())) if isinstance(found, TestRun) else {},
        "notes": list(_notes(found)),
        "stdout": output.stdout,
        "stderr": output.stderr,
        "truncated": output.truncated,
    }


Result = TestRun | ScanResult | DiffClass | Mapping[str, Any]


def _result(store: Store, receipt: Receipt, output: RunOutput) -> Result | None:
    """The result document, as a plain mapping where its check has no type of its own; None where there is none."""
    if output.result is None:
        return None
    data = store.get(output.result, MAX_RESULT_BYTES)
    kind = RESULTS.get(receipt.check)
    try:
        if kind is not None:
            return documents.decode(kind, data, limit=MAX_RESULT_BYTES)
        plain = documents.load_json(data, limit=MAX_RESULT_BYTES)
    except Unusable:
        return None
    return plain if isinstance(plain, dict) else None


def _failures(found: Result) -> bool:
    if isinstance(found, TestRun):
        return any(outcome in ("failed", "error") for outcome in found.outcomes.values())
    if isinstance(found, ScanResult):
        return any(finding.blocks for finding in found.findings)
    return isinstance(found, Mapping) and found.get("refused") is not None


def _notes(found: Result | None) -> Iterator[str]:
    said: list[str] = []
    if isinstance(found, TestRun):
        said = list(found.notes)
    elif isinstance(found, ScanResult):
        said = [f"{item.rule}: {item.path}:{item.line}: {item.message}" for item in found.findings]
    yield from (note[:MAX_NOTE] for note in said[:MAX_NOTES])
    if len(said) > MAX_NOTES:
        yield f"{len(said) - MAX_NOTES} notes more"
