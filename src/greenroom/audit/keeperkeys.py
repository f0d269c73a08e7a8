"""The keeper's present key: it signs for at most an hour, each paper before the eyes of the guard, and is then gone.

The order of a turn, in which a crash at any point leaves a keeper that goes on:

1. the next key is durable beside the present one;
2. its certificate, signed with the present one, is durable with the guard;
3. the next one takes the present one's place, whose bytes are overwritten.

A keeper that finds a next key when it begins finishes that turn: the guard may have its certificate, or may still be
about to write it. So the present key is gone only when the guard has the next one, and never the other way round.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from greenroom.audit import keys
from greenroom.audit.attest import KeyAttestor, key_id, sign_statement
from greenroom.audit.keepers import sign_certificate
from greenroom.audit.keyfiles import EARLIER, KeyFiles, wipe
from greenroom.audit.note import SigningKey
from greenroom.domain.digest import Digest, digest_of, hex_of
from greenroom.domain.errors import Tampered, Unreachable, Unusable
from greenroom.domain.ports import Witness
from greenroom.domain.proof import Attestation, Epoch, KeeperCertificate, Role

TURNS = 8
"""How often a key may be too old when a paper is shown that it signed: once, unless epochs are very short."""
TRIES = 3
"""How often the guard is asked when it hangs up, as it does when it is started again; each call may be made twice."""
HUNG_UP = "hung-up"
T = TypeVar("T")


class KeeperAttestor:
    """Signs with the keeper's present key what the guard has seen; implements the Attestor port. `opener` opens.

    `origin` names the box's log, `first` is the file of the key that `init` made; later keys are in `directory`.
    Nothing is asked of the guard, and no key is read, before the first signature. Signing raises Unusable
    `keeper-key-due` where no key is young enough when the guard is shown the paper, Tampered `key-unknown` where the
    private key is not the one that the guard knows, and what the guard raises.
    """

    def __init__(
        self,
        *,
        origin: str,
        first: Path,
        directory: Path,
        opener: KeyAttestor,
        guard: Witness,
        crash_point: Callable[[str], None],
    ) -> None:
        self._origin = origin
        self._files = KeyFiles(first, directory, crash_point)
        self._opener = opener
        self._guard = guard
        self._crash_point = crash_point
        self._lock = threading.Lock()
        self._held: tuple[int, SigningKey] | None = None

    def ready(self) -> None:
        """Finish a turn that was cut, and turn where the key is too old; raises what `sign` raises.

        The guard is shown the empty paper, which is no statement of anybody.
        """
        self._shown(lambda _: b"")

    def sign(self, predicate: str, about: Digest, body: bytes) -> bytes:
        """See KeyAttestor. The guard was shown the envelope, durably, when this returns."""
        return self._shown(lambda key: sign_statement(key, predicate, about, body))

    def open(self, envelope: bytes, predicate: str, role: Role) -> Attestation:
        """See KeyAttestor."""
        return self._opener.open(envelope, predicate, role)

    def _shown(self, made: Callable[[SigningKey], bytes]) -> bytes:
        """What is made with a key that was young enough when the guard was shown it."""
        with self._lock:
            for _ in range(TURNS):
                number, key = self._held or self._settled()
                envelope = made(key)
                if self._seen(digest_of("statement", envelope), number):
                    return envelope
                self._turn(number, key)
        raise Unusable(
            "keeper-key-due",
            "the keeper's key was too old each time that it had signed",
            remedy="make epochs longer (GREENROOM_EPOCH_SECONDS), or the machine less busy; then try again",
        )

    def _seen(self, paper: Digest, number: int) -> bool:
        try:
            return _asked(lambda: self._guard.shown(paper, number))
        except Unusable:
            # Whatever is wrong: the next signature asks the guard afresh which key is the present one.
            self._held = None
            raise

    def _settled(self) -> tuple[int, SigningKey]:
        """The present epoch's number and key, once a turn that was cut is finished."""
        present = _asked(self._guard.keeper_epoch)
        key = self._found(present)
        self._files.forget(EARLIER)
        if present.number:
            wipe(self._files.first)
        if self._files.next() is not None:
            return self._turn(present.number, key)
        self._held = (present.number, key)
        return self._held

    def _found(self, present: Epoch) -> SigningKey:
        wanted, first = hex_of(present.key), not present.number
        key = self._files.find(lambda public: key_id(public) == wanted, first=first)
        if key is not None:
            return key
        raise Tampered(
            "key-unknown",
            f"the keeper's private key is not that of epoch {present.number}, which the guard knows",
            where=str(self._files.place(first=first)),
            remedy="the key file or the guard's chain was put back or changed, or somebody certified another key: "
            "`greenroom stop`, then restore a backup of the box",
        )

    def _turn(self, number: int, key: SigningKey) -> tuple[int, SigningKey]:
        """The next key in the place of `key`, once the guard has its certificate."""
        self._held = None
        following = self._files.next()
        if following is None:
            made = keys.generate()
            self._files.save_next(made)
            following = made
        certificate = KeeperCertificate(log=self._origin, epoch=number + 1, key=following.public)
        line = sign_certificate(key, certificate)
        self._crash_point("epoch.signed")
        certified = _asked(lambda: self._guard.certify_keeper(line))
        self._crash_point("epoch.certified")
        self._files.replace()
        self._crash_point("epoch.key-replaced")
        self._held = (certified.number, following)
        return self._held


def _asked(call: Callable[[], T]) -> T:
    """What the guard answers; asked again where it hung up."""
    for _ in range(TRIES - 1):
        try:
            return call()
        except Unreachable as error:
            if error.reference != HUNG_UP:
                raise
    return call()
