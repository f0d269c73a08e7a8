"""A machine with nothing behind its network: `python alone.py FD FOLDER` makes it, and holds it until FD is closed.

It makes namespaces of its own (network, mounts; of users too where it is not root's), in which loopback is the only
interface and every address there is leads to it, so that no packet can be sent past a raw socket on it. Files of FOLDER
lie over those of /etc, and an empty directory over /run, where the machine's services have their sockets. On FD it
sends the sockets that `SOCKETS` and `DECOYS` name, opened in there, or a line that says what this machine forbids.
Standard library only; others enter with nsenter(1).
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

RESOLVER = ("127.0.0.1", 53)
INDEX = ("198.51.100.7", 443)
ADDRESSES = ("192.0.2.2", "2001:db8::2")
"""What a machine with a network has besides loopback: without it some programs look no name up (RFC 3493, 6.1)."""
SESSION_BUS = "\0greenroom-session-bus"
DECOYS = {
    "nscd": "/run/nscd/socket",
    "resolved": "/run/systemd/resolve/io.systemd.Resolve",
    "users": "/run/systemd/userdb/io.systemd.DynamicUser",
    "avahi": "/run/avahi-daemon/socket",
    "system-bus": "/run/dbus/system_bus_socket",
    "agent": "/run/agent",
    "session-bus": SESSION_BUS,
}
"""Where services of a machine listen that could look a name up, or tell somebody, for whoever asks them."""
SOCKETS = ("packets", "resolver", "resolver-tcp", "index")
SETTINGS = {
    "resolv.conf": f"nameserver {RESOLVER[0]}\noptions timeout:1 attempts:1\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}

_NEWUSER, _NEWNET, _NEWNS = 0x10000000, 0x40000000, 0x00020000
_BIND, _RECURSIVE, _PRIVATE = 4096, 16384, 1 << 18
_ALL = 3  # ETH_P_ALL, if_ether.h
_NEWLINK, _NEWADDR, _NEWROUTE = 16, 20, 24  # rtnetlink(7)
_REQUEST, _ACK, _CREATE = 0x1, 0x4, 0x400
_TABLE, _STATIC, _HOST, _LOCAL, _UP = 255, 4, 254, 2, 1
_OIF, _ADDRESS, _OWN, _TO = 4, 1, 2, 1
_libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: Sequence[str]) -> int:
    """Make it, send its sockets, and wait."""
    control = socket.socket(fileno=int(arguments[0]))
    try:
        apart()
        over_etc_and_run(Path(arguments[1]))
    except OSError as error:
        control.sendall(json.dumps({"forbidden": str(error)}).encode())
        return 1
    six = everything_to_loopback()
    opened = [packets(), *listeners(), *(decoy(path) for path in DECOYS.values())]
    said = json.dumps({"six": six}).encode()
    socket.send_fds(control, [said], [each.fileno() for each in opened])
    control.recv(1)
    return 0


def apart() -> None:
    """Leave the machine's namespaces; as an ordinary user with that user's own id, and all powers in here."""
    uid, gid = os.geteuid(), os.getegid()
    _done(_libc.unshare(_NEWNET | _NEWNS | (_NEWUSER if uid else 0)), "unshare")
    if uid:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    _mount(b"none", b"/", None, _RECURSIVE | _PRIVATE)


def over_etc_and_run(folder: Path) -> None:
    """Name our resolver, and leave no socket of a service in reach."""
    _mount(b"none", b"/run", b"tmpfs", 0)
    os.chmod("/run", 0o755)
    for name, text in SETTINGS.items():
        place = Path(os.path.realpath(f"/etc/{name}"))
        if place.is_relative_to("/run"):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        elif place.exists():
            source = folder / name
            source.write_text(text)
            source.chmod(0o644)
            _mount(os.fsencode(source), os.fsencode(place), None, _BIND)


def everything_to_loopback() -> bool:
    """Every packet to anywhere is sent on loopback (a local route for all); whether that holds for IPv6 too."""
    lo = socket.if_nametoindex("lo")
    _tell(_NEWLINK, 0, struct.pack("=BxHiII", 0, 0, lo, _UP, _UP))
    _routed(lo, socket.AF_INET, ADDRESSES[0])
    try:
        _routed(lo, socket.AF_INET6, ADDRESSES[1])
    except OSError:
        return False
    return True


def packets() -> socket.socket:
    """Hears every packet of every interface in here (packet(7))."""
    return socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL))


def listeners() -> list[socket.socket]:
    """The resolver, by datagram and by stream, and the package index."""
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(RESOLVER)
    streams = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(2)]
    for stream, address in zip(streams, (RESOLVER, INDEX), strict=True):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stream.bind(address)
        stream.listen(64)
    return [datagrams, *streams]


def decoy(path: str) -> socket.socket:
    """Listens where a service of the machine would."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if not path.startswith("\0"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    made.bind(path)
    made.listen(64)
    if not path.startswith("\0"):
        os.chmod(path, 0o666)
    return made


def _routed(lo: int, family: int, own: str) -> None:
    address = socket.inet_pton(family, own)
    head = struct.pack("=BBBBI", family, 8 * len(address), 0, 0, lo)
    _tell(_NEWADDR, _CREATE, head + _attribute(_ADDRESS, address) + _attribute(_OWN, address))
    # Multicast has routes of its own in IPv6, and none leads to loopback.
    wide = [(b"", 0)] if family == socket.AF_INET else [(b"", 0), (socket.inet_pton(family, "ff00::"), 8)]
    for to, bits in wide:
        route = struct.pack("=BBBBBBBBI", family, bits, 0, 0, _TABLE, _STATIC, _HOST, _LOCAL, 0)
        _tell(
            _NEWROUTE, _CREATE, route + _attribute(_OIF, struct.pack("=I", lo)) + (_attribute(_TO, to) if to else b"")
        )


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _tell(kind: int, flags: int, body: bytes) -> None:
    """One message to the kernel's routing socket (netlink(7)), and its answer."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
        kernel.sendall(struct.pack("=IHHII", 16 + len(body), kind, _REQUEST | _ACK | flags, 1, 0) + body)
        code = -struct.unpack_from("=i", kernel.recv(4096), 16)[0]
    if code:
        raise OSError(code, os.strerror(code), f"rtnetlink message {kind}")


def _mount(source: bytes, target: bytes, kind: bytes | None, flags: int) -> None:
    _done(_libc.mount(source, target, kind, flags, None), f"mount {os.fsdecode(target)}")


def _done(code: int, what: str) -> None:
    if code != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
