"""Whether this machine lets a cell be made at all: tried with one bare cell, and where not, which setting says no.

What each wall of a cell is worth is found out by `ProcessWalls.layers`; this is the quick look before anything starts.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PATH = "/usr/bin:/bin"
TRIAL_SECONDS = 0.5
"""Many times what a bare cell takes; with what a command takes to start it stays within a second."""
PATIENT_SECONDS = 5.0
_HANGS = "a bare cell did not end"
TRIAL = (
    *("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--die-with-parent"),
    *("--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--", "/bin/true"),
)
_PROC = Path("/proc/sys")
_APPARMOR = (
    "allow bubblewrap by an AppArmor profile with `userns,` for /usr/bin/bwrap (Ubuntu: install apparmor-profiles and "
    "load bwrap-userns-restrict), or `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
)
SETTINGS: Mapping[str, tuple[str, str]] = {
    "user.max_user_namespaces": ("0", "`sudo sysctl user.max_user_namespaces=15000`, and a line in /etc/sysctl.d"),
    "kernel.unprivileged_userns_clone": (
        "0",
        "`sudo sysctl kernel.unprivileged_userns_clone=1`, and a line in /etc/sysctl.d",
    ),
    "kernel.apparmor_restrict_unprivileged_userns": ("1", _APPARMOR),
}
"""Settings of the kernel with the value that forbids user namespaces, and what allows them."""
_CONTAINER = (
    "in a container, start it with user namespaces allowed (podman or docker: --security-opt seccomp=unconfined "
    "--security-opt systempaths=unconfined, or a profile that allows clone and unshare); else ask whoever runs this "
    "machine"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Why no cell can be made here: the `setting` or program that says no, what was `said`, and what helps."""

    setting: str
    said: str
    remedy: str


def lack(*, user: tuple[int, int] | None = None, settings: Path = _PROC, path: str = PATH) -> Lack | None:
    """None where a bare cell ran to its end; else why not, within a second.

    Where no setting of the kernel says no, a cell that hangs is tried once more for PATIENT_SECONDS: a busy machine
    lacks nothing.
    `user` are the ids that cells run as where this process is root; `settings` is where the kernel shows its own.
    """
    bwrap = shutil.which("bwrap", path=path)
    if bwrap is None:
        remedy = "install it: `sudo apt-get install bubblewrap`, or `make setup` in the checkout"
        return Lack(setting="bubblewrap", said="bwrap is not installed", remedy=remedy)
    said = _tried(bwrap, user, TRIAL_SECONDS)
    if said is None:
        return None
    for name, (forbids, remedy) in SETTINGS.items():
        found = _value(settings, name)
        if found == forbids:
            return Lack(setting=f"{name}={found}", said=said, remedy=remedy)
    if said.startswith(_HANGS):
        said = _tried(bwrap, user, PATIENT_SECONDS)
    return Lack(setting="user namespaces", said=said, remedy=_CONTAINER) if said is not None else None


def _tried(bwrap: str, user: tuple[int, int] | None, seconds: float) -> str | None:
    """What a bare cell said when it did not run; None where it did."""
    try:
        ended = subprocess.run(
            [bwrap, *TRIAL],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={},
            cwd="/",
            timeout=seconds,
            user=user[0] if user else None,
            group=user[1] if user else None,
            extra_groups=[] if user else None,
        )
    except subprocess.TimeoutExpired:
        return f"{_HANGS} within {seconds} seconds"
    except (OSError, subprocess.SubprocessError) as error:
        return f"a bare cell could not be started: {error}"
    if ended.returncode == 0:
        return None
    return ended.stderr.decode("utf-8", "replace").strip()[-300:] or f"bwrap ended with {ended.returncode}"


def _value(settings: Path, name: str) -> str:
    try:
        return settings.joinpath(*name.split(".")).read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
