"""The desk: calls of doors on this machine, answered by the verbs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from greenroom.domain.errors import Unusable
from greenroom.domain.vocabulary import Mode
from greenroom.pipeline import improving, settings, verbs
from greenroom.pipeline.house import House

Progress = Callable[[Any], None]
Handler = Callable[[Mapping[str, Any], tuple[int, ...], Progress, int], Any]
Call = Callable[[Mapping[str, Any], Progress], Any]
MAX_TEXT = 4096
MAX_ENVELOPE_HEX = 256 * 1024


def handlers(house: House) -> Mapping[str, Handler]:
    """Every call of the desk by name."""

    def improve(arguments: Mapping[str, Any], descriptors: tuple[int, ...], tell: Progress, uid: int) -> Any:
        del uid
        if len(descriptors) != 1:
            raise Unusable("bad-call", "improve takes one directory descriptor")
        mode = arguments.get("mode")
        only = arguments.get("only", [])
        if not isinstance(only, list) or len(only) > 64:
            raise Unusable("bad-call", "`only` is a short list of names")
        return improving.improve(
            house,
            descriptors[0],
            path=_text(arguments, "path"),
            branch=_text(arguments, "branch"),
            only=[str(name) for name in only],
            mode=_mode(mode) if mode is not None else None,
            test_command=_text(arguments, "test_command") if arguments.get("test_command") is not None else None,
            own=settings.own_of(arguments.get("settings")),
            tell=tell,
        )

    def look(arguments: Mapping[str, Any], descriptors: tuple[int, ...], tell: Progress, uid: int) -> Any:
        del tell, uid
        if len(descriptors) != 1:
            raise Unusable("bad-call", "settings takes one directory descriptor")
        path, branch = _text(arguments, "path"), _text(arguments, "branch")
        own = settings.own_of(arguments.get("settings"))
        return settings.look(house, improving.workspace(path, branch), descriptors[0], branch=branch, own=own)

    def approve(arguments: Mapping[str, Any], descriptors: tuple[int, ...], tell: Progress, uid: int) -> Any:
        del descriptors, uid
        envelope = arguments.get("envelope")
        if not isinstance(envelope, str) or len(envelope) > MAX_ENVELOPE_HEX:
            raise Unusable("bad-call", "an envelope is hex text of bounded length")
        promote = arguments.get("promote") is True
        return verbs.approve(house, _text(arguments, "change"), _unhex(envelope), promote=promote, tell=tell)

    calls: Mapping[str, Call] = {
        "show": lambda a, _: verbs.show(house, _text(a, "change")),
        "diff": lambda a, _: verbs.diff(house, _text(a, "change")),
        "offer": lambda a, _: verbs.offer(house, _text(a, "change")),
        "branch": lambda a, _: verbs.branch_of(house, _text(a, "change")),
        "promote": lambda a, tell: verbs.promote(house, _text(a, "change"), tell=tell),
        "reject": lambda a, _: verbs.reject(house, _text(a, "change"), why=_text(a, "why"), actor=_text(a, "actor")),
        "revert": lambda a, _: verbs.revert(house, _text(a, "change"), actor=_text(a, "actor")),
        "resume": lambda a, tell: verbs.resume(house, change_id=_text(a, "change") if "change" in a else "", tell=tell),
        "outdated": lambda _, __: verbs.outdated_changes(house),
        "pending": lambda _, __: verbs.pending(house),
        "delivered": lambda a, _: verbs.delivered(
            house, _text(a, "subject"), commit=_text(a, "commit"), pending=_text(a, "pending")
        ),
        "layers": lambda _, __: dict(house.keeper.layers()),
    }
    return {"improve": improve, "settings": look, "approve": approve} | {
        name: _handler(call) for name, call in calls.items()
    }


def _handler(call: Call) -> Handler:
    def answer(arguments: Mapping[str, Any], descriptors: tuple[int, ...], tell: Progress, uid: int) -> Any:
        del uid
        if descriptors:
            raise Unusable("bad-call", "this call takes no descriptors")
        return call(arguments, tell)

    return answer


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise Unusable("bad-call", f"argument {name!r} is text of at most {MAX_TEXT} characters")
    return value


def _mode(value: object) -> Mode:
    try:
        return Mode(str(value))
    except ValueError:
        raise Unusable("bad-call", f"no mode {str(value)[:40]!r}", remedy="propose, supervised, autonomous") from None


def _unhex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Unusable("bad-call", "an envelope is hex text") from None
