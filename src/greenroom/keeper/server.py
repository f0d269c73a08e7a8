"""The keeper's calls as plain mappings, and the same calls as a Keeper again on the other side of a socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from greenroom.domain import documents
from greenroom.domain.digest import Digest, parse_digest
from greenroom.domain.errors import Bug, Unusable
from greenroom.domain.ports import CheckRun, Keeper
from greenroom.domain.verdict import Held, Refused
from greenroom.domain.vocabulary import Subject

Handler = Callable[[Mapping[str, Any], tuple[int, ...], Callable[[Any], None], int], Any]
"""Arguments, descriptors, a progress sender and the peer's user id; the answer is plain JSON."""

MAX_NAME = 128
MAX_PATH = 4096


class Call(Protocol):
    """Sends one call to the keeper's process and returns its answer, or raises what it raised."""

    def __call__(
        self, name: str, arguments: Mapping[str, Any] | None = None, *, descriptors: tuple[int, ...] = ()
    ) -> Any:
        """The answer to the call `name`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Present:
    path: str
    branch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bring:
    subject: Subject
    ticket: str
    branch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepare:
    tree: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Build:
    plan: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nothing:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    digest: Digest | None = None
    ticket: str | None = None
    refused: Refused | None = None
    held: Held | None = None
    layers: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Callers:
    """The user ids that may present, and those that may make every other call."""

    persons: frozenset[int]
    executors: frozenset[int]


def handlers(keeper: Keeper, callers: Callers | None = None) -> Mapping[str, Handler]:
    """The handlers by name of call: golden, present (one directory descriptor), bring, prepare, build, check, layers.

    Each answers only whom `callers` names for it; anybody where it is None. Malformed arguments raise Unusable
    `bad-document` or `bad-call`, another caller `not-allowed`.
    """

    def bring(arguments: Mapping[str, Any], *_: Any) -> Any:
        call = documents.from_plain(_Bring, dict(arguments))
        return _plain(keeper.bring(call.subject, call.ticket, call.branch))

    def check(arguments: Mapping[str, Any], *_: Any) -> Any:
        run = documents.from_plain(CheckRun, dict(arguments))
        if len(run.check) > MAX_NAME or len(run.role) > MAX_NAME or len(run.trees) > 8:
            raise Unusable("bad-call", "a check has short names and at most 8 trees")
        return _plain(keeper.check(run))

    def prepare(arguments: Mapping[str, Any], *_: Any) -> Any:
        return _plain(keeper.prepare(documents.from_plain(_Prepare, dict(arguments)).tree))

    def build(arguments: Mapping[str, Any], *_: Any) -> Any:
        return _plain(keeper.build(documents.from_plain(_Build, dict(arguments)).plan))

    def golden(arguments: Mapping[str, Any], *_: Any) -> Any:
        documents.from_plain(_Nothing, dict(arguments))
        return _plain(keeper.golden())

    def layers(arguments: Mapping[str, Any], *_: Any) -> Any:
        documents.from_plain(_Nothing, dict(arguments))
        return documents.to_plain(_Answer(layers=dict(keeper.layers())))

    calls: Mapping[str, Handler] = {"golden": golden, "bring": bring, "prepare": prepare, "build": build}
    calls = {**calls, "check": check, "layers": layers}
    if callers is None:
        return {**calls, "present": _presents(keeper)}
    own = {name: _only(callers.executors, call) for name, call in calls.items()}
    return {**own, "present": _only(callers.persons, _presents(keeper))}


def _presents(keeper: Keeper) -> Handler:
    def present(arguments: Mapping[str, Any], descriptors: tuple[int, ...], *_: Any) -> Any:
        call = documents.from_plain(_Present, dict(arguments))
        if len(descriptors) != 1 or len(call.path) > MAX_PATH or len(call.branch) > MAX_PATH:
            raise Unusable("bad-call", "present takes a path, a branch and one directory descriptor")
        return documents.to_plain(_Answer(ticket=keeper.present(call.path, call.branch, descriptors[0])))

    return present


def _only(uids: frozenset[int], call: Handler) -> Handler:
    def answer(
        arguments: Mapping[str, Any], descriptors: tuple[int, ...], progress: Callable[[Any], None], uid: int
    ) -> Any:
        if uid not in uids:
            raise Unusable("not-allowed", f"user {uid} may not make this call")
        return call(arguments, descriptors, progress, uid)

    return answer


class RemoteKeeper:
    """The Keeper port over `call`, which reaches `handlers` in the keeper's process."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def golden(self) -> Digest:
        """The golden of the installation."""
        return _digest(_answer(self._call("golden")))

    def present(self, path: str, branch: str, directory: int) -> str:
        """The ticket for `branch` of the directory at `path`, of which `directory` is a descriptor."""
        wish = documents.to_plain(_Present(path=path, branch=branch))
        ticket = _answer(self._call("present", wish, descriptors=(directory,))).ticket
        if ticket is None:
            raise Unusable("bad-answer", "the keeper answered without a ticket")
        return ticket

    def bring(self, subject: Subject, ticket: str, branch: str | None) -> Digest | Refused:
        """The signed Import of the directory that was presented for `ticket`."""
        answer = _answer(self._call("bring", documents.to_plain(_Bring(subject=subject, ticket=ticket, branch=branch))))
        return answer.refused or _digest(answer)

    def prepare(self, tree: Digest) -> Digest | Held:
        """The golden with the dependencies of `tree`."""
        answer = _answer(self._call("prepare", documents.to_plain(_Prepare(tree=tree))))
        return answer.held or _digest(answer)

    def build(self, plan: Digest) -> Digest | Refused:
        """The signed Seal of a fresh build."""
        answer = _answer(self._call("build", documents.to_plain(_Build(plan=plan))))
        return answer.refused or _digest(answer)

    def check(self, run: CheckRun) -> Digest | Refused:
        """The signed Receipt of one run."""
        answer = _answer(self._call("check", documents.to_plain(run)))
        return answer.refused or _digest(answer)

    def layers(self) -> Mapping[str, bool]:
        """Which walls the machine gives."""
        return _answer(self._call("layers")).layers


def _plain(answer: Digest | Refused | Held) -> Any:
    if isinstance(answer, Refused):
        return documents.to_plain(_Answer(refused=answer))
    if isinstance(answer, Held):
        return documents.to_plain(_Answer(held=answer))
    return documents.to_plain(_Answer(digest=parse_digest(answer)))


def _answer(plain: Any) -> _Answer:
    answer = documents.from_plain(_Answer, plain)
    if not isinstance(answer, _Answer):
        raise Bug("bad-answer", "an answer of the keeper was read as something else")
    return answer


def _digest(answer: _Answer) -> Digest:
    if answer.digest is None:
        raise Unusable("bad-answer", "the keeper answered without a digest")
    return answer.digest
