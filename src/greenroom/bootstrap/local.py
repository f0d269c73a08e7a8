"""The house as a door on the same machine sees it: starts the processes, signs with the owner's key, delivers."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenroom.bootstrap.offering import PersonsBranches
from greenroom.bootstrap.orders import OwnersOrders
from greenroom.bootstrap.patience import told_when_slow
from greenroom.config import Box
from greenroom.domain import documents
from greenroom.domain.digest import parse_digest
from greenroom.domain.errors import NoSandbox, NotFound, Tampered, Unreachable, Unusable
from greenroom.domain.verdict import Held, Instant, Passed, Refused
from greenroom.domain.vocabulary import ChangeId

if TYPE_CHECKING:
    from greenroom.audit.attest import KeyAttestor
    from greenroom.domain.briefing import Briefing
    from greenroom.domain.metrics import Metrics
    from greenroom.domain.proof import Consent
    from greenroom.domain.requests import Request
    from greenroom.domain.settings import Value, Values
    from greenroom.entrypoints.services import Passphrase, Progress
    from greenroom.guard.client import GuardClient
    from greenroom.guard.papers import Paper
    from greenroom.wire.hello import Hello
    from greenroom.wire.rpc import Client

START_S = 30.0
TRY_S = 4.0
PAPER_SECONDS = 600
ASKED = ("guard", "desk")
"""The processes that a person asks what they are. The keeper is started by the same rescue as these."""


class LocalServices(OwnersOrders, PersonsBranches):
    """The Services port of the command line over one box."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self._met: set[str] = set()

    def init(self, passphrase: Callable[[], bytes | None], *, ssh_agent: bool = False) -> Mapping[str, Any]:
        """See Services: make what is missing, sign the policy of this installation when it is not in force."""
        from greenroom.bootstrap.making import make_box

        return make_box(self.box, passphrase, ssh_agent=ssh_agent)

    def desk(
        self,
        call: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        progress: Progress | None = None,
    ) -> Any:
        """See Services."""
        from greenroom.entrypoints.services import CARRYING

        if call in CARRYING:
            arguments = {**(arguments or {}), "settings": self.settings()}
        return self._client("desk").call(call, arguments, progress=progress)

    def present(self, path: str, branch: str) -> str:
        """See Services."""
        from greenroom.bootstrap.person import present

        # Whether another installation runs, the guard says; to persons the keeper answers little.
        self._client("guard")
        return present(self._client("keeper"), path, branch)

    def guard(self, call: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """See Services."""
        if call == "constitution":
            return {"text": self._constitution()}
        if call == "stop":
            return self._stop(arguments or {})
        return self._client("guard").call(call, arguments)

    def now(self) -> int:
        """See Services."""
        return time.time_ns()

    def consents(self, offers: Sequence[Mapping[str, Any]], actor: str, passphrase: Passphrase) -> Sequence[bytes]:
        """See Services."""
        from greenroom.guard import papers

        named = ", ".join(str(offer["change"]) for offer in offers)
        owner, seconds = self._owner(passphrase, f"to approve {named}"), self._consent_seconds()
        return [papers.sign(owner, self._consent(offer, actor, seconds)) for offer in offers]

    def _consent(self, offer: Mapping[str, Any], actor: str, seconds: int) -> Consent:
        from greenroom.domain.proof import Consent

        now = self.now()
        return Consent(
            change=ChangeId(offer["change"]),
            plan=parse_digest(offer["plan"]),
            green=parse_digest(offer["green"]),
            shown=parse_digest(offer["card"]),
            actor=actor,
            expires=Instant(now + seconds * 1_000_000_000),
            nonce=secrets.token_hex(16),
            at=Instant(now),
        )

    def card(self, change: str, offer: Mapping[str, Any]) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.domain.card import Card

        card = documents.decode(Card, self.read(offer["card"]))
        if (card.change, card.plan, card.green) != (change, offer["plan"], offer["green"]) or offer["change"] != change:
            raise Tampered(
                "card-of-another-change",
                f"the card that is to be signed is not that of {change}",
                where=str(offer["card"]),
                remedy="do not approve; `greenroom down`, then look again",
            )
        return documents.to_plain(card)  # type: ignore[no-any-return]

    def withdraw(self, change: str, actor: str) -> Mapping[str, Any]:
        """See Services."""
        return _plain(self._remote().withdraw(ChangeId(change), actor))

    def cancel_window(self, change: str, actor: str) -> Mapping[str, Any]:
        """See Services."""
        return _plain(self._remote().cancel_window(ChangeId(change), actor))

    def settings(self) -> Values:
        """See Services."""
        from greenroom.bootstrap import configuration

        return configuration.load(self._mine())

    def default_setting(self, key: str) -> tuple[Value | None, str]:
        """See Services."""
        from greenroom.bootstrap import configuration

        if key.startswith("caps."):
            return self._day_cap(key.removeprefix("caps.")), "constitution"
        return configuration.default(key, os.environ)

    def set_setting(self, key: str, words: str) -> Value:
        """See Services."""
        from greenroom.bootstrap import configuration

        return configuration.change(self._mine(), key, words)

    def unset_setting(self, key: str) -> bool:
        """See Services."""
        from greenroom.bootstrap import configuration

        return configuration.forget(self._mine(), key)

    def read(self, digest: str) -> bytes:
        """See Services."""
        from greenroom.release.store import FileStore

        return FileStore(self._mine().store).get(parse_digest(digest))

    def keep(self, data: bytes) -> str:
        """See Services."""
        from greenroom.release.store import FileStore

        return FileStore(self._mine().store).put("blob", data)

    def board(
        self, *, everything: bool, most: int | None = None, begins: str = "", held: Collection[str] = ()
    ) -> Sequence[Mapping[str, Any]]:
        """See Services."""
        if most is not None:
            wish = {"everything": everything, "most": most, "begins": begins, "held": list(held)}
            found = self._beside("board", wish)
            if found is not None:
                return found  # type: ignore[no-any-return]
        from greenroom.bootstrap.foreign import asked
        from greenroom.pipeline.board import read_board

        narrowed = functools.partial(read_board, everything=everything, most=most, begins=begins, held=held)
        return asked(self._mine(), narrowed)

    def tally(self) -> Mapping[str, Any]:
        """See Services."""
        found = self._beside("tally", {})
        if found is not None:
            return found  # type: ignore[no-any-return]
        from greenroom.bootstrap.foreign import asked
        from greenroom.pipeline.board import read_tally

        return asked(self._mine(), lambda database: documents.to_plain(read_tally(database)))

    def summaries(self, changes: Collection[str]) -> Mapping[str, str]:
        """See Services."""
        from greenroom.bootstrap.foreign import asked
        from greenroom.pipeline.board import read_summaries

        return asked(self._mine(), lambda database: read_summaries(database, changes))

    def repository(self, path: str, branch: str | None, trees: tuple[str, str] | None = None) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.bootstrap.person import repository

        return repository(path, branch, box=self.box, trees=trees)

    def deliver(self, delivery: Mapping[str, Any]) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.bootstrap.parts import crash_points
        from greenroom.bootstrap.person import deliver

        crash_point = crash_points("cli")
        crash_point("delivery.wanted")
        verdict = deliver(self.box, self._remote(), delivery, crash_point)
        crash_point("delivery.moved")
        return _plain(verdict)

    def offer_branch(self, offer: Mapping[str, Any]) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.bootstrap.person import offer_branch

        made = offer_branch(self._mine(), offer)
        return _plain(made) if isinstance(made, Held) else {**_plain(Passed()), "made": made}

    def log_entries(self, start: int, count: int) -> Sequence[Mapping[str, Any]]:
        """See Services."""
        from greenroom.audit.reader import read_page

        page = read_page(self._mine(log=True).log, (self._public("guard"),), start, count)
        return [documents.load_json(entry) for entry in page]

    def log_export(self) -> Iterable[bytes]:
        """See Services."""
        from greenroom.audit.export import export
        from greenroom.audit.reader import read_copy

        return export(read_copy(self._mine(log=True).log, (self._public("guard"),)).entries)

    def log_check(self, log: str | None, keys: str | None, checkpoint: bytes | None) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.bootstrap import log_copies

        if log is None:
            return log_copies.report(self._mine(log=True).log, keys or self.box.public, checkpoint, self._kept())
        return log_copies.check_copy(self.box, log, keys, checkpoint)

    def log_checkpoint(self) -> bytes:
        """See Services."""
        return self._remote().status().checkpoint.encode()

    def metrics(self, since: int) -> Metrics:
        """See Services."""
        from greenroom.bootstrap.measuring import measure_box

        return measure_box(self._mine(), since)

    def understand(self, words: str) -> Request:
        """See Services."""
        from greenroom.bootstrap.parts import planner
        from greenroom.domain.requests import bounded, decide
        from greenroom.domain.vocabulary import Trust

        said = bounded(words)
        return decide(said, planner().plan(said.encode()), trust=Trust.BOX)

    def briefing(self, begins: int, ends: int) -> Briefing:
        """See Services."""
        from greenroom.bootstrap.briefing import brief_box

        return brief_box(self._mine(), begins, ends, self.now())

    def backup(self, target: Path, progress: Progress) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.bootstrap.backup import back_up

        made = back_up(self._mine(), target, progress)
        self._note("backup.made", str(made["bytes"]))
        return made

    def restore(self, source: Path, sha256: str | None, progress: Progress) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.bootstrap.backup import restore

        made = restore(self.box, source, sha256, progress)
        self._note("backup.restored", str(made["at"]))
        return made

    def _note(self, name: str, about: str) -> None:
        """Have the log say it, in the name of whoever typed the command."""
        import getpass

        from greenroom.domain.events import Event

        key = f"{name}/{secrets.token_hex(16)}"
        event = Event(key=key, at=Instant(self.now()), actor=f"person:{getpass.getuser()}"[:64], name=name, about=about)
        self.guard("append", {"event": documents.to_plain(event)})

    def uninstall(self, *, keep_log: bool) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.bootstrap.removal import remove_box

        return remove_box(self._mine(log=True), keep_log=keep_log)

    def doctor(self) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.bootstrap.doctor import examine

        if self.box.identity.is_file():
            self._mine()
        asked = (
            self.require_sandbox,
            lambda: self.desk("layers"),
            self._signed_tools,
            lambda: self.desk("outdated"),
            self._key_ages,
        )
        return examine(self.box, *asked)

    def rebuild(self, *, act: bool) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.bootstrap.rebuild import rebuild

        return rebuild(self._mine(), act=act)

    def require_sandbox(self) -> None:
        """See Services."""
        from greenroom.bootstrap.parts import sandbox_user
        from greenroom.sandbox.available import lack

        uid, gid = sandbox_user()
        found = lack(user=(uid, gid) if uid is not None and gid is not None else None)
        if found is not None:
            message = f"this machine lets no sandbox be made, so nothing was run: {found.said}"
            raise NoSandbox("no-sandbox", message, where=found.setting, remedy=found.remedy)

    def foresee(self, place: Mapping[str, Any], wish: Mapping[str, Any], out: str | None) -> Mapping[str, Any]:
        """See Services."""
        from greenroom.bootstrap.foresee import foresee

        return foresee(self.box, place, wish, os.environ, out)

    def down(self) -> None:
        """See Services."""
        lock = self._mine().run / "rescue.lock"
        deadline = time.monotonic() + START_S
        while lock.exists() and locked(lock):
            if time.monotonic() > deadline:
                raise Unreachable(
                    "processes-do-not-end",
                    f"the box's processes are still there after {START_S:.0f} seconds",
                    where=str(lock),
                    remedy="read run/processes.log of the box, then try again",
                )
            # Again each time: a rescue that has only just taken the lock has not written its id yet.
            _ask_to_leave(self.box)
            time.sleep(0.05)

    def _mine(self, *, log: bool = False) -> Box:
        """The box, when it is there and this user's; root may use every box. For its `log`, the log is enough.

        Raises NotFound `no-box` and `only-a-log`, Unusable `box-of-another-user`.
        """
        box = self.box.require_log() if log else self.box.require()
        if os.geteuid() not in (0, box.root.stat().st_uid):
            raise Unusable(
                "box-of-another-user",
                "the box belongs to another user",
                where=str(box.root),
                remedy="run greenroom as that user, or make a box of your own: `greenroom init`",
            )
        return box

    def _stop(self, arguments: Mapping[str, Any]) -> Any:
        """Anyone may stop: the file is the truth, so it is written first, and the guard told after."""
        body = {"actor": str(arguments.get("actor", "")), "at": str(self.now()), "nonce": secrets.token_hex(16)}
        path = self._mine().guard / "stop"
        part = path.with_name(f".stop.{body['nonce'][:8]}")
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            if os.geteuid() == 0:
                # The guard reads it and takes it away, also where it is another user.
                whose = self.box.guard.stat()
                os.fchown(file.fileno(), whose.st_uid, whose.st_gid)
            file.write(documents.encode(body))
        os.replace(part, path)
        try:
            return _caller(str(self.box.socket("guard")), timeout_s=START_S).call("stop", arguments)
        except Unusable as error:
            # The file alone stops the box, and a guard of any version obeys it.
            if isinstance(error, Unreachable) or error.reference == "unknown-call":
                return None
            raise

    def _beside(self, call: str, arguments: Mapping[str, Any]) -> Any:
        """The answer of the executor, where the database is its user's and it runs; else None. Starts nothing.

        Reading the file then means to copy it first: see `bootstrap.foreign`.
        """
        if self._mine().db.stat().st_uid == os.geteuid():
            return None
        try:
            return _caller(str(self.box.socket("desk")), timeout_s=TRY_S).call(call, arguments)
        except Unusable as error:
            # One of another release may not know the call, or mean something else by it; a board can outgrow a frame.
            if isinstance(error, Unreachable) or error.reference in ("unknown-call", "bad-call", "frame-too-large"):
                return None
            raise

    def _client(self, socket: str) -> Client:
        """A client of a socket of the box whose processes run."""
        path = str(self._mine().socket(socket))
        if socket not in self._met:
            self._meet(socket)
            self._met.add(socket)
        client = _caller(path)
        try:
            client.ping()
        except Unreachable:
            with told_when_slow("greenroom: the box's processes are starting"):
                self._start(socket)
        return _caller(path, patience_s=1.0)

    def _meet(self, socket: str) -> None:
        """See that who answers on `socket` runs this installation; end the processes where the guard says it does not.

        What the executor says of itself ends nothing, and says nothing of the guard. Raises Unreachable
        `other-version` while they are at work, and where nobody can tell.
        """
        from greenroom.wire.hello import installation

        called = self._hello(socket)
        if called is None or called.installation == installation():
            return
        said = [called, *filter(None, (self._hello(other) for other in ASKED if other != socket))]
        guard = called if socket == "guard" else self._hello("guard")
        outdated = guard is not None and guard.installation != installation()
        if outdated and all(one.busy == 0 for one in said):
            print("greenroom: the processes of another installation are ended; this one's take over", file=sys.stderr)
            self.down()
            return
        at_work = any(one.busy for one in said)
        why = "and they are at work" if at_work else "and nobody can tell whether they are at work"
        message = f"the box's processes run {called.installation} of Greenroom, this command is {installation()}"
        raise Unreachable(
            "other-version",
            f"{message}, {why}",
            where=str(self.box.run),
            remedy="let other commands end, or `greenroom down`, which loses nothing; then run this command again",
        )

    def _hello(self, process: str) -> Hello | None:
        """What the process says of itself; None where nobody listens. Raises Unreachable `hello-malformed`."""
        try:
            return _caller(str(self.box.socket(process)), timeout_s=TRY_S).hello()
        except Unreachable as error:
            if error.reference == "hello-malformed":
                raise
        return None

    def _start(self, process: str) -> None:
        """Start the box's processes, until `process` answers."""
        from greenroom.bootstrap import starting
        from greenroom.bootstrap.identity import identity_of
        from greenroom.bootstrap.ownership import require_form

        identity_of(self.box)
        require_form(self.box)
        starting.wait(self.box, process, START_S)

    def _remote(self) -> GuardClient:
        from greenroom.guard.client import GuardClient

        return GuardClient(self._client("guard").call)

    def _owner(self, passphrase: Passphrase, why: str) -> KeyAttestor:
        from greenroom.bootstrap.owner import open_owner

        return open_owner(self._mine(), lambda: passphrase(why))

    def _signed(self, paper: Paper, passphrase: Passphrase, why: str) -> bytes:
        from greenroom.guard import papers

        return papers.sign(self._owner(passphrase, why), paper)

    def _public(self, role: str) -> bytes:
        from greenroom.audit.keys import load_public

        return load_public(self._mine(log=True).public / f"{role}.pub")

    def _kept(self) -> bytes | None:
        from greenroom.audit.checkpoint import KeptCheckpoint
        from greenroom.audit.epochs import CHAIN, walk

        path = self.box.guard / "checkpoint"
        if not path.exists():
            return None
        latest = KeptCheckpoint(path, walk(self.box.log / CHAIN, (self._public("guard"),)).ring).latest()
        return latest[1] if latest else None

    def _constitution(self) -> str:
        from greenroom.policy.bundle import PolicyBundle
        from greenroom.release.store import FileStore

        store = FileStore(self._mine().store)
        digest = self._remote().policy()
        if digest is None:
            raise NotFound("no-constitution", "the owner has signed no constitution", remedy="greenroom init")
        return store.get(documents.decode(PolicyBundle, store.get(digest)).constitution).decode()

    def _signed_tools(self) -> bool:
        """True when the policy in force has the tools of this installation."""
        from greenroom.bootstrap.making import save_policy

        return save_policy(self.box, self._constitution().encode()) == self._remote().policy()

    def _key_ages(self) -> Mapping[str, str]:
        """Which epochs the keys of guard and keeper are of, and how old they are."""
        status, keeper = self._remote().status(), self._remote().keeper_epoch()
        told = {"guard key": (status.epoch, status.key_since), "keeper key": (keeper.number, keeper.since)}
        ages = {name: max(0, self.now() - (since or self.now())) // 60_000_000_000 for name, (_, since) in told.items()}
        return {name: f"epoch {epoch}, {ages[name]} min old" for name, (epoch, _) in told.items()}

    def _day_cap(self, name: str) -> int:
        """What the constitution in force allows in a day: `changes`, `lines` or `risk`."""
        from greenroom.policy.constitution import parse

        return int(getattr(parse(self._constitution().encode()).caps, name))

    def _consent_seconds(self) -> int:
        from greenroom.policy.constitution import parse

        return parse(self._constitution().encode()).consent_seconds

    def _expiry(self) -> Instant:
        return Instant(self.now() + PAPER_SECONDS * 1_000_000_000)


def _caller(path: str, **bounds: float) -> Client:
    """A client of the socket at `path`; `bounds` as Client has them."""
    from greenroom.wire.rpc import Client

    return Client(path, **bounds)


def _plain(verdict: Passed | Refused | Held) -> Mapping[str, Any]:
    from greenroom.pipeline.plain import verdict_plain

    return verdict_plain(verdict)


def _ask_to_leave(box: Box) -> None:
    """SIGTERM to the rescue of `box`."""
    from greenroom.bootstrap.starting import rescue_of

    pid = rescue_of(box)
    with contextlib.suppress(ProcessLookupError):
        if pid is not None:
            os.kill(pid, signal.SIGTERM)


def locked(lock: Path) -> bool:
    """True while a rescue holds the lock of its box."""
    import fcntl

    with open(lock, "rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
