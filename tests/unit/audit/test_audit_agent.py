"""Signing with a key that an SSH agent holds."""

from __future__ import annotations

import contextlib
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from greenroom.audit import keys
from greenroom.audit.agent import MAX_ANSWER, AgentKey, agent_key, agent_keys
from greenroom.audit.attest import KeyAttestor
from greenroom.domain.digest import digest_of
from greenroom.domain.errors import NotFound, Unreachable, Unusable
from greenroom.domain.proof import Predicate


def text(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


@contextlib.contextmanager
def agent(path: Path, *answers: bytes) -> Iterator[Path]:
    """An agent that gives these raw answers, one for each connection."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield path
    finally:
        thread.join()
        listener.close()


KEY = keys.generate()
BLOB = text(b"ssh-ed25519") + text(KEY.public)
LISTED = text(
    b"\x0c" + struct.pack(">I", 2) + text(text(b"ssh-rsa") + text(b"x")) + text(b"rsa") + text(BLOB) + text(b"mine")
)


def test_ed25519_keys_are_listed(tmp_path: Path) -> None:
    """Of the agent's keys the Ed25519 ones can be chosen."""
    with agent(tmp_path / "s", LISTED) as path:
        assert agent_keys(path) == [AgentKey(path, KEY.public, "mine")]


def test_a_key_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The owner's key has to be in the agent."""
    with agent(tmp_path / "s", LISTED) as path, pytest.raises(NotFound, match="agent-key-missing"):
        agent_key(path, bytes(32))


def test_a_wrong_signature_is_not_passed_on(tmp_path: Path) -> None:
    """An agent that refuses, or signs something else, gives an error and no signature."""
    wrong = text(b"\x0e" + text(text(b"ssh-ed25519") + text(KEY.sign(b"other"))))
    key = AgentKey(tmp_path / "s", KEY.public, "mine")
    with agent(tmp_path / "s", text(b"\x05"), wrong):
        for _ in range(2):
            with pytest.raises(Unusable, match="agent-refused"):
                key.sign(b"data")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0\0",
        struct.pack(">I", 0),
        struct.pack(">I", MAX_ANSWER + 1),
        text(b"\x0c\0\0\0\x01"),
        text(b"\x0c\0\0\0\x01\0\0"),
    ],
)
def test_malformed_answers_are_unreachable(tmp_path: Path, answer: bytes) -> None:
    """A hung up, oversized or garbled answer is an agent that does not answer."""
    with agent(tmp_path / "s", answer) as path, pytest.raises(Unreachable, match="agent-unreachable"):
        agent_keys(path)


def test_no_agent_is_unreachable(tmp_path: Path) -> None:
    """Without a socket the error says what to start."""
    with pytest.raises(Unreachable, match="agent-unreachable"):
        agent_keys(tmp_path / "nothing")


@pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="ssh-agent is not installed")
def test_a_real_agent_signs_statements(tmp_path: Path) -> None:
    """A statement signed through ssh-agent opens like one signed with a key file."""
    private = Ed25519PrivateKey.generate()
    file = tmp_path / "id"
    file.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
    )
    file.chmod(0o600)
    path = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        subprocess.run(["ssh-add", "-q", str(file)], env={"SSH_AUTH_SOCK": str(path), "PATH": "/usr/bin"}, check=True)
        key = agent_key(path, private.public_key().public_bytes_raw())
        attestor = KeyAttestor("owner", key, {"owner": (key.public,)})
        about = digest_of("tree", b"x")
        assert attestor.open(attestor.sign(Predicate.LIFT, about, b"{}"), Predicate.LIFT, "owner").about == about
    finally:
        process.terminate()
        process.communicate()
