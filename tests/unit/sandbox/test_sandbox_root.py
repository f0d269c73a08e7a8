"""What a cell is given: mounts, environment, arguments of bubblewrap."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.ports import Cell, Mount
from greenroom.domain.verdict import Refused
from greenroom.sandbox import root
from greenroom.sandbox.checking import CAPS

CELL = Cell(argv=("/usr/bin/true",), mounts=(), caps=CAPS)


def _fault(**changes: object) -> str | None:
    fault = root.find_fault(dataclasses.replace(CELL, **changes))
    return fault.rule if isinstance(fault, Refused) else None


def test_plain_cell_has_no_fault() -> None:
    """A cell that asks for nothing special is not refused."""
    assert _fault() is None


@pytest.mark.parametrize("argv", [(), ("",), ("a\0b",), ("true", "a\0b")])
def test_bad_command_is_refused(argv: tuple[str, ...]) -> None:
    """No command, or NUL bytes in it, are refused."""
    assert _fault(argv=argv) == "bad-command"


@pytest.mark.parametrize("env", [{"A=B": "x"}, {"": "x"}, {"1A": "x"}, {"A": "x\0y"}, {"A\n": "x"}])
def test_bad_environment_is_refused(env: dict[str, str]) -> None:
    """Names that are no names, and NUL bytes, are refused; they could become other arguments."""
    assert _fault(env=env) == "bad-environment"


@pytest.mark.parametrize("cwd", ["", "x", "/a/../b", "//a", "/a/", "/a\0"])
def test_bad_directory_is_refused(cwd: str) -> None:
    """The working directory is an absolute, plain path."""
    assert _fault(cwd=cwd) == "bad-directory"


@pytest.mark.parametrize("name", ["cpu_s", "wall_s", "memory_bytes", "disk_bytes", "processes", "cpu_millicores"])
def test_caps_must_be_positive(name: str) -> None:
    """A bound of zero would mean no bound to some of the mechanisms, so it is refused."""
    assert _fault(caps=dataclasses.replace(CAPS, **{name: 0})) == "bad-caps"


def test_too_many_mounts_are_refused(tmp_path: Path) -> None:
    """The number of mounts is bounded."""
    mounts = tuple(Mount(source=str(tmp_path), target=f"/mnt/{number}") for number in range(60))
    assert _fault(mounts=mounts) == "too-many-mounts"


def test_outer_mounts_come_first(tmp_path: Path) -> None:
    """Mounts are put up in an order in which none hides another, whatever order they were named in."""
    targets = ["/mnt/b/c", "/mnt/b", "/mnt/a-b", "/mnt/a", "/mnt/a/x"]
    ordered = root.in_order([Mount(source=str(tmp_path), target=target) for target in targets])
    assert [mount.target for mount in ordered] == ["/mnt/a", "/mnt/a/x", "/mnt/a-b", "/mnt/b", "/mnt/b/c"]


def test_git_directory_of_a_writable_mount_is_covered(tmp_path: Path) -> None:
    """A writable mount with `.git` at its top gets a read-only mount over it; a read-only one does not."""
    (tmp_path / ".git").mkdir()
    writable = Mount(source=str(tmp_path), target="/mnt/w", writable=True)
    plain = Mount(source=str(tmp_path), target="/mnt/r")
    assert root.in_order([writable, plain]) == [
        plain,
        writable,
        Mount(source=str(tmp_path / ".git"), target="/mnt/w/.git"),
    ]


def test_linked_git_directory_is_refused(tmp_path: Path) -> None:
    """A `.git` that is a link cannot be covered, so a writable mount with one is refused."""
    (tmp_path / ".git").symlink_to("/etc")
    assert _fault(mounts=(Mount(source=str(tmp_path), target="/mnt/w", writable=True),)) == "mount-target"


def test_file_is_not_mounted_on_a_directory(tmp_path: Path) -> None:
    """A nested mount needs a mount point of its own type."""
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_text("")
    outer = Mount(source=str(tmp_path), target="/mnt/w")
    inner = Mount(source=str(tmp_path / "f"), target="/mnt/w/d")
    assert _fault(mounts=(outer, inner)) == "mount-target"


def test_arguments_shut_everything_and_mount_as_told(tmp_path: Path) -> None:
    """All namespaces are unshared, no capability is left, and only what is writable is bound for writing."""
    mounts = [Mount(source="/a", target="/mnt/a"), Mount(source="/b", target="/mnt/b", writable=True)]
    words = root.arguments(CELL, mounts, {"/etc/passwd": 7})
    for wanted in ("user", "ipc", "pid", "net", "uts"):
        assert f"--unshare-{wanted}" in words
    assert {"--disable-userns", "--die-with-parent", "--new-session", "--clearenv"} <= set(words)
    text = " ".join(words)
    assert "--cap-drop ALL" in text
    assert "--ro-bind /a /mnt/a --bind /b /mnt/b --remount-ro /dev --remount-ro / " in text
    assert "--share-net" not in words
    assert "--dev-bind" not in words


@given(st.text(max_size=40))
def test_only_plain_paths_outside_the_system_are_mount_points(text: str) -> None:
    """Whatever is named as a mount point is refused, unless it is an absolute plain path outside the system's."""
    fault = root.find_fault(dataclasses.replace(CELL, mounts=(Mount(source="/usr/lib", target=text),)))
    if fault is None:
        assert text.startswith("/")
        parts = text[1:].split("/")
        assert not {"", ".", ".."} & set(parts)
        assert parts[0] not in ("usr", "bin", "sbin", "lib", "lib64", "etc", "proc", "dev", "sys")
        assert text != "/tmp"
    else:
        assert fault.rule == "mount-target"
