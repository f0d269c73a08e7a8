"""The owner's key in an SSH agent (draft-ietf-sshm-ssh-agent): Greenroom never sees the secret.

An `ssh-ed25519` signature of an agent is a plain RFC 8032 signature over the data, so it verifies like one
made with a key file. Answers are bounded, and each signature is verified before it is used.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from greenroom.domain.errors import NotFound, Unreachable, Unusable

MAX_ANSWER = 256 * 1024
TIMEOUT_S = 60.0
"""Long enough for a person to confirm the use of a key at the agent."""
_LIST, _LISTED, _SIGN, _SIGNED = 11, 12, 13, 14
_KIND = b"ssh-ed25519"


@dataclass(frozen=True, slots=True)
class AgentKey:
    """An Ed25519 key that the agent at `path` holds; signs like a key file."""

    path: Path
    public: bytes
    comment: str

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`; raises Unreachable `agent-unreachable` or Unusable `agent-refused`."""
        request = bytes([_SIGN]) + _string(_blob(self.public)) + _string(data) + struct.pack(">I", 0)
        answer = _ask(self.path, request)
        try:
            if answer[0] != _SIGNED:
                raise ValueError
            [outer] = _strings(answer[1:])
            kind, signature = _strings(outer)
            if kind != _KIND:
                raise ValueError
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, data)
        except (ValueError, InvalidSignature):
            raise Unusable(
                "agent-refused", "the SSH agent did not sign", where=self.comment, remedy="unlock the key and try again"
            ) from None
        return signature


def agent_keys(path: Path) -> list[AgentKey]:
    """The Ed25519 keys that the agent at `path` offers; raises Unreachable `agent-unreachable`."""
    answer = _ask(path, bytes([_LIST]))
    try:
        if answer[0] != _LISTED:
            raise ValueError
        parts = list(_strings(answer[5:]))
        if len(parts) != 2 * int.from_bytes(answer[1:5], "big"):
            raise ValueError
    except ValueError:
        raise _silent(path, "its answer is malformed") from None
    found = []
    for blob, comment in zip(parts[::2], parts[1::2], strict=True):
        if blob.startswith(_string(_KIND)) and len(blob) == len(_blob(bytes(32))):
            found.append(AgentKey(path, blob[-32:], comment.decode("utf-8", "replace")))
    return found


def agent_key(path: Path, public: bytes) -> AgentKey:
    """The key with this raw public half; raises NotFound `agent-key-missing`."""
    for key in agent_keys(path):
        if key.public == public:
            return key
    raise NotFound("agent-key-missing", "the SSH agent does not hold this key", remedy="add it with ssh-add")


def _ask(path: Path, request: bytes) -> bytes:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(str(path))
            connection.sendall(_string(request))
            length = int.from_bytes(_exactly(connection, 4), "big")
            if not 1 <= length <= MAX_ANSWER:
                raise _silent(path, f"its answer has {length} bytes")
            return _exactly(connection, length)
    except OSError as error:
        raise _silent(path, error.strerror or str(error)) from None


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise OSError("it hung up")
        data += part
    return data


def _blob(public: bytes) -> bytes:
    return _string(_KIND) + _string(public)


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _strings(data: bytes) -> Iterator[bytes]:
    """The length-prefixed strings in `data`; raises ValueError when the last one breaks off."""
    at = 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if at + 4 > len(data) or end > len(data):
            raise ValueError("a string breaks off")
        yield data[at + 4 : end]
        at = end


def _silent(path: Path, why: str) -> Unreachable:
    message = f"the SSH agent does not answer: {why}"
    return Unreachable("agent-unreachable", message, where=str(path), remedy="start ssh-agent, or set SSH_AUTH_SOCK")
