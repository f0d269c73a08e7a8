"""What a scan of `codegen_t0` left, with its counts checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenroom.domain import documents
from greenroom.domain.scan import Counts


def checked(result: Any, artifacts: Mapping[str, bytes]) -> Any:
    """The result, its patches read: every finding is proposed, reported or dropped."""
    counts = documents.from_plain(Counts, result["counts"])
    assert counts.findings == counts.proposed + counts.reported + sum(counts.dropped.values()), counts
    for found in result["proposals"]:
        found["patch"] = artifacts[found["patch"]].decode()
    return result


def scanned(body: Any, generator: str, tree: Any, **more: str) -> Any:
    """The checked result of one run of the generator on `tree`."""
    ran = body("codegen_t0", {"generator": generator, **more}, base=tree)
    assert ran.code == 0, ran.stderr
    return checked(ran.result, ran.artifacts)
