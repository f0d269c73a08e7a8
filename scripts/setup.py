"""Sets up a checkout: Debian packages, system users, the virtual environment, the package itself.

Standard library only: it runs before anything is installed. At a terminal it says what it would install and
asks; without one it goes ahead. NO_APT=1 installs no Debian package and makes no user.
"""

from __future__ import annotations

import grp
import hashlib
import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "greenroom-setup"
RECORD = ROOT / ".greenroom-setup.json"
"""What was added to the machine: `make uninstall` reads it."""
LOCKED = ROOT / "requirements" / "dev.txt"
GROUP = "greenroom"
USERS = {
    "greenroom-sandbox": "sandboxes run as it (else as `nobody`)",
    "greenroom-guard": "the guard runs as it, and alone reads the signing key, the log and what is live",
    "greenroom-executor": "the executor runs as it, and reads none of these",
}
MEMBERS = ("greenroom-guard", "greenroom-executor")
ENVIRONMENT = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}


def main() -> int:
    """Set up, or say exactly what is missing; exits non-zero when something it cannot do without is."""
    if sys.version_info < (3, 11):
        return fail(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}", "PYTHON=python3.12 make ...")
    missing = missing_packages()
    if missing and not install(missing):
        return 1
    make_users()
    return make_environment()


def missing_packages() -> dict[str, str]:
    """Debian packages that are not there, with the reason each is needed."""
    needed = {
        "git": (shutil.which("git"), "reads and writes repositories"),
        "bubblewrap": (shutil.which("bwrap"), "the sandbox"),
        "gcc": (shutil.which("cc"), "builds the sandbox's small launcher"),
        "libc6-dev": (Path("/usr/include/stdio.h").exists(), "builds the launcher"),
        "libseccomp-dev": (Path("/usr/include/seccomp.h").exists(), "the launcher's system call filter"),
        "python3": (Path("/usr/bin/python3").exists(), "the interpreter inside the sandbox"),
        "python3-venv": (has_venv(), "the virtual environment"),
    }
    return {name: why for name, (there, why) in needed.items() if not there}


def has_venv() -> bool:
    """True when this Python can make virtual environments with pip."""
    probe = subprocess.run([sys.executable, "-c", "import venv, ensurepip"], capture_output=True, check=False)
    return probe.returncode == 0


def install(missing: dict[str, str]) -> bool:
    """Install Debian packages, after asking at a terminal."""
    line = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if os.geteuid() != 0 and shutil.which("sudo"):
        line = ["sudo", *([] if sys.stdin.isatty() else ["--non-interactive"]), *line]
    for name, why in missing.items():
        print(f"missing Debian package {name}: {why}")
    if os.environ.get("NO_APT") == "1" or (os.geteuid() != 0 and line[0] != "sudo"):
        fail("these packages are needed", f"as root: apt-get install --yes --no-install-recommends {' '.join(missing)}")
        return False
    if sys.stdin.isatty() and not agreed("Install them with apt-get?"):
        fail("not installed", " ".join(line))
        return False
    update = [*line[: line.index("apt-get")], "apt-get", "update", "--quiet"]
    subprocess.run(update, env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=False)
    done = subprocess.run(line, env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=False)
    if done.returncode != 0 or missing_packages():
        fail("the packages could not be installed", " ".join(line))
        return False
    record("packages", missing)
    return True


def make_users() -> None:
    """As root, make the system users that keep the processes apart; without them a box runs as whoever made it."""
    if os.geteuid() != 0 or os.environ.get("NO_APT") == "1":
        return
    missing = {name: why for name, why in USERS.items() if not known(pwd.getpwnam, name)}
    lacking = [name for name in MEMBERS if name in missing or name not in members()]
    if not missing and not lacking:
        return
    for name, why in missing.items():
        print(f"missing system user {name}: {why}")
    if lacking:
        print(f"missing in the system group {GROUP}: {', '.join(lacking)}; what they share with root belongs to it")
    if sys.stdin.isatty() and not agreed("Make them?"):
        return
    shell = "/usr/sbin/nologin"
    new = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", shell]
    lines = [
        *([] if known(grp.getgrnam, GROUP) else [["groupadd", "--system", GROUP]]),
        *([*new, name] for name in missing),
        *(["usermod", "--append", "--groups", GROUP, name] for name in lacking),
    ]
    groups = [] if known(grp.getgrnam, GROUP) else [GROUP]
    if all(subprocess.run(line, check=False).returncode == 0 for line in lines):
        record("users", missing)
        record("groups", groups)
        print(f"made {', '.join([*missing, f'group {GROUP}'])}; boxes made before: `greenroom init` again")
    else:
        fail("the system users could not be made; boxes run as whoever made them", "see the message above")


def record(kind: str, names: Iterable[str]) -> None:
    """Remember what this setup added to the machine, beside what earlier ones did."""
    held = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    held[kind] = sorted({*held.get(kind, []), *names})
    RECORD.write_text(json.dumps(held, indent=1) + "\n")


def known(find: Callable[[str], object], name: str) -> bool:
    """True when the system knows the user or the group."""
    try:
        find(name)
    except KeyError:
        return False
    return True


def members() -> list[str]:
    """Who is in the shared group."""
    return grp.getgrnam(GROUP).gr_mem if known(grp.getgrnam, GROUP) else []


def make_environment() -> int:
    """The virtual environment with the locked versions, and the package itself; nothing when it is up to date."""
    wanted = hashlib.sha256(LOCKED.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return 0
    print("making the virtual environment .venv with locked versions ...", flush=True)
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    for rest in (
        ["--require-hashes", "--only-binary=:all:", "-r", str(LOCKED)],
        ["--no-deps", "--no-build-isolation", "--no-index", "--editable", str(ROOT)],
    ):
        if subprocess.run([*pip, *rest], check=False).returncode != 0:
            return fail("pip could not install the locked versions", "see its message above; a package index is needed")
    pages = str(VENV / "share" / "man" / "man1")
    if subprocess.run([str(VENV / "bin" / "greenroom"), "manual", pages], stdout=subprocess.DEVNULL).returncode != 0:
        return fail("the manual pages could not be written", f"see the message above; the place is {pages}")
    STAMP.write_text(wanted)
    return 0


def agreed(question: str) -> bool:
    """A yes at the terminal."""
    return input(f"{question} [Y/n] ").strip().lower() in ("", "y", "yes")


def fail(message: str, remedy: str) -> int:
    """Say what is wrong and what would help; 1."""
    print(f"setup: {message}\n  remedy: {remedy}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
