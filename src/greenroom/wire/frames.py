"""Frames on a local socket: four bytes of length (big-endian), then JSON of at most 1 MiB.

A frame may carry up to four file descriptors (SCM_RIGHTS, unix(7)). Everything larger travels by digest
through the store. A malformed frame raises Unusable; the connection is then closed, never resumed.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from typing import Any

from greenroom.domain import documents
from greenroom.domain.errors import TooLarge, Unreachable, Unusable

MAX_FRAME = 1024 * 1024
MAX_DESCRIPTORS = 4


def send(connection: socket.socket, message: Any, descriptors: tuple[int, ...] = ()) -> None:
    """Send one message; raises TooLarge before anything is sent."""
    body = documents.encode(message)
    if len(body) > MAX_FRAME:
        raise TooLarge("frame-too-large", f"a message has at most {MAX_FRAME} bytes, this one has {len(body)}")
    frame = struct.pack(">I", len(body)) + body
    if not descriptors:
        connection.sendall(frame)
        return
    sent = socket.send_fds(connection, [frame], list(descriptors))
    connection.sendall(frame[sent:])


def receive(connection: socket.socket) -> tuple[Any, tuple[int, ...]] | None:
    """The next message and its descriptors (the caller closes them); None when the peer closed between frames."""
    descriptors: list[int] = []
    try:
        head = _exactly(connection, 4, descriptors)
        if head is None:
            return None
        (length,) = struct.unpack(">I", head)
        if length > MAX_FRAME:
            raise TooLarge("frame-too-large", f"a message has at most {MAX_FRAME} bytes, {length} announced")
        body = _exactly(connection, length, descriptors)
        if body is None:
            raise Unusable("frame-cut", "the connection closed inside a message")
        return documents.load_json(body, limit=MAX_FRAME), tuple(descriptors)
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise


def connect(path: str, timeout: float | None = None) -> socket.socket:
    """A connection to the socket at `path`; raises Unreachable `no-answer`."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(path)
    except OSError as error:
        connection.close()
        raise Unreachable("no-answer", f"nothing answers: {error.strerror}", where=path) from None
    return connection


def peer_uid(connection: socket.socket) -> int:
    """The user id of the peer, from the kernel (SO_PEERCRED, unix(7))."""
    return peer(connection)[1]


def peer(connection: socket.socket) -> tuple[int, int]:
    """Process id and user id of the peer; of a server, as they were when it began to listen."""
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid), int(uid)


def _exactly(connection: socket.socket, length: int, descriptors: list[int]) -> bytes | None:
    parts = bytearray()
    while len(parts) < length:
        data, ancillary, _, _ = connection.recvmsg(length - len(parts), socket.CMSG_SPACE(MAX_DESCRIPTORS * 4))
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                received = array.array("i")
                received.frombytes(payload[: len(payload) - len(payload) % received.itemsize])
                descriptors.extend(received)
        if not data:
            if parts:
                raise Unusable("frame-cut", "the connection closed inside a message")
            return None
        parts += data
    return bytes(parts)
