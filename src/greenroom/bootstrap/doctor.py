"""Doctor: what this machine and this box can give, found out by trying, and what they lack."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from greenroom import __version__
from greenroom.bootstrap.lacking import missing_repositories
from greenroom.bootstrap.ownership import users_to_be_had
from greenroom.config import PROCESSES, Box
from greenroom.domain.errors import GreenroomError
from greenroom.domain.refusals import remedy_of
from greenroom.keeper import separation

PROGRAMS = ("git", "bwrap", "cc")
_NO_CELL = "see that user namespaces are to be had and that `ulimit -Ha` is not too low; then greenroom down"


def examine(
    box: Box,
    require_sandbox: Callable[[], None],
    layers: Callable[[], Mapping[str, bool]],
    signed_tools: Callable[[], bool],
    outdated: Callable[[], Sequence[str]],
    key_ages: Callable[[], Mapping[str, str]],
) -> Mapping[str, Any]:
    """Facts and problems; `ok` is False when the sandbox cannot be had.

    `require_sandbox` is the quick look, which starts nothing. `layers`, `outdated` (the changes planned with tools that
    are signed no more) and `key_ages` ask the running processes.
    """
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
        lacking = missing_repositories(box)
        problems += [{"message": each["message"], "remedy": each["remedy"]} for each in lacking]
        try:
            # Where no cell can be made that is said at once: processes would find it out one by one.
            require_sandbox()
            found = layers()
            facts |= {f"layer {name}": "enforced" if on else "not enforced" for name, on in sorted(found.items())}
            if not any(found.values()):
                ok = False
                problems.append({"message": "a trial cell did not run: no tool can", "remedy": _NO_CELL})
            facts["separation"] = _separation(box)
            problems += _separation_problems(box, facts["separation"])
            facts |= key_ages()
            if not signed_tools():
                message = "the tools of this installation are not signed; the box goes on with the earlier ones"
                remedy = "greenroom init, with the owner's key; then greenroom improve, which proposes anew what waits"
                problems.append({"message": message, "remedy": remedy})
            problems += _outdated_problems(outdated())
        except GreenroomError as error:
            ok = False
            facts["separation"] = "none"
            problems.append({"message": str(error), "remedy": remedy_of(error, f"read {box.run / 'processes.log'}")})
    else:
        ok = False
        problems.append({"message": "there is no box yet", "remedy": "greenroom init"})
    return {"ok": ok, "box": there, "facts": facts, "problems": problems}


def _outdated_problems(changes: Sequence[str]) -> list[dict[str, str]]:
    if not changes:
        return []
    message = f"verified by other tools or rules than those of today: {', '.join(changes)}"
    remedy = f"greenroom approve {changes[0]} verifies it again, then asks; so for each"
    return [{"message": message, "remedy": remedy}]


def _separation(box: Box) -> str:
    """What keeps the running processes apart: asked of the kernel, not of a setting."""
    from greenroom.wire.rpc import Client

    peers = {name: Client(str(box.socket(name)), patience_s=1.0).peer() for name in PROCESSES}
    return separation.found_separation(box, peers)


def _separation_problems(box: Box, found: str) -> list[dict[str, str]]:
    if found == "none":
        return [{"message": "nothing keeps the processes apart", "remedy": "greenroom down, then greenroom doctor"}]
    if found == "users" or os.geteuid() != 0:
        return []
    if separation.system_users() is None:
        return [
            {"message": "guard and executor run as root: no users of their own", "remedy": "make setup; greenroom init"}
        ]
    if users_to_be_had(box) is None:
        where = f"the system users cannot read and run {sys.prefix}"
        return [{"message": where, "remedy": "make the installation readable for all; then greenroom init"}]
    return [{"message": "the box was made before the system users", "remedy": "greenroom init"}]


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
