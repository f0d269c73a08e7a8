"""The branches of changes in the person's own repository, as a door on the same machine looks at and pushes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from greenroom.config import Box
from greenroom.domain.verdict import Verdict


class PersonsBranches:
    """The part of the Services port that acts as the person, in their repository, which lies outside of the box."""

    box: Box

    def fates(self, path: str, branch: str, waiting: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
        """See Services."""
        from greenroom.bootstrap.person import fates

        return fates(path, branch, waiting)

    def pushable(self, offer: Mapping[str, Any], remote: str) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.bootstrap.person import pushable

        return _plain(pushable(self.box, offer, remote))

    def push_branch(self, offer: Mapping[str, Any], made: str, remote: str, *, ask: bool) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.bootstrap.person import push_branch

        return _plain(push_branch(self.box, offer, made, remote, ask=ask))


def _plain(verdict: Verdict) -> Mapping[str, Any]:
    from greenroom.pipeline.plain import verdict_plain

    return verdict_plain(verdict)
