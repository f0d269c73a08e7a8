"""Calls over frames: `{"call": name, "with": {...}}` answered by `{"ok": ...}` or `{"error": {...}}`.

A server may send any number of `{"progress": ...}` before the answer. Errors cross as reference, message,
where, remedy and class, and are raised again on the other side.
"""

from __future__ import annotations

import contextlib
import os
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from greenroom.domain import errors
from greenroom.wire import frames, whence
from greenroom.wire.hello import HELLO, Hello, installation

Progress = Callable[[Any], None]
Handler = Callable[[Mapping[str, Any], tuple[int, ...], Progress, int], Any]
"""Called with arguments, descriptors, a progress sender and the peer's user id."""

_CLASSES: Mapping[str, type[errors.GreenroomError]] = {
    cls.__name__: cls
    for cls in (
        errors.Unusable,
        errors.NotFound,
        errors.Unreachable,
        errors.TooLarge,
        errors.NoSandbox,
        errors.Tampered,
        errors.Bug,
    )
}


class Client:
    """One connection's worth of calls; opens a connection a call, so that a restarted server is no matter."""

    def __init__(self, path: str, *, patience_s: float = 0.0, timeout_s: float | None = None) -> None:
        self.path = path
        self.patience_s = patience_s
        self.timeout_s = timeout_s

    def call(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        descriptors: tuple[int, ...] = (),
        progress: Progress | None = None,
    ) -> Any:
        """The answer to `name`; raises what the server raised, or Unreachable."""
        with self._connect() as connection:
            try:
                frames.send(connection, {"call": name, "with": dict(arguments or {})}, descriptors)
                while True:
                    received = frames.receive(connection)
                    if received is None:
                        raise errors.Unreachable("hung-up", f"no answer to {name!r}", where=self.path)
                    message = received[0]
                    if "progress" not in message:
                        return _answer(message)
                    if progress is not None:
                        progress(message["progress"])
            except OSError as error:
                raise errors.Unreachable("hung-up", f"no answer to {name!r}: {error}", where=self.path) from None

    def ping(self) -> None:
        """Return when somebody answers; raises Unreachable."""
        self._connect().close()

    def hello(self) -> Hello:
        """Which code answers, and how busy it is; raises Unreachable."""
        try:
            said = self.call(HELLO)
        except errors.Unusable as error:
            if error.reference != "unknown-call":
                raise
            return Hello(installation="an earlier release", busy=None)
        return _hello(said, self.path)

    def peer(self) -> tuple[int, int]:
        """Process id and user id of who answers, from the kernel; raises Unreachable."""
        with self._connect() as connection:
            return frames.peer(connection)

    def _connect(self) -> socket.socket:
        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                return frames.connect(self.path, self.timeout_s)
            except errors.Unreachable:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.02)


def _hello(said: Any, path: str) -> Hello:
    """What was said, taken apart; raises Unreachable `hello-malformed` for anything but a text and a count."""
    found = (said.get("installation"), said.get("busy")) if isinstance(said, dict) else (None, None)
    if not isinstance(found[0], str) or type(found[1]) is not int or found[1] < 0:
        raise errors.Unreachable("hello-malformed", "what answers does not say which code it runs", where=path)
    return Hello(installation=found[0][:200], busy=found[1])


class Teller:
    """Sends progress to a caller. One that hangs up is `gone`, which ends no work by itself."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.gone = False

    def __call__(self, progress: Any) -> None:
        """Send `progress` unless the caller is gone."""
        if self.gone:
            return
        try:
            frames.send(self._connection, {"progress": progress})
        except OSError:
            self.gone = True


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers calls on a socket of mode 0600 (or `mode`); only `uids` may call. `idle_s` is the time since the last.

    Besides `handlers` every server answers `hello`. The calls in `beside` are for processes in this one's own namespace
    of process ids; another's are `not-allowed`.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        path: str,
        handlers: Mapping[str, Handler],
        *,
        uids: frozenset[int],
        mode: int = 0o600,
        beside: frozenset[str] = frozenset(),
    ) -> None:
        self.handlers = {HELLO: self._hello, **handlers}
        self.uids = uids
        self.beside = beside
        self._installation = installation()
        self._busy = 0
        self._last = time.monotonic()
        self._lock = threading.Lock()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        before = os.umask(0o177)
        try:
            super().__init__(path, _Connection)
        finally:
            os.umask(before)
        os.chmod(path, mode)

    @property
    def idle_s(self) -> float:
        """Seconds since the last call ended; 0 while one runs."""
        with self._lock:
            return 0.0 if self._busy else time.monotonic() - self._last

    def _hello(self, arguments: Mapping[str, Any], descriptors: tuple[int, ...], tell: Progress, uid: int) -> Any:
        del arguments, descriptors, tell, uid
        with self._lock:
            return {"installation": self._installation, "busy": self._busy - 1}

    @contextlib.contextmanager
    def busy(self) -> Any:
        """Counts as not idle inside."""
        with self._lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1
                self._last = time.monotonic()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A broken connection is the peer's matter, not ours."""


class _Connection(socketserver.BaseRequestHandler):
    server: Server

    def handle(self) -> None:
        uid = frames.peer_uid(self.request)
        if uid not in self.server.uids:
            _fail(self.request, errors.Unusable("not-allowed", f"user {uid} may not call here"))
            return
        while True:
            try:
                received = frames.receive(self.request)
            except errors.GreenroomError as error:
                _fail(self.request, error)
                return
            if received is None:
                return
            with self.server.busy():
                self._answer(received[0], received[1], uid)

    def _answer(self, message: Any, descriptors: tuple[int, ...], uid: int) -> None:
        try:
            if not isinstance(message, dict) or not isinstance(message.get("with"), dict):
                raise errors.Unusable("bad-call", "a call has a name and arguments")
            handler = self.server.handlers.get(str(message.get("call")))
            if handler is None:
                raise errors.Unusable("unknown-call", f"no call {str(message.get('call'))[:80]!r}")
            if str(message.get("call")) in self.server.beside and not whence.beside(self.request):
                remedy = "where a person called: `greenroom down`, then the command again in the place where they are"
                raise errors.Unusable(
                    "not-allowed", "no process of another namespace may make this call", remedy=remedy
                )
            answer = handler(message["with"], descriptors, Teller(self.request), uid)
            frames.send(self.request, {"ok": answer})
        except errors.GreenroomError as error:
            _fail(self.request, error)
        except OSError as error:
            _fail(
                self.request, errors.Unusable("system-error", f"{error.strerror or error}", where=str(error.filename))
            )
        except Exception as error:
            _fail(self.request, errors.Bug("bug", f"{type(error).__name__}: {error}"[:2000]))
            raise
        finally:
            for descriptor in descriptors:
                with contextlib.suppress(OSError):
                    os.close(descriptor)


def _fail(connection: socket.socket, error: errors.GreenroomError) -> None:
    body = {
        "class": type(error).__name__,
        "reference": error.reference,
        "message": error.message,
        "where": error.where,
        "remedy": error.remedy,
    }
    with contextlib.suppress(OSError):
        frames.send(connection, {"error": body})


def _answer(message: Any) -> Any:
    if "ok" in message:
        return message["ok"]
    error = message.get("error")
    if not isinstance(error, dict):
        raise errors.Bug("bad-answer", "an answer is neither ok nor error")
    cls = _CLASSES.get(str(error.get("class")), errors.Bug)
    raise cls(
        str(error.get("reference")),
        str(error.get("message")),
        where=str(error.get("where", "")),
        remedy=str(error.get("remedy", "")),
    )
