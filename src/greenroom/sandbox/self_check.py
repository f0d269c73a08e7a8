"""The conformance suite of sandbox drivers: promises, each tried for real. Run by `tests/contract`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from greenroom.sandbox import checks_basics, checks_bounds, checks_walls
from greenroom.sandbox.checking import Bench, BrokenPromise, Check

CHECKS: tuple[Check, ...] = (*checks_basics.check.checks, *checks_bounds.check.checks, *checks_walls.check.checks)
"""All checks; the order is that of the files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How one check went. `skipped` names in `why` the layers that this machine does not give."""

    name: str
    promise: str
    result: Literal["held", "broken", "skipped"]
    why: str
    wall_ms: int


def prove(
    bench: Bench, checks: Iterable[Check] = CHECKS, on_proof: Callable[[Proof], None] | None = None
) -> tuple[Proof, ...]:
    """Runs the checks one after the other; tells each result to `on_proof` as it comes."""
    enforced = bench.walls.layers()
    proofs = []
    for check in checks:
        missing = [layer for layer in check.needs if not enforced.get(layer, False)]
        began = time.monotonic()
        result: Literal["held", "broken", "skipped"] = "held"
        why = ""
        if missing:
            result, why = "skipped", f"not enforced here: {', '.join(missing)}"
        else:
            try:
                check.run(bench)
            except BrokenPromise as broken:
                result, why = "broken", str(broken)
        took = round((time.monotonic() - began) * 1000)
        proof = Proof(name=check.name, promise=check.promise, result=result, why=why, wall_ms=took)
        proofs.append(proof)
        if on_proof is not None:
            on_proof(proof)
    return tuple(proofs)
