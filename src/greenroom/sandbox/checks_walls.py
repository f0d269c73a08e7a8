"""Checks that a cell cannot get out: network, kernel, other processes, the host's files."""

from __future__ import annotations

import json
import os
import platform
import socket
from typing import Any

from greenroom.domain.ports import Mount
from greenroom.sandbox.checking import Bench, BrokenPromise, Collection, expect, expect_in

check = Collection()
_WORK = "/mnt/work"
# System calls that the C library has no function for; from asm/unistd.h.
_CALLS = {
    "x86_64": {"bpf": 321, "keyctl": 250, "add_key": 248, "userfaultfd": 323, "perf_event_open": 298, "ptrace": 101},
    "aarch64": {"bpf": 280, "keyctl": 219, "add_key": 217, "userfaultfd": 282, "perf_event_open": 241, "ptrace": 117},
}
_NEWER_CALLS = {"io_uring_setup": 425, "open_tree": 428, "clone3": 435, "pidfd_getfd": 438, "fchmodat2": 452}


def _facts(bench: Bench, code: str, mounts: tuple[Mount, ...] = ()) -> Any:
    """What the code's `print(json.dumps(...))` told."""
    outcome = bench.python("import errno, json, os, socket\n" + code, mounts)
    if outcome.exit != 0:
        raise BrokenPromise(f"exit {outcome.exit}: {outcome.stderr.decode('utf-8', 'replace')[-300:]}")
    return json.loads(outcome.stdout)


@check("there is no network device but the loopback, and no way out", "network-namespace")
def no_network(bench: Bench) -> None:  # noqa: D103
    code = """
s = socket.socket(); s.settimeout(3)
try: s.connect(("192.0.2.1", 80)); reached = True
except OSError: reached = False
print(json.dumps([[name for _, name in socket.if_nameindex()], reached]))
"""
    expect(_facts(bench, code), [["lo"], False], "network")


@check("the cell's own loopback works, and is not the host's", "network-namespace")
def loopback(bench: Bench) -> None:  # noqa: D103
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"""
l = socket.create_server(("127.0.0.1", 0)); c = socket.create_connection(l.getsockname(), 3)
try: socket.create_connection(("127.0.0.1", {port}), 3); host = True
except OSError: host = False
print(json.dumps([c.getpeername()[0], host]))
"""
        expect(_facts(bench, code), ["127.0.0.1", False], "loopback")


@check("local sockets of the host cannot be reached by name", "network-namespace")
def abstract_sockets(bench: Bench) -> None:  # noqa: D103
    name = f"greenroom-check-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name)
        server.listen()
        code = f"""
s = socket.socket(socket.AF_UNIX)
try: s.connect("\\0{name}"); print("true")
except OSError: print("false")
"""
        expect(_facts(bench, code), False, "reached")


@check("only local, IPv4, IPv6 and route sockets can be made", "seccomp")
def socket_families(bench: Bench) -> None:  # noqa: D103
    code = """
made = []
for family in [*range(2, 64), 2**32 + 40]:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        try: socket.socket(family, kind).close()
        except (OSError, OverflowError): continue
        made.append(family)
print(json.dumps(sorted(set(made))))
"""
    seen = _facts(bench, code)
    expect(set(seen) <= {2, 10, 16}, True, f"families {seen}")


@check("/proc/sys, /proc/sysrq-trigger and the like cannot be written")
def proc_read_only(bench: Bench) -> None:  # noqa: D103
    code = """
opened = []
for top, _, files in os.walk("/proc/sys"):
    for name in files:
        path = os.path.join(top, name)
        try: os.close(os.open(path, os.O_WRONLY)); opened.append(path)
        except OSError: pass
for path in ("/proc/sysrq-trigger", "/proc/1/oom_score_adj", "/proc/self/uid_map", "/proc/irq/default_smp_affinity"):
    try: os.close(os.open(path, os.O_WRONLY)); opened.append(path)
    except OSError: pass
print(json.dumps(opened))
"""
    expect(_facts(bench, code), [], "writable")


@check("what no mount forbids, Landlock does: a process cannot write its own entries in /proc", "landlock")
def landlock_holds(bench: Bench) -> None:  # noqa: D103
    code = """
opened = []
for name in ("comm", "oom_score_adj", "coredump_filter", "timerslack_ns", "clear_refs"):
    try: os.close(os.open("/proc/self/" + name, os.O_WRONLY)); opened.append(name)
    except OSError: pass
print(json.dumps(opened))
"""
    expect(_facts(bench, code), [], "writable")


@check("no further namespace of any kind can be made or entered")
def no_namespaces(bench: Bench) -> None:  # noqa: D103
    script = "for f in U m p n i u C; do unshare -$f true && echo $f; done; nsenter -t 1 -n true && echo entered; true"
    expect(bench.shell(script).stdout, b"", "namespaces made")
    code = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
made = [bit for bit in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x80)
        if libc.unshare(bit) == 0]
print(json.dumps(made))
"""
    expect(_facts(bench, code), [], "namespaces made")


@check("nothing can be mounted, and the root cannot be changed")
def no_mounts(bench: Bench) -> None:  # noqa: D103
    code = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(json.dumps([libc.mount(b"none", b"/tmp", b"tmpfs", 0, None), libc.umount2(b"/usr", 2), libc.chroot(b"/tmp")]))
"""
    expect(_facts(bench, code), [-1, -1, -1], "results")


@check("dangerous system calls fail, and those later than the deny list do not exist", "seccomp")
def system_calls(bench: Bench) -> None:  # noqa: D103
    calls = {**_CALLS.get(platform.machine(), {}), **_NEWER_CALLS}
    code = f"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
