"""Takes away what `make` and `greenroom` made on this machine, and lists what stays. Standard library only.

The box at its usual place goes first, and is asked for at a terminal; without one YES=1 says yes. KEEP_LOG=1 leaves the
log. System users go when this clone's setup made them and this is root. Debian packages stay: others may use them.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / ".greenroom-setup.json"
USERS = ("greenroom-sandbox", "greenroom-guard", "greenroom-executor")
MADE = (".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache", "build", "dist")


def main() -> int:
    """Take it away; 0, or the exit code of a box that could not be taken away: then nothing else is."""
    made = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    code = remove_box()
    if code != 0:
        return code
    stays = [*remove_users(made), *packages(made)]
    for name in MADE:
        shutil.rmtree(ROOT / name, ignore_errors=True)
    for folder in ROOT.rglob("__pycache__"):
        shutil.rmtree(folder, ignore_errors=True)
    RECORD.unlink(missing_ok=True)
    print(f"taken away: what was installed in {ROOT}")
    print("what stays:")
    for line in [f"{ROOT}: the clone itself", *stays]:
        print(f"  {line}")
    return 0


def remove_box() -> int:
    """`greenroom uninstall` for the box at its usual place, where there is one; its exit code."""
    command = ROOT / ".venv" / "bin" / "greenroom"
    home = os.environ.get("GREENROOM_HOME")
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    box = Path(home) if home else Path(state) / "greenroom"
    if not (box / "box.json").exists():
        print(f"no box at {box}; a box elsewhere: greenroom --box DIR uninstall")
        return 0
    if not command.exists():
        print(f"uninstall: a box is at {box}, but {command} is not there\n  remedy: make setup", file=sys.stderr)
        return 1
    options = ["--keep-log"] if os.environ.get("KEEP_LOG") == "1" else []
    options += ["--yes"] if os.environ.get("YES") == "1" else []
    return subprocess.run([str(command), "uninstall", *options], check=False).returncode


def remove_users(made: dict[str, list[str]]) -> list[str]:
    """Remove the users and groups that setup made; the lines about those that stay."""
    lines = [["userdel", name] for name in made.get("users", [])]
    lines += [["groupdel", name] for name in made.get("groups", [])]
    others = [name for name in USERS if name not in made.get("users", []) and is_user(name)]
    why = "not made by the setup of this clone; as root, when no other installation needs them"
    kept = [f"system users {', '.join(others)}, {why}: userdel"] if others else []
    if os.geteuid() != 0:
        return [*(f"as root: {' '.join(line)}" for line in lines), *kept]
    return [*(" ".join(line) for line in lines if subprocess.run(line, check=False).returncode != 0), *kept]


def is_user(name: str) -> bool:
    """Whether this machine has a user of that name."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def packages(made: dict[str, list[str]]) -> list[str]:
    """The line about Debian packages that setup installed."""
    names = made.get("packages", [])
    return [f"Debian packages {', '.join(names)}; as root: apt-get remove {' '.join(names)}"] if names else []


if __name__ == "__main__":
    sys.exit(main())
