"""A proposal: what a proposer found, as untrusted bytes until the plan stage has parsed them."""

from __future__ import annotations

from dataclasses import dataclass

from greenroom.domain.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One small, atomic change that a proposer suggests.

    `patch` is the digest of a unified diff in the store (git's format); `rule` the family (`ruff:F401`);
    `fingerprint` stays the same while the finding does, so that repeated runs update instead of repeating;
    `reproduce` is the argument of `codegen_t0` that gives the same patch again, empty when none does.
    """

    proposer: str
    proposer_version: str
    rule: str
    summary: str
    rationale: str
    expected: str
    confidence: int
    patch: Digest
    files: tuple[str, ...]
    fingerprint: str
    reproduce: str
    suggested_tests: tuple[str, ...] = ()