seen = {{}}
for name, number in {calls!r}.items():
    result = libc.syscall(number, 0, 0, 0, 0, 0, 0)
    seen[name] = errno.errorcode[ctypes.get_errno()] if result == -1 else str(result)
print(json.dumps(seen))
"""
    wanted = {name: "ENOSYS" if name in ("clone3", "fchmodat2") else "EPERM" for name in calls}
    expect(_facts(bench, code), wanted, "results")


@check("no capability is held or can be had, and no new privilege", "no-new-privileges")
def no_capabilities(bench: Bench) -> None:  # noqa: D103
    code = """
wanted = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Uid")
lines = {line.partition(":")[0]: line.partition(":")[2].strip() for line in open("/proc/self/status")}
print(json.dumps({name: lines[name] for name in wanted}))
"""
    seen = _facts(bench, code)
    uids = set(seen.pop("Uid").split())
    none = dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), "0" * 16)
    expect(seen, {**none, "NoNewPrivs": "1", "Seccomp": "2"}, "status")
    expect(uids, {str(os.geteuid() if bench.uid is None else bench.uid)}, "uid")


@check("no set-user-ID program can be made, and the host's have no effect", "seccomp")
def no_setuid(bench: Bench) -> None:  # noqa: D103
    code = """
made = []
os.umask(0)
def attempt(name, act):
    try: act()
    except OSError: return
    made.append(name)
open("/mnt/work/x", "w").close()
for bits in (0o4755, 0o2755):
    attempt("chmod", lambda: os.chmod("/mnt/work/x", bits))
    attempt("fchmod", lambda: os.chmod(os.open("/mnt/work/x", os.O_RDONLY), bits))
    attempt("fchmodat", lambda: os.chmod("x", bits, dir_fd=os.open("/mnt/work", os.O_RDONLY)))
    attempt("open", lambda: os.open("/mnt/work/y%o" % bits, os.O_CREAT | os.O_WRONLY, bits))
print(json.dumps(made))
"""
    with bench.folder() as folder:
        mount = Mount(source=str(folder), target=_WORK, writable=True)
        expect(_facts(bench, code, (mount,)), [], "made")


@check("the host's files are not there")
def host_files(bench: Bench) -> None:  # noqa: D103
    entries = set(bench.shell("ls -A /").stdout.decode().split())
    allowed = {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "tmp", "usr"}
    expect(entries - allowed, set(), "top directories")
    etc = set(bench.shell("ls -A /etc").stdout.decode().split())
    allowed = {"alternatives", "group", "hosts", "ld.so.cache", "nsswitch.conf", "passwd"}
    expect(etc - allowed, set(), "/etc")


@check("root, /usr, /etc and /dev cannot be written")
def root_read_only(bench: Bench) -> None:  # noqa: D103
    script = "for d in / /usr /usr/bin /etc /dev /bin /lib /proc; do touch $d/x && echo $d; done"
    expect(bench.shell(script + "; echo x >/etc/passwd && echo p").stdout, b"", "written")


@check("only the plain devices are there, and they work")
def devices(bench: Bench) -> None:  # noqa: D103
    seen = set(
        bench.shell("ls /dev; head -c 8 /dev/urandom >/dev/null; echo x >/dev/null && echo ok").stdout.decode().split()
    )
    plain = {"full", "null", "random", "tty", "urandom", "zero"}
    links = {"core", "fd", "ptmx", "pts", "shm", "stderr", "stdin", "stdout"}
    expect(seen - plain - links, {"ok"}, "devices")


@check("the host's processes are not there, and the cell's first one cannot be looked into", "pid-namespace")
def host_processes(bench: Bench) -> None:  # noqa: D103
    code = """
seen = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
opened = []
for name in ("mem", "environ", "maps", "fd", "root", "cwd", "exe"):
    try:
        if name in ("fd", "root", "cwd"): os.listdir("/proc/1/" + name)
        else: os.close(os.open("/proc/1/" + name, os.O_RDONLY))
        opened.append(name)
    except OSError: pass
print(json.dumps([seen, os.getpid() in seen, opened]))
"""
    seen, own, opened = _facts(bench, code)
    expect((own, len(seen) <= 3), (True, True), f"processes {seen}")
    expect(opened, [], "opened of process 1")


@check("no descriptor of ours reaches the command, and its input cannot be changed")
def descriptors(bench: Bench) -> None:  # noqa: D103
    code = """
seen = []
for number in range(1024):
    try: os.fstat(number); seen.append(number)
    except OSError: pass
try: os.write(os.open("/proc/self/fd/0", os.O_WRONLY), b"x"); written = True
except OSError: written = False
print(json.dumps([seen, written]))
"""
    expect(_facts(bench, code), [[0, 1, 2], False], "descriptors")


@check("there is no terminal of ours to type into", "seccomp")
def terminal(bench: Bench) -> None:  # noqa: D103
    code = """
import fcntl, pty, termios
try: os.open("/dev/tty", os.O_RDWR); tty = True
except OSError: tty = False
master, slave = pty.openpty()
try: fcntl.ioctl(slave, termios.TIOCSTI, b"x"); typed = True
except OSError: typed = False
print(json.dumps([tty, typed, os.isatty(slave)]))
"""
    expect(_facts(bench, code), [False, False, True], "terminal")


@check("the host's name is not told")
def host_name(bench: Bench) -> None:  # noqa: D103
    expect(bench.run("/bin/uname", "-n").stdout, b"greenroom\n", "name")


@check("every layer that the driver claims in general is enforced in each run")
def layers_hold(bench: Bench) -> None:  # noqa: D103
    expect(dict(bench.run("/usr/bin/true").layers), dict(bench.walls.layers()), "layers")
    expect_in("user-namespace" in bench.walls.layers(), (True,), "names")
