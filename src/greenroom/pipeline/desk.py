"""The desk: calls of doors on this machine, answered by the verbs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from greenroom.domain import documents
from greenroom.domain.errors import Unusable
from greenroom.domain.requests import Request
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import Mode
from greenroom.pipeline import (
    asking,
    branching,
    cancelling,
    deciding,
    improving,
    lineage,
    settings,
    standing,
    suite,
    undoing,
    verbs,
)
from greenroom.pipeline import restack as restacking
from greenroom.pipeline.house import House
from greenroom.pipeline.queue import MOST, Limits

Progress = Callable[[Any], None]
Handler = Callable[[Mapping[str, Any], tuple[int, ...], Progress, int], Any]
Call = Callable[[Mapping[str, Any], Progress], Any]
MAX_TEXT = 4096
MAX_WORDS = 10_000
MAX_ROWS = 200
"""How many rows of the board fit one answer."""
MAX_ENVELOPE_HEX = 256 * 1024
MAX_CARRIED, MAX_SECONDS = 10_000, 7 * 24 * 3600
"""Bounds of what one `improve` may be asked for."""


def handlers(house: House) -> Mapping[str, Handler]:
    """Every call of the desk by name."""

    def improve(arguments: Mapping[str, Any], descriptors: tuple[int, ...], tell: Progress, uid: int) -> Any:
        del uid
        _no_descriptors(descriptors)
        mode = arguments.get("mode")
        only = arguments.get("only", [])
        if not isinstance(only, list) or len(only) > 64:
            raise Unusable("bad-call", "`only` is a short list of names")
        return improving.improve(
            house,
            _text(arguments, "ticket"),
            path=_text(arguments, "path"),
            branch=_text(arguments, "branch"),
            only=[str(name) for name in only],
            mode=_mode(mode) if mode is not None else None,
            noticed=_words(arguments, "noticed"),
            test_command=_text(arguments, "test_command") if arguments.get("test_command") is not None else None,
            limits=_limits(arguments),
            own=settings.own_of(arguments.get("settings")),
            tell=tell,
        )

    def look(arguments: Mapping[str, Any], descriptors: tuple[int, ...], tell: Progress, uid: int) -> Any:
        del tell, uid
        _no_descriptors(descriptors)
        path, branch = _text(arguments, "path"), _text(arguments, "branch")
        own = settings.own_of(arguments.get("settings"))
        ticket = _text(arguments, "ticket")
        return settings.look(house, improving.workspace(path, branch), ticket, branch=branch, own=own)

    def approve(arguments: Mapping[str, Any], descriptors: tuple[int, ...], tell: Progress, uid: int) -> Any:
        del descriptors, uid
        envelope = arguments.get("envelope")
        if not isinstance(envelope, str) or len(envelope) > MAX_ENVELOPE_HEX:
            raise Unusable("bad-call", "an envelope is hex text of bounded length")
        promote = arguments.get("promote") is True
        if "settings" in arguments:
            settings.remember_own(house, settings.own_of(arguments["settings"]))
        return verbs.approve(house, _text(arguments, "change"), _unhex(envelope), promote=promote, tell=tell)

    calls: dict[str, Call] = {
        "board": lambda a, _: _board(house, a),
        "tally": lambda _, __: documents.to_plain(house.board.tally()),
        "show": lambda a, _: verbs.show(house, _text(a, "change")),
        "diff": lambda a, _: verbs.diff(house, _text(a, "change")),
        "offer": lambda a, _: verbs.offer(house, _text(a, "change")),
        "branch": lambda a, _: verbs.branch_of(house, _text(a, "change")),
        "promote": lambda a, tell: verbs.promote(house, _text(a, "change"), tell=tell),
        "restack": lambda a, tell: restacking.restack(house, _text(a, "change"), tell=tell),
        "reject": lambda a, _: verbs.reject(house, _text(a, "change"), why=_text(a, "why"), actor=_text(a, "actor")),
        "branch_offer": lambda a, _: branching.branch_offer(house, _text(a, "change")),
        "branched": lambda a, _: branching.branched(
            house,
            _text(a, "change"),
            branch=_text(a, "branch"),
            onto=_text(a, "onto"),
            made=_text(a, "made"),
            at=_instant(a, "at"),
        ),
        "branches": lambda a, _: branching.branches_of(house, _text(a, "path"), _text(a, "branch")),
        "cancel": lambda a, _: cancelling.cancel(house, _text(a, "change"), actor=_text(a, "actor")),
        "defer": lambda a, _: deciding.defer(
            house, _text(a, "change"), until=_instant(a, "until"), actor=_text(a, "actor")
        ),
        "reopen": lambda a, tell: deciding.reopen(house, _text(a, "change"), actor=_text(a, "actor"), tell=tell),
        "edit": lambda a, tell: lineage.edit(
            house,
            _text(a, "change"),
            patch=_text(a, "patch"),
            actor=_text(a, "actor"),
            tell=tell,
            summary=_text(a, "summary"),
        ),
        "retry": lambda a, tell: lineage.retry(house, _text(a, "change"), tell=tell),
        "revert": lambda a, tell: _revert(house, a, tell),
        "resume": lambda a, tell: verbs.resume(house, change_id=_text(a, "change") if "change" in a else "", tell=tell),
        "windows": lambda _, __: standing.windows(house),
        "reconsider": lambda _, tell: standing.reconsider(house, tell),
        "outdated": lambda _, __: verbs.outdated_changes(house),
        "pending": lambda _, __: verbs.pending(house),
        "delivered": lambda a, _: verbs.delivered(
            house, _text(a, "subject"), commit=_text(a, "commit"), pending=_text(a, "pending")
        ),
        "layers": lambda _, __: dict(house.keeper.layers()),
    }
    return {"improve": improve, "settings": look, "approve": approve} | {
        name: _handler(house, call) for name, call in (calls | _requests(house)).items()
    }


def _requests(house: House) -> dict[str, Call]:
    """The calls of requests in words."""
    return {
        "lay_out": lambda a, _: asking.lay_out(house, documents.from_plain(Request, a.get("request")), _place(a)),
        "confirm": lambda a, _: asking.confirm(house, _object(a, "plan"), actor=_text(a, "actor")),
        "run_tests": lambda a, tell: suite.run_tests(
            house,
            _text(a, "ticket"),
            path=_text(a, "path"),
            branch=_text(a, "branch"),
            own=settings.own_of(a.get("settings")),
            actor=_text(a, "actor"),
            tell=tell,
        ),
    }


def _place(arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Where a repository stands, as a door found it; None where a request names none."""
    if arguments.get("place") is None:
        return None
    place = _object(arguments, "place")
    dirty = place.get("dirty") is True
    return {**{name: _text(place, name) for name in ("path", "branch", "head")}, "dirty": dirty}


