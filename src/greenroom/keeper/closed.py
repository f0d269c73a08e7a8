"""Run as `python -I -S closed.py COMMAND...`: the command, and all that it starts, without namespaces of their own.

A process that makes a user namespace has every capability inside it: it mounts what it likes where it likes, and the
kernel's largest doors stand open. The executor needs none of that. A filter of system calls (seccomp(2)) stays for good
and is inherited. Numbers: asm/unistd.h of each machine; on a machine that is not in `MACHINES` nothing is closed.

Standard library only, and no module of ours: this file is started by its path, before anything else.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
NEW_NAMESPACES = 0x7E020000
"""The flags of clone(2) that make a namespace: mount, cgroup, UTS, IPC, user, process ids, network."""
_LOAD, _IS, _OVER, _HAS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16
_X32 = 0x40000000
_CLONE3 = 435
_SINCE_5_2 = (428, 429, 430, 431, 432, 433, 442)
"""open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What seccomp calls a machine, and its numbers of system calls."""

    audit: int
    clone: int
    denied: tuple[int, ...]
    """unshare, setns, mount, umount2, pivot_root, chroot."""


MACHINES: Mapping[str, Machine] = {
    "x86_64": Machine(audit=0xC000003E, clone=56, denied=(272, 308, 165, 166, 155, 161)),
    "aarch64": Machine(audit=0xC00000B7, clone=220, denied=(97, 268, 40, 39, 41, 51)),
}


def program(machine: Machine) -> bytes:
    """The filter: calls of another machine's kind, of `denied`, and clones into namespaces are refused.

    clone3(2) keeps its flags in memory, where no filter looks: it is said not to exist, and libraries use clone(2).
    """
    refuse = _line(_RETURN, 0, 0, _ERRNO | errno.EPERM)
    allow = _line(_RETURN, 0, 0, _ALLOW)
    lines = [_line(_LOAD, 0, 0, _MACHINE), _line(_IS, 1, 0, machine.audit), refuse, _line(_LOAD, 0, 0, _NUMBER)]
    lines += [_line(_OVER, 0, 1, _X32), refuse]
    lines += [_line(_IS, 0, 1, _CLONE3), _line(_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    for number in (*machine.denied, *_SINCE_5_2):
        lines += [_line(_IS, 0, 1, number), refuse]
    lines += [_line(_IS, 1, 0, machine.clone), allow, _line(_LOAD, 0, 0, _FIRST_ARGUMENT)]
    return b"".join([*lines, _line(_HAS, 0, 1, NEW_NAMESPACES), refuse, allow])


def close() -> None:
    """Put the filter on this process; OSError where the kernel takes none."""
    machine = MACHINES.get(os.uname().machine)
    if machine is None:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    lines = program(machine)
    held = ctypes.create_string_buffer(lines, len(lines))
    pointed = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(lines) // 8, ctypes.addressof(held)))
    for words in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, pointed, 0, 0)):
        if libc.prctl(*(ctypes.c_ulong(word) if isinstance(word, int) else word for word in words)) != 0:
            raise OSError(ctypes.get_errno(), "no filter of system calls")


def _line(code: int, then: int, otherwise: int, value: int) -> bytes:
    return struct.pack("HBBI", code, then, otherwise, value)


def main(command: Sequence[str]) -> None:
    """Become `command`, closed."""
    close()
    os.execv(command[0], list(command))  # noqa: S606 - words, no shell


if __name__ == "__main__":
    main(sys.argv[1:])
