"""The Services port of a local door over a house in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from greenroom.agents.planners.template import TemplatePlanner
from greenroom.config import Box
from greenroom.domain import documents
from greenroom.domain.briefing import Briefing, brief
from greenroom.domain.card import Card
from greenroom.domain.change import Change
from greenroom.domain.digest import digest_of, parse_digest
from greenroom.domain.errors import NoSandbox, NotFound, Unusable
from greenroom.domain.metrics import Metrics, measure
from greenroom.domain.requests import Request, bounded, decide
from greenroom.domain.settings import Value, Values, require_key, value_of
from greenroom.domain.toml_settings import plain_of
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import ChangeId, Mode, State, Trust
from greenroom.entrypoints.services import CARRYING, Passphrase, Progress
from greenroom.guard.spent import read_spent
from greenroom.pipeline import board, desk
from greenroom.pipeline.changes import Board
from greenroom.pipeline.measuring import read_papers
from greenroom.pipeline.plain import verdict_plain
from greenroom.policy.constitution import parse_new
from greenroom.testing.house import MemoryHouse, shipped_constitution


class MemoryServices:
    """A door's view of `house`. `health` and `report` are what doctor and `log check` say; `asked` lists calls;
    where `locked`, the owner's key needs its passphrase; `own` is the box's settings file."""

    def __init__(self, house: MemoryHouse) -> None:
        self.house = house
        self.box = Box(house.directory)
        self.asked: list[str] = []
        self.pushed: list[tuple[str, str, str]] = []
        self.locked = False
        self.walls = True
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
        progress: Progress | None = None,
    ) -> Any:
        """See Services; what would cross the socket is JSON on both ways."""
        self.asked.append(call)
        self.house.clock.advance(1)
        own = {"settings": self.own} if call in CARRYING else {}
        sent = documents.load_json(documents.encode({**(arguments or {}), **own}))
        answer = desk.handlers(self.house.house)[call](sent, (), progress or _silent, 0)
        return documents.load_json(documents.encode(answer))

    def present(self, path: str, branch: str) -> str:
        """See Services."""
        self.asked.append("present")
        return self.house.keeper.present(path, branch, 0)

    def guard(self, call: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """See Services."""
        self.asked.append(call)
        if call == "constitution":
            return {"text": shipped_constitution().decode()}
        if call == "stop":
            return self.house.guard.stop(str((arguments or {})["actor"]))
        if call in ("floors", "unseen"):
            return documents.load_json(documents.encode({call: list(getattr(self.house.guard, call)())}))
        return documents.to_plain(self.house.guard.status())

    def now(self) -> int:
        """See Services."""
        return self.house.clock.now()

    def consents(self, offers: Sequence[Mapping[str, Any]], actor: str, passphrase: Passphrase) -> Sequence[bytes]:
        """See Services."""
        if self.locked:
            passphrase("to approve " + ", ".join(offer["change"] for offer in offers))
        return [self.house.consent(o["change"], shown=parse_digest(o["card"]), actor=actor) for o in offers]

    def card(self, change: str, offer: Mapping[str, Any]) -> Mapping[str, Any]:
        """See Services; whether it is the right card is the real one's to check."""
        del change
        return documents.to_plain(documents.decode(Card, self.read(offer["card"])))  # type: ignore[no-any-return]

    def withdraw(self, change: str, actor: str) -> Mapping[str, Any]:
        """See Services."""
        self.house.clock.advance(1)
        return verdict_plain(self.house.guard.withdraw(ChangeId(change), actor))

    def cancel_window(self, change: str, actor: str) -> Mapping[str, Any]:
        """See Services."""
        self.asked.append("cancel_window at the guard")
        self.house.clock.advance(1)
        return verdict_plain(self.house.guard.cancel_window(ChangeId(change), actor))

    def lift(self, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """See Services."""
        del actor, passphrase
        return verdict_plain(self.house.lift())

    def set_mode(self, mode: Mode, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """See Services."""
        del actor, passphrase
        return verdict_plain(self.house.set_mode(mode))

    def opt_in(
        self, rule: str, repository: str, until: int | None, actor: str, passphrase: Passphrase
    ) -> Mapping[str, Any]:
        """See Services."""
        del actor, passphrase
        ends = None if until is None else Instant(until)
        return verdict_plain(self.house.opt_in(rule, repository=repository, until=ends))

    def opt_out(self, opt_ins: Sequence[str], actor: str, passphrase: Passphrase) -> Sequence[Mapping[str, Any]]:
        """See Services."""
        del actor, passphrase
        return [verdict_plain(self.house.opt_out(parse_digest(each))) for each in opt_ins]

    def constitute(self, text: str, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """See Services."""
        del actor, passphrase
        parse_new(text.encode())
        self.house.constitute(text.encode())
        return {"is": "passed"}

    def set_floor(self, change: str, holds: bool, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """See Services."""
        del actor, passphrase
        return verdict_plain(self.house.set_floor(change, holds=holds))

    def looked(self, subject: str, through: str, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """See Services."""
        del actor, passphrase
        return verdict_plain(self.house.looked(subject, through))

    def settings(self) -> Values:
        """See Services."""
        return self.own

    def default_setting(self, key: str) -> tuple[Value | None, str]:
        """See Services."""
        if key.startswith("caps."):
            return getattr(self.house.policy.constitution.caps, key.removeprefix("caps.")), "constitution"
        return None, "default"

    def set_setting(self, key: str, words: str) -> Value:
        """See Services."""
        self.own = {**self.own, key: value_of(key, plain_of(key, words), "the command line")}
        return self.own[key]

    def unset_setting(self, key: str) -> bool:
        """See Services."""
        require_key(key)
        was, self.own = key in self.own, {name: value for name, value in self.own.items() if name != key}
        return was

    def allow_command(self, subject: str, command: str, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """See Services."""
        del subject, actor
        if self.locked:
            passphrase("to allow a test command")
        return verdict_plain(self.house.allow_command(command))

    def read(self, digest: str) -> bytes:
        """See Services."""
        return self.house.store.get(parse_digest(digest))

    def keep(self, data: bytes) -> str:
        """See Services."""
        return self.house.store.put("blob", data)

    def board(
        self, *, everything: bool, most: int | None = None, begins: str = "", held: Collection[str] = ()
    ) -> Sequence[Mapping[str, Any]]:
        """See Services."""
        fits = [
            change
            for change in self.house.changes()
            if board.shown(change, everything=everything)
            and change.id.startswith(begins)
            and (not held or (change.hold is not None and change.hold.rule in held))
        ]
        first = fits if everything else sorted(fits, key=lambda change: change.terminal, reverse=True)
        kept = {change.id for change in first[len(first) - (len(first) if most is None else most) :]}
        return [self._row(change) for change in fits if change.id in kept]

    def _row(self, change: Change) -> Mapping[str, Any]:
        line = Board(self.house.engine).line(change.id)
        return board.row(change, line.summary if line else "", line.rule if line else "")

    def tally(self) -> Mapping[str, Any]:
        """See Services."""
        changes = self.house.changes()
        there = [change for change in changes if board.shown(change, everything=False)]
        held = Counter(change.hold.rule for change in there if change.hold is not None)
        live = sum(change.state is State.KEPT and change.hold is None for change in there)
        moving, ended = len(there) - live - held.total(), len(changes) - len(there)
        return {"held": dict(held), "moving": moving, "live": live, "ended": ended}

    def summaries(self, changes: Collection[str]) -> Mapping[str, str]:
        """See Services."""
        lines = filter(None, (Board(self.house.engine).line(ChangeId(change)) for change in changes))
        return {line.change: line.summary for line in lines}

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

    def offer_branch(self, offer: Mapping[str, Any]) -> Mapping[str, Any]:
        """See Services; a branch that a test put there under the same name is in the way."""
        branches, name = self.house.repository.branches, f"greenroom/{offer['id']}"
        made = digest_of("text", f"{offer['onto']} {offer['green']}".encode())[5:45]
        if branches.setdefault(name, made) != made:
            return {"is": "held", "rule": "branch-exists", "where": name, "remedy": "delete it"}
        return {"is": "passed", "made": made}

    def fates(self, path: str, branch: str, waiting: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
        """See Services; the repository's `merged` names branches and how each was merged."""
        del path, branch
        found = self.house.repository
        return {
            one["change"]: found.merged.get(one["branch"], "open" if one["branch"] in found.branches else "closed")
            for one in waiting
        }

    def pushable(self, offer: Mapping[str, Any], remote: str) -> Mapping[str, Any]:
        """See Services; the remote `path` is a directory."""
        del offer
        refused = {"is": "refused", "rule": "push-transport", "where": remote, "remedy": "type its path"}
        return refused if remote == "path" else {"is": "passed"}

    def push_branch(self, offer: Mapping[str, Any], made: str, remote: str, *, ask: bool) -> Mapping[str, Any]:
        """See Services; the remote `origin` takes all."""
        del ask
        self.pushed.append((remote, f"greenroom/{offer['id']}", made))
        refused = {"is": "held", "rule": "push-refused", "where": remote, "remedy": "mend it"}
        return {"is": "passed"} if remote == "origin" else refused

    def log_entries(self, start: int, count: int) -> Sequence[Mapping[str, Any]]:
        """See Services."""
        return [documents.load_json(entry) for entry in self.house.log.read(start, count)]

    def understand(self, words: str) -> Request:
        """See Services."""
        said = bounded(words)
        return decide(said, TemplatePlanner().plan(said.encode()), trust=Trust.BOX)

    def briefing(self, begins: int, ends: int) -> Briefing:
        """See Services."""
        entries = [documents.load_json(entry) for entry in self.house.log.read(0, self.house.log.size())]
        changes = self.house.changes()
        lines = {change.id: Board(self.house.engine).line(change.id) for change in changes}
        weights, money = read_spent(self.house.directory / "guard.db", begins, ends)
        return brief(
            entries,
            begins=Instant(begins),
            ends=Instant(ends),
            now=self.house.clock.now(),
            rows=[board.row(c, line.summary if line else "", line.rule if line else "") for c, line in
                  ((c, lines[c.id]) for c in changes)],
            weights=weights,
            money_micro=money,
            papers=read_papers(changes, self.house.store, self.house.signers["owner"]),
            pending=[],
            stopped=self.house.guard.status().stopped,
        )  # fmt: skip

    def backup(self, target: Path, progress: Progress) -> Mapping[str, Any]:
        """See Services; a house in memory has nothing on disk to write."""
        progress("backup: writing")
        if target.exists():
            raise Unusable("file-exists", "there is a file of that name already", where=str(target), remedy="another")
        self.asked.append(f"backup {target}")
        return {"file": str(target), "bytes": 1, "sha256": "0" * 64, "members": 1, "box": "b1", "at": "0", "log": 0}

    def restore(self, source: Path, sha256: str | None, progress: Progress) -> Mapping[str, Any]:
        """See Services."""
        progress("restore: checking the log")
        if not source.exists():
            raise NotFound("no-backup", "there is no such file", where=str(source), remedy="name a backup")
        self.asked.append(f"restore {source} {sha256}")
        return {
            "path": str(self.box.root),
            "box": "b1",
            "at": "0",
            "members": 1,
            "sha256": "0" * 64,
            "log": 0,
            "lacks": [],
        }

    def uninstall(self, *, keep_log: bool) -> Mapping[str, Any]:
        """See Services."""
        self.asked.append(f"uninstall keep_log={keep_log}")
        kept = [str(self.box.log)] if keep_log else []
        return {"removed": str(self.box.root), "kept": kept, "stays": ["the command"]}

    def metrics(self, since: int) -> Metrics:
        """See Services."""
        entries = [entry for entry in self.log_entries(0, self.house.log.size()) if int(entry["at"]) >= since]
        touched = {entry["change"] for entry in entries}
        rules = {row["id"]: row["rule"] for row in self.board(everything=True) if row["id"] in touched}
        changes = (change for change in self.house.changes() if change.id in touched)
        papers = read_papers(changes, self.house.store, self.house.signers["owner"])
        size = sum(len(entry) for entry in self.house.log.read(0, self.house.log.size()))
        return measure(entries, rules=rules, papers=papers, log_bytes=size, backup_bytes=0)

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

    def rebuild(self, *, act: bool) -> Mapping[str, Any]:
        """See Services; one change is lost here until it is rebuilt."""
        self.asked.append(f"rebuild act={act}")
        row = {"id": "k3f9x2", "state": "kept", "why": "lost"}
        counts = {"log": 3, "database": "missing", "runs": "missing", "decisions": 0}
        lists: Mapping[str, Any] = {"deliveries": [], "unknown": [], "kept_aside": [], "notes": []}
        return {"rebuilt": act, "needed": True, "changes": [row], **counts, **lists}

    def require_sandbox(self) -> None:
        """See Services; `walls` False is a machine without any."""
        if not self.walls:
            raise NoSandbox("no-sandbox", "this machine lets no sandbox be made", where="x=0", remedy="set x to 1")

    def foresee(self, place: Mapping[str, Any], wish: Mapping[str, Any], out: str | None) -> Mapping[str, Any]:
        """See Services."""
        return {
            "verdict": {"is": "passed"},
            "box": {"path": str(self.box.root), "there": True},
            "sandbox": {"available": self.walls, "setting": "x=0", "remedy": "set x to 1"},
            "reads": [{"where": place["path"], "what": "all"}],
            "fetches": {
                "hosts": {"index.example": "package index"},
                "proxies": ["http://proxy.example:3128"],
                "directories": ["/srv/wheels"],
                "problem": "",
                "what": "wheels",
                "argv": ["pip"],
            },
            "runs": [{"tool": name, "argv": ["python"], "what": "", "often": "once"} for name in wish["only"]],
            "stores": [{"where": out or "the box", "what": "cards"}],
        }

    def down(self) -> None:
        """See Services."""
        self.asked.append("down")


def _silent(event: Any) -> None:
    del event
