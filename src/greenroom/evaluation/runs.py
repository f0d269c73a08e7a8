"""Receipts of the keeper, opened: the signed record, the stored output it names, and the parsed result."""

from __future__ import annotations

from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.errors import TooLarge, Unusable
from greenroom.domain.outcomes import RESULTS, DiffClass, Run, ScanResult, TestRun
from greenroom.domain.ports import Attestor, Store
from greenroom.domain.proof import Predicate, Receipt, RunOutput, Seal

MAX_RESULT_BYTES = 8 * 1024 * 1024


def open_run(store: Store, attestor: Attestor, envelope: Digest) -> Run:
    """The run that the keeper signed as `envelope`.

    Raises Tampered when the keeper did not sign it, NotFound or Unusable when what it names cannot be read.
    A result document that the tool left malformed is no result: the rules then call the run inconclusive.
    """
    signed = attestor.open(store.get(envelope), Predicate.RECEIPT, "keeper")
    receipt = documents.decode(Receipt, signed.body)
    return Run(digest=envelope, receipt=receipt, result=_result(store, receipt))


def open_seal(store: Store, attestor: Attestor, envelope: Digest) -> Seal:
    """The seal that the keeper signed as `envelope`; raises Tampered when it did not."""
    return documents.decode(Seal, attestor.open(store.get(envelope), Predicate.SEAL, "keeper").body)


def _result(store: Store, receipt: Receipt) -> TestRun | ScanResult | DiffClass | None:
    kind = RESULTS.get(receipt.check)
    output = documents.decode(RunOutput, store.get(receipt.output))
    if kind is None or output.result is None:
        return None
    try:
        return documents.decode(kind, store.get(output.result, MAX_RESULT_BYTES), limit=MAX_RESULT_BYTES)
    except TooLarge:
        return None
    except Unusable as error:
        if error.reference in ("bad-json", "bad-document", "bad-digest"):
            return None
        raise