def _object(arguments: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = arguments.get(name)
    if not isinstance(found, dict):
        raise Unusable("bad-call", f"argument {name!r} is an object")
    return found


def _board(house: House, arguments: Mapping[str, Any]) -> Any:
    most, held = arguments.get("most"), arguments.get("held", [])
    if not isinstance(most, int) or not 1 <= most <= MAX_ROWS or not isinstance(held, list) or len(held) > MAX_ROWS:
        raise Unusable("bad-call", f"a board has 1 to {MAX_ROWS} rows")
    everything = arguments.get("everything") is True
    return house.board.rows(
        everything=everything, most=most, begins=_text(arguments, "begins"), held=[str(rule) for rule in held]
    )


def _revert(house: House, arguments: Mapping[str, Any], tell: Progress) -> Any:
    change, actor = _text(arguments, "change"), _text(arguments, "actor")
    how = arguments.get("how", "")
    if how == "all-after":
        return undoing.all_after(house, change, actor=actor)
    if how == "as-change":
        return undoing.as_change(house, change, tell=tell)
    if how:
        raise Unusable("bad-call", "a change is taken back alone, with all after it, or as a change")
    return verbs.revert(house, change, actor=actor)


def _handler(house: House, call: Call) -> Handler:
    def answer(arguments: Mapping[str, Any], descriptors: tuple[int, ...], tell: Progress, uid: int) -> Any:
        del uid
        _no_descriptors(descriptors)
        if "settings" in arguments:
            settings.remember_own(house, settings.own_of(arguments["settings"]))
        return call(arguments, tell)

    return answer


def _no_descriptors(descriptors: tuple[int, ...]) -> None:
    if descriptors:
        raise Unusable("bad-call", "this call takes no descriptors")


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise Unusable("bad-call", f"argument {name!r} is text of at most {MAX_TEXT} characters")
    return value


def _words(arguments: Mapping[str, Any], name: str) -> dict[str, str]:
    found = arguments.get(name, {})
    if not isinstance(found, dict) or len(found) > MAX_WORDS or not all(isinstance(v, str) for v in found.values()):
        raise Unusable("bad-call", f"argument {name!r} is a short table of words")
    return found


def _instant(arguments: Mapping[str, Any], name: str) -> Instant:
    text = _text(arguments, name)
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise Unusable("bad-call", f"argument {name!r} is an instant: nanoseconds as a decimal string")
    return Instant(int(text))


def _mode(value: object) -> Mode:
    try:
        return Mode(str(value))
    except ValueError:
        raise Unusable("bad-call", f"no mode {str(value)[:40]!r}", remedy="propose, supervised, autonomous") from None


def _limits(arguments: Mapping[str, Any]) -> Limits:
    most, seconds = arguments.get("max"), arguments.get("budget_s")
    if most is not None and (type(most) is not int or not 0 <= most <= MAX_CARRIED):
        raise Unusable("bad-call", f"`max` is a number from 0 to {MAX_CARRIED}")
    if seconds is not None and (type(seconds) is not int or not 0 <= seconds <= MAX_SECONDS):
        raise Unusable("bad-call", f"`budget_s` is a number of seconds from 0 to {MAX_SECONDS}")
    return Limits(most=MOST if most is None else most, seconds=seconds)


def _unhex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Unusable("bad-call", "an envelope is hex text") from None
