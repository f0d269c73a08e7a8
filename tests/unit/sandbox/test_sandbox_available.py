"""Whether a cell can be made at all, and which setting says no: tried for real, and over a kernel's settings."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import greenroom
from greenroom.sandbox import available
from greenroom.sandbox.available import SETTINGS, lack

pytestmark = pytest.mark.slow

NOBODY = 65534
ASK = "from greenroom.sandbox.available import lack; found = lack(); print(found and found.setting)"
SHUT = 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --inh-caps=-all --ambient-caps=-all "$@"'
DROP = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups") if os.geteuid() == 0 else ()
NESTED = (*DROP, "unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-c", SHUT, "sh")


def ask(*prefix: str) -> str:
    """What an ordinary user finds out, in an interpreter of its own: this one may lie where only root may look."""
    python = sys.executable if os.geteuid() else "/usr/bin/python3"
    paths = {"PYTHONPATH": str(Path(greenroom.__file__).parents[1])}
    ended = subprocess.run([*prefix, python, "-B", "-c", ASK], capture_output=True, text=True, timeout=20, env=paths)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def program(folder: Path, body: str) -> str:
    path = folder / "bwrap"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(folder)


@pytest.mark.sandbox
def test_available_here() -> None:
    """This machine gives cells, to root and to an ordinary user, and the look takes no second."""
    began = time.monotonic()
    assert lack(user=(NOBODY, NOBODY) if os.geteuid() == 0 else None) is None
    assert time.monotonic() - began < 1
    assert ask(*DROP) == "None"


@pytest.mark.sandbox
def test_available_names_the_setting_of_a_kernel_that_really_forbids() -> None:
    """In a user namespace whose limit is nought, bubblewrap fails for real, and the setting is named."""
    assert ask(*NESTED) == "user.max_user_namespaces=0"


@pytest.mark.parametrize("name", SETTINGS)
def test_available_names_each_setting(tmp_path: Path, name: str) -> None:
    """By the kernel's own value, with a remedy that names it."""
    forbids, remedy = SETTINGS[name]
    path = tmp_path.joinpath("sys", *name.split("."))
    path.parent.mkdir(parents=True)
    path.write_text(f"{forbids}\n")
    found = lack(settings=tmp_path / "sys", path=program(tmp_path, "echo no way >&2; exit 1"))
    assert found is not None
    assert (found.setting, found.said, found.remedy) == (f"{name}={forbids}", "no way", remedy)
    assert name in remedy


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("exit 3", "bwrap ended with 3"),
        ("exec sleep 30", "did not end within"),
        ("printf '\\377' >&2; exit 1", "\ufffd"),
    ],
)
def test_available_without_a_known_setting_speaks_of_containers(
    tmp_path: Path, body: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no setting says no, what bubblewrap said is told; one that hangs is tried once more, then given up."""
    monkeypatch.setattr(available, "PATIENT_SECONDS", 0.2)
    began = time.monotonic()
    found = lack(settings=tmp_path / "none", path=program(tmp_path, body))
    assert time.monotonic() - began < 2
    assert found is not None
    assert said in found.said
    assert "container" in found.remedy


def test_available_on_a_busy_machine_lacks_nothing(tmp_path: Path) -> None:
    """A cell that takes longer once, and ends well at the second try, can be made."""
    slow_once = f"if [ -e {tmp_path}/tried ]; then exit 0; fi; : > {tmp_path}/tried; exec sleep 30"
    assert lack(settings=tmp_path / "none", path=program(tmp_path, slow_once)) is None


def test_available_without_bubblewrap(tmp_path: Path) -> None:
    """The program that is missing is named, with the command that installs it."""
    found = lack(path=str(tmp_path))
    assert found is not None
    assert found.setting == "bubblewrap"
    assert "apt-get install bubblewrap" in found.remedy
