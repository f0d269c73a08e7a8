"""The guard's door: handlers of plain, bounded mappings. Whoever calls is not believed, only answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from greenroom.domain import documents
from greenroom.domain.digest import Digest, parse_digest
from greenroom.domain.errors import Unusable
from greenroom.domain.events import Event
from greenroom.domain.plan import Caps
from greenroom.domain.ports import Dossier
from greenroom.domain.verdict import Held, Passed, Refused, Verdict
from greenroom.domain.vocabulary import ChangeId, Subject
from greenroom.guard.commands import MAX_COMMAND
from greenroom.guard.service import GuardService

Handler = Callable[[Mapping[str, Any], tuple[int, ...], Callable[[Any], None], int], Any]
"""Called with arguments, descriptors, a progress sender and the peer's user id."""

_Call = Callable[[Mapping[str, Any]], Any]
MAX_ENVELOPE_HEX = 256 * 1024
MAX_WORD = 256


KEEPERS = frozenset({"certify_keeper", "shown"})
"""The calls that are the keeper's alone."""


def handlers(guard: GuardService, keepers: frozenset[int] | None = None) -> Mapping[str, Handler]:
    """Every call that the guard answers, by name; the keeper's only for the user ids `keepers`, for all where None."""
    calls: Mapping[str, _Call] = {
        "append": lambda a: guard.append(_document(Event, a, "event")),
        "status": lambda a: documents.to_plain(_no_more(a, guard.status())),
        "stop_id": lambda a: _no_more(a, guard.stop_id()),
        "policy": lambda a: _no_more(a, guard.policy()),
        "live": lambda a: guard.live(_document(Subject, a, "subject")),
        "position": lambda a: guard.position(_document(Subject, a, "subject")),
        "adopted": lambda a: guard.adopted(_document(Subject, a, "subject")),
        "health": lambda a: [documents.to_plain(held) for held in guard.health(_document(Subject, a, "subject"))],
        "adopt": lambda a: plain_answer(guard.adopt(_digest(a, "imported"))),
        "consent": lambda a: plain_answer(guard.consent(_envelope(a))),
        "standing": lambda a: [documents.to_plain(each) for each in guard.standing(_document(Subject, a, "subject"))],
        "carry": lambda a: plain_answer(guard.carry(_document(Dossier, a, "given"), _document(Dossier, a, "dossier"))),
        "cancel_window": lambda a: plain_answer(guard.cancel_window(_change(a), _word(a, "actor"))),
        "withdraw": lambda a: plain_answer(guard.withdraw(_change(a), _word(a, "actor"))),
        "warrant": lambda a: plain_answer(guard.warrant(_document(Dossier, a, "dossier"))),
        "promote": lambda a: plain_answer(guard.promote(_digest(a, "warrant"))),
        "mark_good": lambda a: plain_answer(guard.mark_good(_change(a), _digests(a, "receipts"))),
        "revert": lambda a: plain_answer(guard.revert(_document(Subject, a, "subject"), _change(a), _word(a, "actor"))),
        "reserve": lambda a: plain_answer(
            guard.reserve(_change(a), _document(Subject, a, "subject"), _document(Caps, a, "caps"))
        ),
        "settle": lambda a: guard.settle(_word(a, "reservation"), _document(Caps, a, "used")),
        "stop": lambda a: guard.stop(_word(a, "actor")),
        "lift": lambda a: plain_answer(guard.lift(_envelope(a))),
        "set_mode": lambda a: plain_answer(guard.set_mode(_envelope(a))),
        "allow_command": lambda a: plain_answer(guard.allow_command(_envelope(a))),
        "command_allowed": lambda a: guard.command_allowed(
            _document(Subject, a, "subject"), _word(a, "command", MAX_COMMAND)
        ),
        "set_constitution": lambda a: plain_answer(guard.set_constitution(_envelope(a))),
        "set_floor": lambda a: plain_answer(guard.set_floor(_envelope(a))),
        "floors": lambda a: {"floors": list(_no_more(a, guard.floors()))},
        "looked": lambda a: plain_answer(guard.looked(_envelope(a))),
        "unseen": lambda a: {"unseen": list(_no_more(a, guard.unseen()))},
        "opt_in": lambda a: plain_answer(guard.opt_in(_envelope(a))),
        "opt_out": lambda a: plain_answer(guard.opt_out(_envelope(a))),
        "keeper_epoch": lambda a: documents.to_plain(_no_more(a, guard.keeper_epoch())),
        "certify_keeper": lambda a: documents.to_plain(guard.certify_keeper(_envelope(a))),
        "shown": lambda a: guard.shown(_digest(a, "paper"), _document(int, a, "epoch")),
        "keeper_key": lambda a: documents.to_plain(guard.keeper_key(_word(a, "identity"))),
    }
    return {name: _handler(call, keepers if name in KEEPERS else None) for name, call in calls.items()}


def plain_answer(answer: Verdict | str) -> Mapping[str, Any]:
    """A verdict, digest or reservation as `{"passed": ...}`, `{"refused": ...}`, `{"held": ...}` or `{"is": ...}`."""
    if isinstance(answer, Passed):
        return {"passed": documents.to_plain(answer)}
    if isinstance(answer, Refused):
        return {"refused": documents.to_plain(answer)}
    if isinstance(answer, Held):
        return {"held": documents.to_plain(answer)}
    return {"is": answer}


def _handler(call: _Call, uids: frozenset[int] | None) -> Handler:
    def answer(
        arguments: Mapping[str, Any], descriptors: tuple[int, ...], progress: Callable[[Any], None], uid: int
    ) -> Any:
        del progress
        if uids is not None and uid not in uids:
            raise Unusable("not-allowed", f"user {uid} may not make this call")
        if descriptors:
            raise Unusable("bad-call", "the guard takes no descriptors")
        return call(arguments)

    return answer


def _no_more(arguments: Mapping[str, Any], answer: Any) -> Any:
    if arguments:
        raise Unusable("bad-call", "this call takes no arguments")
    return answer


def _member(arguments: Mapping[str, Any], name: str) -> Any:
    if name not in arguments:
        raise Unusable("bad-call", f"argument {name!r} is missing")
    return arguments[name]


def _document(cls: Any, arguments: Mapping[str, Any], name: str) -> Any:
    return documents.from_plain(cls, _member(arguments, name), f"$.{name}")


def _word(arguments: Mapping[str, Any], name: str, limit: int = MAX_WORD) -> str:
    word = _member(arguments, name)
    if not isinstance(word, str) or not 0 < len(word) <= limit:
        raise Unusable("bad-call", f"argument {name!r} is text of at most {limit} characters")
    return word


def _change(arguments: Mapping[str, Any]) -> ChangeId:
    return ChangeId(_word(arguments, "change"))


def _digest(arguments: Mapping[str, Any], name: str) -> Digest:
    return parse_digest(_word(arguments, name))


def _digests(arguments: Mapping[str, Any], name: str) -> tuple[Digest, ...]:
    given: tuple[Digest, ...] = _document(tuple[Digest, ...], arguments, name)
    return given


def _envelope(arguments: Mapping[str, Any]) -> bytes:
    text = _member(arguments, "envelope")
    if not isinstance(text, str) or len(text) > MAX_ENVELOPE_HEX:
        raise Unusable("bad-call", f"an envelope is hex of at most {MAX_ENVELOPE_HEX} digits")
    envelope: bytes = documents.from_plain(bytes, text, "$.envelope")
    return envelope
