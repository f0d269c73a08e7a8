"""The other end of `server`: the Guard port over any caller of its handlers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from greenroom.domain import documents
from greenroom.domain.digest import Digest, parse_digest
from greenroom.domain.errors import Bug
from greenroom.domain.events import Event
from greenroom.domain.plan import Caps
from greenroom.domain.ports import Dossier, GuardStatus, Standing
from greenroom.domain.proof import Epoch
from greenroom.domain.verdict import Held, Passed, Refused, Verdict
from greenroom.domain.vocabulary import ChangeId, Subject


class GuardClient:
    """The Guard port; `call` takes the name of a call and its arguments and gives the plain answer."""

    def __init__(self, call: Callable[[str, Mapping[str, Any]], Any]) -> None:
        self._call = call

    def append(self, event: Event) -> int:
        """Append an entry to the log."""
        return int(self._call("append", {"event": documents.to_plain(event)}))

    def status(self) -> GuardStatus:
        """What the guard says about itself."""
        status: GuardStatus = documents.from_plain(GuardStatus, self._call("status", {}))
        return status

    def stop_id(self) -> Digest | None:
        """The id of the stop in force."""
        return _digest_or_none(self._call("stop_id", {}))

    def policy(self) -> Digest | None:
        """The policy bundle in force."""
        return _digest_or_none(self._call("policy", {}))

    def live(self, subject: Subject) -> Digest | None:
        """The live digest of `subject`."""
        return _digest_or_none(self._call("live", {"subject": documents.to_plain(subject)}))

    def position(self, subject: Subject) -> str:
        """The name of what is live."""
        return str(self._call("position", {"subject": documents.to_plain(subject)}))

    def adopted(self, subject: Subject) -> str:
        """The commit that was taken in last."""
        return str(self._call("adopted", {"subject": documents.to_plain(subject)}))

    def health(self, subject: Subject) -> tuple[Held, ...]:
        """What is not well with box and subject."""
        said = self._call("health", {"subject": documents.to_plain(subject)})
        found: tuple[Held, ...] = documents.from_plain(tuple[Held, ...], said)
        return found

    def standing(self, subject: Subject) -> tuple[Standing, ...]:
        """What live stands on, oldest first."""
        said = self._call("standing", {"subject": documents.to_plain(subject)})
        found: tuple[Standing, ...] = documents.from_plain(tuple[Standing, ...], said)
        return found

    def adopt(self, imported: Digest) -> Digest | Refused:
        """Take an import in."""
        return _not_held(_digest_or(self._call("adopt", {"imported": imported})))

    def consent(self, envelope: bytes) -> Digest | Refused:
        """Hand a signed consent in."""
        return _not_held(_digest_or(self._call("consent", {"envelope": envelope.hex()})))

    def carry(self, given: Dossier, dossier: Dossier) -> Digest | Refused | Held:
        """Ask that the yes to one change holds for another."""
        return _digest_or(
            self._call("carry", {"given": documents.to_plain(given), "dossier": documents.to_plain(dossier)})
        )

    def cancel_window(self, change: ChangeId, actor: str) -> Verdict:
        """Cancel an apply window."""
        return _verdict(self._call("cancel_window", {"change": change, "actor": actor}))

    def withdraw(self, change: ChangeId, actor: str) -> Verdict:
        """Void every unspent yes to a change."""
        return _verdict(self._call("withdraw", {"change": change, "actor": actor}))

    def warrant(self, dossier: Dossier) -> Digest | Refused | Held:
        """Ask for a warrant."""
        return _digest_or(self._call("warrant", {"dossier": documents.to_plain(dossier)}))

    def promote(self, warrant: Digest) -> Verdict:
        """Spend a warrant."""
        return _verdict(self._call("promote", {"warrant": warrant}))

    def mark_good(self, change: ChangeId, receipts: tuple[Digest, ...]) -> Verdict:
        """Mark a promotion good."""
        return _verdict(self._call("mark_good", {"change": change, "receipts": list(receipts)}))

    def revert(self, subject: Subject, change: ChangeId, actor: str) -> Verdict:
        """Take a promotion back."""
        return _verdict(
            self._call("revert", {"subject": documents.to_plain(subject), "change": change, "actor": actor})
        )

    def reserve(self, change: ChangeId, subject: Subject, caps: Caps) -> str | Held:
        """Set money aside."""
        about = {"change": change, "subject": documents.to_plain(subject)}
        answer = self._call("reserve", {**about, "caps": documents.to_plain(caps)})
        if isinstance(answer, Mapping) and isinstance(answer.get("is"), str):
            return str(answer["is"])
        verdict = _verdict(answer)
        if not isinstance(verdict, Held):
            raise _unexpected()
        return verdict

    def settle(self, reservation: str, used: Caps) -> None:
        """Say what was spent."""
        self._call("settle", {"reservation": reservation, "used": documents.to_plain(used)})

    def stop(self, actor: str) -> None:
        """Stop the box."""
        self._call("stop", {"actor": actor})

    def lift(self, envelope: bytes) -> Verdict:
        """Hand a signed lift in."""
        return _verdict(self._call("lift", {"envelope": envelope.hex()}))

    def set_mode(self, envelope: bytes) -> Verdict:
        """Hand a signed mode order in."""
        return _verdict(self._call("set_mode", {"envelope": envelope.hex()}))

    def allow_command(self, envelope: bytes) -> Verdict:
        """Hand a signed test command in."""
        return _verdict(self._call("allow_command", {"envelope": envelope.hex()}))

    def command_allowed(self, subject: Subject, command: str) -> bool:
        """Whether the owner signed for a test command."""
        asked = {"subject": documents.to_plain(subject), "command": command}
        return self._call("command_allowed", asked) is True

    def set_constitution(self, envelope: bytes) -> Verdict:
        """Hand a signed constitution order in."""
        return _verdict(self._call("set_constitution", {"envelope": envelope.hex()}))

    def set_floor(self, envelope: bytes) -> Verdict:
        """Hand a signed floor order in."""
        return _verdict(self._call("set_floor", {"envelope": envelope.hex()}))

    def looked(self, envelope: bytes) -> Verdict:
        """Hand a signed look order in."""
        return _verdict(self._call("looked", {"envelope": envelope.hex()}))

    def opt_in(self, envelope: bytes) -> Verdict:
        """Hand a signed opt-in in."""
        return _verdict(self._call("opt_in", {"envelope": envelope.hex()}))

    def opt_out(self, envelope: bytes) -> Verdict:
        """Hand the signed end of an opt-in in."""
        return _verdict(self._call("opt_out", {"envelope": envelope.hex()}))

    def keeper_epoch(self) -> Epoch:
        """The present epoch of the keeper's keys."""
        return _epoch(self._call("keeper_epoch", {}))

    def certify_keeper(self, envelope: bytes) -> Epoch:
        """Hand in the certificate of the keeper's next key."""
        return _epoch(self._call("certify_keeper", {"envelope": envelope.hex()}))

    def shown(self, paper: Digest, epoch: int) -> bool:
        """Show a paper of the keeper's present epoch."""
        return self._call("shown", {"paper": paper, "epoch": epoch}) is True

    def keeper_key(self, identity: str) -> bytes | None:
        """The keeper's public key with this id."""
        said: bytes | None = documents.from_plain(bytes | None, self._call("keeper_key", {"identity": identity}))
        return said


_FORMS: Mapping[str, type[Passed] | type[Refused] | type[Held]] = {"passed": Passed, "refused": Refused, "held": Held}


def _verdict(answer: Any) -> Verdict:
    if not isinstance(answer, Mapping) or len(answer) != 1:
        raise _unexpected()
    form, body = next(iter(answer.items()))
    if form not in _FORMS:
        raise _unexpected()
    verdict: Verdict = documents.from_plain(_FORMS[form], body)
    return verdict


def _digest_or(answer: Any) -> Digest | Refused | Held:
    if isinstance(answer, Mapping) and isinstance(answer.get("is"), str):
        return parse_digest(answer["is"])
    verdict = _verdict(answer)
    if isinstance(verdict, Passed):
        raise _unexpected()
    return verdict


def _epoch(answer: Any) -> Epoch:
    epoch: Epoch = documents.from_plain(Epoch, answer)
    return epoch


def _not_held(answer: Digest | Refused | Held) -> Digest | Refused:
    if isinstance(answer, Held):
        raise _unexpected()
    return answer


def _digest_or_none(answer: Any) -> Digest | None:
    return None if answer is None else parse_digest(str(answer))


def _unexpected() -> Bug:
    return Bug("bad-answer", "the guard answered in a form that this call has not")
