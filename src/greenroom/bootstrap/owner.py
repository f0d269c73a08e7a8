"""The owner's key: a file with or without a passphrase, or a key that an SSH agent holds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from greenroom.audit import agent, keys
from greenroom.audit.attest import KeyAttestor
from greenroom.config import Box
from greenroom.domain.errors import NotFound, Unusable

if TYPE_CHECKING:
    from greenroom.audit.note import SigningKey

AGENT_MARK = "owner.agent"
"""In `keys/` instead of a key file: the owner's key lives in an SSH agent."""


def open_owner(box: Box, passphrase: Callable[[], bytes | None]) -> KeyAttestor:
    """Signs as the owner; asks for the passphrase only when the key has one.

    Raises Unreachable or NotFound when the agent or its key is not there, Unusable for a wrong passphrase.
    """
    public = keys.load_public(box.public / "owner.pub")
    return KeyAttestor("owner", _private(box, public, passphrase), {"owner": (public,)})


def protection(box: Box) -> str:
    """How the owner's key is kept, in words."""
    if (box.keys / AGENT_MARK).exists():
        return "in an SSH agent"
    try:
        return "protected by a passphrase" if keys.is_protected(box.keys / "owner.key") else "unprotected"
    except (Unusable, NotFound) as error:
        return f"damaged or gone: {error}"


def agent_key_offered() -> agent.AgentKey:
    """The agent's first Ed25519 key; raises Unusable `no-ssh-agent` and `no-agent-key`."""
    offered = agent.agent_keys(_socket())
    if not offered:
        raise Unusable(
            "no-agent-key", "the SSH agent holds no Ed25519 key", remedy="ssh-keygen -t ed25519, then ssh-add"
        )
    return offered[0]


def take_agent_key(box: Box, key: agent.AgentKey) -> None:
    """Make `key`, which an agent holds, the owner's."""
    (box.keys / AGENT_MARK).write_text(f"{key.comment}\n")
    keys.save_public(box.public / "owner.pub", key.public)


def _private(box: Box, public: bytes, passphrase: Callable[[], bytes | None]) -> SigningKey:
    if (box.keys / AGENT_MARK).exists():
        return agent.agent_key(_socket(), public)
    path = box.keys / "owner.key"
    secret = passphrase() if keys.is_protected(path) else None
    return keys.load_private(path, secret.decode() if secret else None)


def _socket() -> Path:
    path = os.environ.get("SSH_AUTH_SOCK")
    if not path:
        raise Unusable("no-ssh-agent", "no SSH agent is known", where="SSH_AUTH_SOCK", remedy="start one, then ssh-add")
    return Path(path)
