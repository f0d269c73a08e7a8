"""One Release for every kind: the only place that looks a kind up."""

from __future__ import annotations

from collections.abc import Mapping

from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.ports import Release, UndoRecord
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import Kind, Subject


class ReleaseByKind:
    """The Release port, by the driver that `drivers` has for the subject's kind; Unusable `kind-not-supported`."""

    def __init__(self, drivers: Mapping[Kind, Release]) -> None:
        self._drivers = dict(drivers)

    def driver(self, subject: Subject) -> Release:
        """The driver of the subject's kind."""
        found = self._drivers.get(subject.kind)
        if found is None:
            known = ", ".join(sorted(kind.value for kind in self._drivers))
            raise Unusable(
                "kind-not-supported",
                f"this box has no release driver for {subject.kind.value}",
                where=str(subject),
                remedy=f"it has: {known}",
            )
        return found

    def live(self, subject: Subject) -> Digest | None:
        """The live tree, or None before `begin`."""
        return self.driver(subject).live(subject)

    def begin(self, subject: Subject, tree: Digest, origin: Mapping[str, str], parent_bytes: bytes) -> Digest:
        """Make the imported `tree` live."""
        return self.driver(subject).begin(subject, tree, origin, parent_bytes)

    def save(self, subject: Subject, at: Instant) -> UndoRecord:
        """Save what takes the next swap back."""
        return self.driver(subject).save(subject, at)

    def stage(self, subject: Subject, tree: Digest, message: str, at: Instant, author: str = "") -> str:
        """Prepare `tree` durably; what `swap` then takes."""
        return self.driver(subject).stage(subject, tree, message, at, author)

    def swap(self, subject: Subject, expect: Digest, to: Digest, staged: str) -> bool:
        """Compare and swap the pointer."""
        return self.driver(subject).swap(subject, expect, to, staged)

    def rehash(self, subject: Subject) -> Digest:
        """The live tree's digest, from its bytes."""
        return self.driver(subject).rehash(subject)

    def position(self, subject: Subject) -> str:
        """Where the pointer stands, in the driver's own words."""
        return self.driver(subject).position(subject)
