"""The orders of the owner, as a door on the same machine signs and hands them in."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from greenroom.config import Box
from greenroom.domain.digest import parse_digest
from greenroom.domain.verdict import Held, Instant, Passed, Refused
from greenroom.domain.vocabulary import ChangeId, Mode, subject_of

if TYPE_CHECKING:
    from greenroom.audit.attest import KeyAttestor
    from greenroom.entrypoints.services import Passphrase
    from greenroom.guard.client import GuardClient
    from greenroom.guard.papers import Paper


class OwnersOrders(ABC):
    """The part of the Services port that signs with the owner's key and asks the guard to put it in force."""

    box: Box

    @abstractmethod
    def _remote(self) -> GuardClient: ...

    @abstractmethod
    def _owner(self, passphrase: Passphrase, why: str) -> KeyAttestor: ...

    @abstractmethod
    def _signed(self, paper: Paper, passphrase: Passphrase, why: str) -> bytes: ...

    @abstractmethod
    def _expiry(self) -> Instant: ...

    def lift(self, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.guard.papers import Lift

        stop = self._remote().stop_id()
        if stop is None:
            return _plain(Passed())
        paper = Lift(stop=stop, actor=actor, expires=self._expiry())
        return _plain(self._remote().lift(self._signed(paper, passphrase, "to lift the stop")))

    def set_mode(self, mode: Mode, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.guard.papers import ModeOrder

        paper = ModeOrder(mode=mode, actor=actor, expires=self._expiry(), nonce=secrets.token_hex(16))
        return _plain(self._remote().set_mode(self._signed(paper, passphrase, f"to set the mode to {mode.value}")))

    def opt_in(
        self, rule: str, repository: str, until: int | None, actor: str, passphrase: Passphrase
    ) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.guard.papers import OptInOrder

        ends = None if until is None else Instant(until)
        paper = OptInOrder(
            rule=rule,
            repository=repository,
            until=ends,
            actor=actor,
            expires=self._expiry(),
            nonce=secrets.token_hex(16),
        )
        return _plain(self._remote().opt_in(self._signed(paper, passphrase, f"to opt in to {rule}")))

    def opt_out(self, opt_ins: Sequence[str], actor: str, passphrase: Passphrase) -> Sequence[Mapping[str, Any]]:
        """See Services."""
        from greenroom.guard import papers

        owner = self._owner(passphrase, "to take an opt-in back")
        found = []
        for each in opt_ins:
            paper = papers.OptOutOrder(
                opt_in=parse_digest(each), actor=actor, expires=self._expiry(), nonce=secrets.token_hex(16)
            )
            found.append(_plain(self._remote().opt_out(papers.sign(owner, paper))))
        return found

    def constitute(self, text: str, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.bootstrap.making import save_policy
        from greenroom.guard.papers import ConstitutionOrder
        from greenroom.policy.constitution import parse_new

        parse_new(text.encode())
        remote = self._remote()
        paper = ConstitutionOrder(
            policy=save_policy(self.box, text.encode()),
            previous=remote.policy(),
            actor=actor,
            expires=self._expiry(),
            nonce=secrets.token_hex(16),
        )
        verdict = remote.set_constitution(self._signed(paper, passphrase, "to put the constitution in force"))
        if isinstance(verdict, Passed):
            self.box.constitution.write_text(text)
        return _plain(verdict)

    def set_floor(self, change: str, holds: bool, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.guard.papers import FloorOrder

        paper = FloorOrder(
            change=ChangeId(change), holds=holds, actor=actor, expires=self._expiry(), nonce=secrets.token_hex(16)
        )
        why = f"to set the floor at {change}" if holds else f"to take the floor at {change} away"
        return _plain(self._remote().set_floor(self._signed(paper, passphrase, why)))

    def looked(self, subject: str, through: str, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.guard.papers import LookOrder

        paper = LookOrder(
            subject=subject_of(subject),
            through=parse_digest(through),
            actor=actor,
            expires=self._expiry(),
            nonce=secrets.token_hex(16),
        )
        return _plain(self._remote().looked(self._signed(paper, passphrase, f"to say that you looked at {subject}")))

    def allow_command(self, subject: str, command: str, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.guard.papers import CommandOrder

        paper = CommandOrder(
            subject=subject_of(subject),
            command=command,
            actor=actor,
            expires=self._expiry(),
            nonce=secrets.token_hex(16),
        )
        return _plain(self._remote().allow_command(self._signed(paper, passphrase, "to allow a test command")))


def _plain(verdict: Passed | Refused | Held) -> Mapping[str, Any]:
    from greenroom.pipeline.plain import verdict_plain

    return verdict_plain(verdict)
