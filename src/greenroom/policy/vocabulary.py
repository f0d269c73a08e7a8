"""The words that policy data may use: rules that never yield, walls of a sandbox, classes of a diff, checks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from greenroom.domain.vocabulary import Kind

NEVER = (
    "database-deletion-without-backup",
    "disable-authentication",
    "force-push",
    "history-rewrite",
    "unrevertible",
)
"""What a constitution may forbid for good."""

_OF_ANY_KIND = ("reseal", "classify", "scan")
_OF_CODE = (*_OF_ANY_KIND, "loosened", "tests", "own-tests")
CHECKS: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {kind: _OF_CODE if kind is Kind.WORKSPACE else _OF_ANY_KIND for kind in Kind}
)
"""The checks that must have a good verdict before a change of each kind may be approved."""

PROBE = "probe"
POSTCONDITIONS = ("live-tests", PROBE)
"""What a constitution may ask of the live state: the required tests once more on it; probes green for a while."""

TESTING_CHECKS = ("tests", "own-tests", "live-tests")
"""The checks for which `broken-before` is an answer: it raises the consent level instead of refusing."""
