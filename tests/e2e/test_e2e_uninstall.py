"""`make uninstall`: a home directory and a clone before and after, and what the answer says stays."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "import sys; from greenroom.bootstrap import main; sys.exit(main())"
USERS = ("greenroom-sandbox", "greenroom-guard", "greenroom-executor")


def contents(root: Path) -> Mapping[str, bytes]:
    """Every path below, with the bytes of files."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        for path in sorted(root.rglob("*"))
    }


def a_user(name: str) -> bool:
    """Whether this machine has a user of that name."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def test_e2e_make_uninstall_leaves_what_it_lists_and_no_more() -> None:
    """The box, the installation and its caches go; home and clone are as they were before. System users that the setup
    of this clone did not make are listed.
    """
    with tempfile.TemporaryDirectory(prefix="gr-") as name:
        home, clone = Path(name) / "home", Path(name) / "clone"
        (clone / "scripts").mkdir(parents=True)
        shutil.copy(ROOT / "scripts" / "uninstall.py", clone / "scripts")
        home.mkdir()
        (home / "notes.txt").write_text("mine\n")
        before = contents(home), contents(clone)
        command = clone / ".venv" / "bin" / "greenroom"
        command.parent.mkdir(parents=True)
        command.write_text(f"#!{sys.executable}\n{COMMAND}\n")
        command.chmod(0o755)
        (clone / ".mypy_cache").mkdir()
        environment = {"HOME": str(home), "PATH": os.environ["PATH"], "YES": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run([command, "init", "--no-input"], env=environment, cwd=home, check=True, capture_output=True)
        box = home / ".local" / "state" / "greenroom"
        assert (box / "box.json").is_file()
        argv = [sys.executable, str(clone / "scripts" / "uninstall.py")]
        done = subprocess.run(argv, env=environment, cwd=home, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        after = {path: data for path, data in contents(home).items() if path not in (".local", ".local/state")}
        assert (after, contents(clone)) == before
        assert f"{clone}: the clone itself" in done.stdout
        assert "`improve` wrote with --out" in done.stdout
        for user in USERS:
            assert (user in done.stdout) is a_user(user)
