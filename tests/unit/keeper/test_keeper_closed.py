"""The executor's process makes no namespaces: the filter of system calls, on this machine's kernel."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from greenroom.keeper import closed

TRY = """
import ctypes, os, subprocess, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
clone, unshare, setns, mount = (int(word) for word in sys.argv[1:])
calls = [(clone, 0x10000000 | 17, 0), (clone, 0x20000 | 17, 0), (unshare, 0x10000000), (unshare, 0), (setns, 0, 0)]
for call in [*calls, (mount, 0, 0, 0, 0, 0), (435, 0, 0), (428, 0, 0, 0)]:
    libc.syscall(*(ctypes.c_long(word) for word in call))
    print(ctypes.get_errno())
threading.Thread(target=print, args=("thread",)).start()
print(subprocess.run(["/bin/echo", "child"], capture_output=True, text=True).stdout.strip())
"""
MACHINE = closed.MACHINES.get(os.uname().machine)


@pytest.mark.skipif(MACHINE is None, reason="no filter for this kind of machine")
def test_a_closed_process_makes_no_namespace_and_still_starts_threads_and_children() -> None:
    """Namespaces and mounts are refused for good, clone3 is said not to be there, and all else works."""
    assert MACHINE is not None
    numbers = (MACHINE.clone, *MACHINE.denied[:3])
    argv = (sys.executable, "-I", "-S", closed.__file__, sys.executable, "-c", TRY, *(str(each) for each in numbers))
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    lines = ended.stdout.split()
    assert lines[:8] == ["1"] * 6 + ["38", "1"]
    assert sorted(lines[8:]) == ["child", "thread"]


@pytest.mark.parametrize("name", closed.MACHINES)
def test_every_jump_of_the_filter_stays_inside(name: str) -> None:
    """A jump beyond the end, or an end without an answer, the kernel would refuse on a machine that no test has."""
    lines = closed.program(closed.MACHINES[name])
    count = len(lines) // 8
    for at in range(count):
        code, then, otherwise = lines[at * 8] | lines[at * 8 + 1] << 8, lines[at * 8 + 2], lines[at * 8 + 3]
        jumps = code & 0x07 == 0x05
        assert not jumps or at + 1 + max(then, otherwise) < count
    assert lines[-8] == 0x06
