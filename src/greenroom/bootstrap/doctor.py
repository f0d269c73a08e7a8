"""Doctor: what this machine and this box can give, found out by trying, and what they lack."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from greenroom import __version__
from greenroom.config import Box
from greenroom.domain.errors import GreenroomError

PROGRAMS = ("git", "bwrap", "cc")


def examine(box: Box, layers: Callable[[], Mapping[str, bool]], signed_tools: Callable[[], bool]) -> Mapping[str, Any]:
    """Facts and problems; `ok` is False when the sandbox cannot be had."""
    facts: dict[str, Any] = {"greenroom": __version__, "python": platform.python_version(), "box": str(box.root)}
    problems: list[dict[str, str]] = []
    facts["kernel"] = platform.release()
    for name in PROGRAMS:
        facts[name] = _version(name)
        if facts[name] == "missing":
            problems.append({"message": f"{name} is not installed", "remedy": "run `make setup` in the checkout"})
    ok = not problems
    there = box.identity.is_file()
    if there:
        facts |= _box_facts(box)
        try:
            found = layers()
            facts |= {f"layer {name}": "enforced" if on else "not enforced" for name, on in sorted(found.items())}
            facts["separation"] = "namespaces"
            if not signed_tools():
                message = "the tools of this installation are not signed; the box goes on with the earlier ones"
                problems.append({"message": message, "remedy": "greenroom init, with the owner's key"})
        except GreenroomError as error:
            ok = False
            facts["separation"] = "none"
            problems.append({"message": str(error), "remedy": error.remedy or f"read {box.run / 'processes.log'}"})
    else:
        ok = False
        problems.append({"message": "there is no box yet", "remedy": "greenroom init"})
    return {"ok": ok, "box": there, "facts": facts, "problems": problems}


def _box_facts(box: Box) -> Mapping[str, Any]:
    from greenroom.bootstrap.owner import protection

    free = shutil.disk_usage(box.root).free // (1024 * 1024)
    return {
        "owner key": protection(box),
        "disk free": f"{free} MiB",
        "user": "root" if os.geteuid() == 0 else "ordinary",
    }


def _version(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        return "missing"
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    return said.splitlines()[0] if said else "there"
