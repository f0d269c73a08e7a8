"""Whence a call comes: whether the caller lives beside us, or in a namespace of process ids of its own."""

from __future__ import annotations

import os
import select
import socket

from greenroom.wire import frames

SO_PEERPIDFD = 77
"""asm-generic/socket.h, since Linux 6.5: a descriptor of the process that connected."""


def beside(connection: socket.socket) -> bool:
    """True where the process that connected is alive and in our own namespace of process ids (pid_namespaces(7)).

    A process cannot leave such a namespace, and what it starts is in it, too. False for a process that is gone, since
    its id may be another's by now, and for one that the kernel shows nothing of.
    """
    pid, _ = frames.peer(connection)
    try:
        process = _process(connection, pid)
    except OSError:
        return False
    try:
        same = os.path.samestat(os.stat(f"/proc/{pid}/ns/pid"), os.stat("/proc/self/ns/pid"))
        return same and not _ended(process)  # Asked last: until then the id was that process's.
    except OSError:
        return False
    finally:
        os.close(process)


def _process(connection: socket.socket, pid: int) -> int:
    try:
        return connection.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD)
    except OSError:
        return os.pidfd_open(pid)


def _ended(process: int) -> bool:
    waiting = select.poll()
    waiting.register(process, select.POLLIN)
    return bool(waiting.poll(0))
