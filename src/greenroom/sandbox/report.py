"""What the launcher and the warden say about a cell, and which walls that proves."""

from __future__ import annotations

import os
from collections.abc import Mapping

from greenroom.domain.vocabulary import LAYERS

_FILTER = "2"  # SECCOMP_MODE_FILTER
MAX_BYTES = 16 * 1024


def parse(said: bytes) -> Mapping[str, str]:
    """Lines `name=value`; a line without `=` and what is over the bound are left out; the first of a name counts."""
    found: dict[str, str] = {}
    for line in said[:MAX_BYTES].decode("utf-8", "replace").splitlines():
        name, mark, value = line.partition("=")
        if mark:
            found.setdefault(name, value)
    return found


def own_namespaces() -> Mapping[str, str]:
    """Our own namespaces, and the device of our `/tmp`; a cell must have others."""
    namespaces = {name: str(os.stat(f"/proc/self/ns/{name}").st_ino) for name in ("user", "pid", "net")}
    return {**namespaces, "tmp": str(os.stat("/tmp").st_dev)}  # noqa: S108 - looked at only


def enforced(said: Mapping[str, str], ours: Mapping[str, str], controllers: frozenset[str]) -> Mapping[str, bool]:
    """Each of LAYERS: whether the launcher's report proves it for this run."""

    def apart(kind: str, said_as: str = "namespace") -> bool:
        inside = said.get(f"{kind}-{said_as}", "")
        return inside.isdigit() and inside != ours[kind]

    return {
        "user-namespace": apart("user"),
        "pid-namespace": apart("pid"),
        "network-namespace": apart("net"),
        "seccomp": said.get("seccomp") == _FILTER,
        "landlock": said.get("landlock", "0") != "0",
        "no-new-privileges": said.get("no-new-privileges") == "1",
        "unprivileged-uid": said.get("uid", "0") != "0",
        "rlimits": said.get("rlimits") == "1",
        "dropped-capabilities": said.get("capabilities") == "0",
        "read-only-root": said.get("read-only-root") == "1",
        "private-tmp": apart("tmp", "device"),
        "private-proc": said.get("own-proc") == "1",
        "no-nested-user-namespaces": said.get("nested-user-namespaces") == "0",
        "cgroup-memory": "memory" in controllers,
        "cgroup-pids": "pids" in controllers,
        "cgroup-cpu": "cpu" in controllers,
    }


def nothing() -> Mapping[str, bool]:
    """All of LAYERS, none enforced."""
    return dict.fromkeys(LAYERS, False)
