"""Proposers as plug-ins: two groups of entry points, which the built-ins use too.

Those of `greenroom.proposers` run by default; those of `greenroom.proposers.optional` when they are asked for. A
plug-in is whatever the entry point names, called with the keyword arguments of `Factory`. It is found by name and
imported only when asked for. It thinks; what it returns goes through the whole gate as bytes.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from typing import Protocol

from greenroom.domain.digest import Digest
from greenroom.domain.errors import NotFound, Unusable
from greenroom.domain.ports import Attestor, Keeper, Proposer, Store

GROUP = "greenroom.proposers"
OPTIONAL = "greenroom.proposers.optional"


class Factory(Protocol):
    """What a plug-in's entry point must be."""

    def __call__(self, *, keeper: Keeper, store: Store, attestor: Attestor, golden: Digest, tool: Digest) -> Proposer:
        """The proposer; `golden` is the box's toolchain, `tool` the manifest digest of `codegen_t0`."""
        ...


def available(entries: Iterable[importlib.metadata.EntryPoint] | None = None) -> tuple[str, ...]:
    """The names of the installed proposers, sorted; imports none of them."""
    return tuple(sorted(_by_name(entries)))


def by_default(entries: Iterable[importlib.metadata.EntryPoint] | None = None) -> tuple[str, ...]:
    """The names of the installed proposers that run without being asked for, sorted; imports none of them."""
    found = _by_name(entries)
    return tuple(sorted(name for name in found if any(entry.group != OPTIONAL for entry in found[name])))


def load(name: str, entries: Iterable[importlib.metadata.EntryPoint] | None = None) -> Factory:
    """The plug-in called `name`.

    Raises NotFound `no-such-proposer`, Unusable `proposer-ambiguous` when two packages give the same name, or
    `proposer-broken` when it cannot be imported.
    """
    found = _by_name(entries)
    if name not in found:
        raise NotFound(
            "no-such-proposer", f"no proposer is called {name[:80]!r}", remedy=f"one of: {', '.join(sorted(found))}"
        )
    targets = {entry.value for entry in found[name]}
    if len(targets) > 1:
        raise Unusable(
            "proposer-ambiguous",
            f"two packages install a proposer called {name!r}",
            where=", ".join(sorted(targets)),
            remedy="uninstall one of them",
        )
    try:
        factory = found[name][0].load()
    except Exception as error:
        raise Unusable(
            "proposer-broken", f"the proposer {name!r} cannot be imported: {error}", remedy="reinstall its package"
        ) from error
    if not callable(factory):
        raise Unusable("proposer-broken", f"the entry point of {name!r} is not callable", where=found[name][0].value)
    return factory  # type: ignore[no-any-return]


def _by_name(
    entries: Iterable[importlib.metadata.EntryPoint] | None,
) -> dict[str, list[importlib.metadata.EntryPoint]]:
    found: dict[str, list[importlib.metadata.EntryPoint]] = {}
    if entries is None:
        entries = [entry for group in (GROUP, OPTIONAL) for entry in importlib.metadata.entry_points(group=group)]
    for entry in entries:
        found.setdefault(entry.name, []).append(entry)
    return found
