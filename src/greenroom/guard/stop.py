"""Stop: a file that is there or not. Anyone may set it; only the owner's key takes it away.

The file is the truth, so that the keeper, `rescue` and a person can see and set it without the guard:
whatever it holds, while it is there nothing starts. Its id is the digest of its bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import GreenroomError
from greenroom.domain.verdict import Held, Instant, Passed, Refused, Verdict
from greenroom.guard.journal import Journal, SteadyClock, tidy
from greenroom.guard.papers import Lift

MAX_STOP_BYTES = 4096


class StopSwitch:
    """The stop file `path`, written durably before `pull` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = threading.RLock()
        self._swapping = threading.Lock()

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        """A stop that is set meanwhile counts at once, but is answered only when what happens inside is over."""
        with self._swapping:
            yield

    @property
    def id(self) -> Digest | None:
        """The id of the stop in force, None when there is none."""
        held = self._read()
        return None if held is None else digest_of("text", held)

    @property
    def pulled(self) -> bool:
        """True while stopped."""
        return os.path.lexists(self._path)

    def by(self) -> str | None:
        """Who set the stop in force, as far as the file says; None when there is none."""
        held = self._read()
        if held is None:
            return None
        with contextlib.suppress(GreenroomError):
            plain = documents.load_json(held)
            if isinstance(plain, dict) and isinstance(plain.get("actor"), str):
                return tidy(plain["actor"])
        return "unknown"

    def pull(self, actor: str, at: Instant) -> Digest:
        """Set a stop; its id. A second stop takes the place of the first, so that a lift of the first misses it."""
        body = {"actor": actor, "at": str(at), "nonce": secrets.token_hex(16)}
        data = json.dumps(body, sort_keys=True).encode("utf-8")
        with self._file:
            self._write(data)
        with self._swapping:
            pass
        return digest_of("text", data)

    def release(self, stop: Digest) -> bool:
        """Take the stop `stop` away; False when another one, or none, is in force."""
        with self._file:
            if self.id != stop:
                return False
            os.unlink(self._path)
            _sync_directory(self._path.parent)
            return True

    def held(self) -> Held | None:
        """A hold that says who stopped the box, or None when it runs."""
        if not self.pulled:
            return None
        return Held(rule="stopped", where=f"stop set by {self.by()}", remedy="greenroom lift, with the owner's key")

    def _read(self) -> bytes | None:
        try:
            with open(self._path, "rb") as file:
                return file.read(MAX_STOP_BYTES)
        except FileNotFoundError:
            return None
        except OSError:
            return b""

    def _write(self, data: bytes) -> None:
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        with open(draft, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self._path)
        _sync_directory(self._path.parent)


def _no_point(point: str) -> None:
    del point


def set_stop(
    switch: StopSwitch,
    journal: Journal,
    clock: SteadyClock,
    actor: str,
    crash_point: Callable[[str], None] = _no_point,
) -> Digest:
    """Set a stop and log it; the stop holds even when the log cannot be written."""
    actor = tidy(actor)
    stop = switch.pull(actor, clock.floor())
    crash_point("stop.pulled")
    journal.write("stop.set", f"stop/{stop}", actor=actor, digests={"stop": stop})
    crash_point("stop.logged")
    return stop


def lift_stop(
    switch: StopSwitch,
    journal: Journal,
    now: Instant,
    lift: Lift,
    envelope: Digest,
    crash_point: Callable[[str], None] = _no_point,
) -> Verdict:
    """Lift exactly the stop that the owner's `lift` names.

    A crash after the entry leaves the box stopped, which is the safe side; the same lift, asked for again, ends it.
    """
    stop = switch.id
    if stop is None:
        return Passed()
    if lift.stop != stop:
        return Refused(rule="lift-names-another-stop", where=lift.stop, remedy="sign a lift of the stop in force")
    if now >= lift.expires:
        return Refused(rule="lift-expired", where=str(lift.expires), remedy="sign a fresh lift")
    journal.write("stop.lifted", f"lift/{stop}", actor=tidy(lift.actor), digests={"stop": stop, "lift": envelope})
    crash_point("lift.logged")
    if not switch.release(stop):
        return Refused(rule="stopped-again", where=str(switch.id), remedy="sign a lift of the stop in force")
    crash_point("lift.released")
    return Passed(produced={"lift": envelope})


def log_stop_found(switch: StopSwitch, journal: Journal) -> None:
    """Log a stop that was set while the guard was away, or whose entry a crash lost."""
    stop = switch.id
    if stop is not None:
        journal.write("stop.set", f"stop/{stop}", actor=switch.by() or "unknown", digests={"stop": stop})


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
