"""Starts a program with just the descriptors that it is given, and waits for its end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from greenroom.domain.errors import Bug, Unusable

_REAP_S = 30.0
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)
"""Ignored by the interpreter, and inherited where nobody says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A process that was started, and our ends of what it prints."""

    pid: int
    stdout: int
    stderr: int


def spawn(words: Sequence[str], stdin: int, passed: Iterable[int], stack: contextlib.ExitStack) -> Child:
    """Starts the program `words[0]` with an empty environment; `stack` closes our ends. Raises OSError.

    By posix_spawn(3), which takes half the time of `subprocess` and shares its descriptors that are not marked to
    be closed: the warden closes what it was not told of.
    """
    with contextlib.ExitStack() as theirs:
        stdout, stdout_theirs = _pipe(stack, theirs)
        stderr, stderr_theirs = _pipe(stack, theirs)
        streams = ((stdin, 0), (stdout_theirs, 1), (stderr_theirs, 2))
        # Put on itself, a descriptor is no longer closed at the start of the program.
        pairs = [*streams, *((fd, fd) for fd in passed)]
        if min(fd for fd, _ in pairs) < len(streams):
            raise Bug("standard-streams-closed", "a descriptor of ours stands where a standard stream should be")
        pid = os.posix_spawn(
            words[0],
            list(words),
            {},
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, target) for fd, target in pairs],
            setsigdef=_RESTORED,
        )
    return Child(pid=pid, stdout=stdout, stderr=stderr)


def reap(child: Child) -> None:
    """Waits for the end of a process that ends by itself. Raises Unusable `cell-will-not-die` after 30 s."""
    if os.waitpid(child.pid, os.WNOHANG)[0]:
        return
    watched = os.pidfd_open(child.pid)
    try:
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        if not poll.poll(_REAP_S * 1000):
            raise Unusable(
                "cell-will-not-die",
                "a process does not end when killed",
                where=str(child.pid),
                remedy="restart the machine",
            )
    finally:
        os.close(watched)
    os.waitpid(child.pid, 0)


def _pipe(ours: contextlib.ExitStack, theirs: contextlib.ExitStack) -> tuple[int, int]:
    here, there = os.pipe2(os.O_CLOEXEC)
    ours.callback(os.close, here)
    theirs.callback(os.close, there)
    return here, there
