"""The Services port of a local door over a house in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from greenroom.config import Box
from greenroom.domain import documents
from greenroom.domain.card import Card
from greenroom.domain.digest import parse_digest
from greenroom.domain.errors import NotFound
from greenroom.domain.settings import Value, Values, value_of
from greenroom.domain.toml_settings import plain_of
from greenroom.domain.vocabulary import Mode
from greenroom.entrypoints.services import Passphrase, Progress
from greenroom.pipeline import board, desk
from greenroom.pipeline.changes import Board
from greenroom.pipeline.plain import verdict_plain
from greenroom.testing.house import MemoryHouse, shipped_constitution


class MemoryServices:
    """A door's view of `house`. `health` and `report` are what doctor and `log check` say; `asked` lists calls;
    where `locked`, the owner's key needs its passphrase; `own` is the box's settings file."""

    def __init__(self, house: MemoryHouse) -> None:
        self.house = house
        self.box = Box(house.directory)
        self.asked: list[str] = []
        self.locked = False
        self.own: Values = {}
        self.health: dict[str, Any] = {"ok": True, "box": True, "facts": {"separation": "users"}, "problems": []}
        self.report: dict[str, Any] = {"ok": True, "size": 0, "notes": ["no outside witness"], "problem": ""}

    def init(self, passphrase: Callable[[], bytes | None], *, ssh_agent: bool = False) -> Mapping[str, Any]:
        """See Services."""
        key = "in an SSH agent" if ssh_agent else "protected" if passphrase() else "not protected"
        return {"made": True, "box": "b1", "path": str(self.box.root), "owner_key": key}

    def desk(
        self,
        call: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        descriptors: tuple[int, ...] = (),
        progress: Progress | None = None,
    ) -> Any:
        """See Services; what would cross the socket is JSON on both ways."""
        self.asked.append(call)
        self.house.clock.advance(1)
        sent = documents.load_json(documents.encode(dict(arguments or {})))
        answer = desk.handlers(self.house.house)[call](sent, descriptors, progress or _silent, 0)
        return documents.load_json(documents.encode(answer))

    def guard(self, call: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """See Services."""
        self.asked.append(call)
        if call == "constitution":
            return {"text": shipped_constitution().decode()}
        if call == "stop":
            return self.house.guard.stop(str((arguments or {})["actor"]))
        return documents.to_plain(self.house.guard.status())

    def consent(self, offer: Mapping[str, Any], actor: str, passphrase: Passphrase) -> bytes:
        """See Services."""
        if self.locked:
            passphrase(f"to approve {offer['change']}")
        return self.house.consent(offer["change"], shown=parse_digest(offer["card"]), actor=actor)

    def card(self, change: str, offer: Mapping[str, Any]) -> Mapping[str, Any]:
        """See Services; whether it is the right card is the real one's to check."""
        del change
        return documents.to_plain(documents.decode(Card, self.read(offer["card"])))  # type: ignore[no-any-return]

    def lift(self, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """See Services."""
        del actor, passphrase
        return verdict_plain(self.house.lift())

    def set_mode(self, mode: Mode, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """See Services."""
        del actor, passphrase
        return verdict_plain(self.house.set_mode(mode))

    def constitute(self, text: str, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """See Services."""
        del actor, passphrase
        self.house.constitute(text.encode())
        return {"is": "passed"}

    def settings(self) -> Values:
        """See Services."""
        return self.own

    def default_setting(self, key: str) -> tuple[Value | None, str]:
        """See Services."""
        del key
        return None, "default"

    def set_setting(self, key: str, words: str) -> Value:
        """See Services."""
        self.own = {**self.own, key: value_of(key, plain_of(key, words), "the command line")}
        return self.own[key]

    def allow_command(self, subject: str, command: str, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """See Services."""
        del subject, actor
        if self.locked:
            passphrase("to allow a test command")
        return verdict_plain(self.house.allow_command(command))

    def read(self, digest: str) -> bytes:
        """See Services."""
        return self.house.store.get(parse_digest(digest))

    def board(self, *, everything: bool) -> Sequence[Mapping[str, Any]]:
        """See Services."""
        lines = Board(self.house.engine)
        found = []
        for change in self.house.changes():
            line = lines.line(change.id)
            if board.shown(change, everything=everything):
                found.append(board.row(change, line.summary if line else "", line.rule if line else ""))
        return found

    def repository(self, path: str, branch: str | None, trees: tuple[str, str] | None = None) -> Mapping[str, Any]:
        """See Services; `in_the_way` are untracked files that a change's Green would write over."""
        if not Path(path).is_dir():
            raise NotFound("no-such-directory", "there is no such directory", where=path, remedy="name a repository")
        held = {"rule": "worktree-dirty", "where": path, "remedy": "commit or stash"}
        found = self.house.repository
        return {
            "path": path,
            "branch": branch or self.house.branch,
            "head": found.head,
            "dirty": found.dirty,
            "blocked": held if found.dirty or (trees and found.in_the_way) else None,
            "checked_out": True,
        }

    def deliver(self, delivery: Mapping[str, Any]) -> Mapping[str, Any]:
        """See Services."""
        return verdict_plain(self.house.fast_forward(delivery))

    def log_entries(self, start: int, count: int) -> Sequence[Mapping[str, Any]]:
        """See Services."""
        return [documents.load_json(entry) for entry in self.house.log.read(start, count)]

    def log_export(self) -> Iterable[bytes]:
        """See Services."""
        for index, entry in enumerate(self.house.log.read(0, self.house.log.size())):
            yield documents.encode({"index": index, "entry": documents.load_json(entry)}) + b"\n"

    def log_check(self, log: str | None, keys: str | None, checkpoint: bytes | None) -> Mapping[str, Any]:
        """See Services."""
        del log, keys, checkpoint
        return self.report

    def log_checkpoint(self) -> bytes:
        """See Services."""
        return b"checkpoint\n"

    def doctor(self) -> Mapping[str, Any]:
        """See Services."""
        return self.health

    def down(self) -> None:
        """See Services."""
        self.asked.append("down")


def _silent(event: Any) -> None:
    del event
