"""Where the tests of an overlay are, as a run of these very tests told; read from the keeper's own receipts only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.outcomes import OVERLAID, TestRun
from greenroom.domain.ports import Attestor, CheckRun, Store
from greenroom.domain.proof import Predicate, Receipt, RunOutput
from greenroom.domain.testfiles import SuiteFiles
from greenroom.domain.verdict import Refused

ROLE, MOUNT = "base", "work"
"""The role of the run that tells, and where the tree lay that it ran on."""


def telling(run: CheckRun) -> CheckRun | None:
    """The run on base whose receipt alone may tell where the tests of `run` are; None where it lays none over."""
    if run.overlay is None or len(set(run.overlay) & run.trees.keys()) < len(run.overlay):
        return None
    return replace(run, role=ROLE, trees={MOUNT: run.trees[run.overlay[0]]}, overlay=None, suite=None)


def unfit(run: CheckRun, concluded: Digest | None) -> Refused | None:
    """Refused `bad-suite` unless `run` names `concluded`, the answer on record of the run on base that tells.

    With a choice of suites, or with none, the same run would be another in the record, and could be drawn again.
    """
    if telling(run) is None:
        fits = run.suite is None
    elif run.suite is None:
        fits = run.check not in OVERLAID
    else:
        fits = run.suite == concluded
    if fits:
        return None
    where = f"{run.check}/{run.role}, suite {run.suite}: not the receipt on record of the same check on base"
    remedy = f"ask for {run.check}/{ROLE} first, and name the receipt that it gives"
    return Refused(rule="bad-suite", where=where[:300], remedy=remedy)


def told(store: Store, attestor: Attestor, run: CheckRun) -> SuiteFiles | None:
    """Where the run that `run.suite` names found its tests; None where none is named, or it did not tell.

    It must be the run of the same check on the overlay's source alone, by the same tool and toolchain, with the same
    arguments, for the same occasion. Raises Unusable `bad-suite` for any other, Tampered, NotFound.
    """
    if run.suite is None or run.overlay is None:
        return None
    receipt = documents.decode(Receipt, attestor.open(store.get(run.suite), Predicate.RECEIPT, "keeper").body)
    request = documents.load_json(store.get(receipt.args))
    source = {MOUNT: run.trees[run.overlay[0]]}
    alike = (
        (receipt.check, receipt.role, receipt.tool) == (run.check, ROLE, run.tool)
        and (receipt.golden, receipt.occasion) == (run.golden, run.occasion)
        and dict(receipt.mounted) == source == dict(receipt.laid)
        and isinstance(request, dict)
        and _given(request.get("args")) == _given(run.args)
    )
    if not alike:
        where = f"{run.check}/{run.role}, suite {run.suite}"
        raise Unusable("bad-suite", "a suite is the receipt of the same check on base", where=where[:200])
    output = documents.decode(RunOutput, store.get(receipt.output))
    if receipt.ended_by != "exit" or output.result is None:
        return None
    try:
        return documents.decode(TestRun, store.get(output.result)).suite
    except Unusable:
        return None


def _given(args: object) -> Mapping[str, object]:
    """An empty text is as good as no argument."""
    return {name: value for name, value in args.items() if value != ""} if isinstance(args, Mapping) else {}
