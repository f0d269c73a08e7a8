"""Watches what whole commands send: in a network of their own (`alone.py`), from which nothing can leave unseen.

What is seen: each packet, on loopback too; each name that is asked of the resolver; each connection to a decoy of a
service that looks names up or hands things on; and of each process the network that it lives in.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import selectors
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import alone
import pytest

LOOK_S = 0.2
"""How often the processes are looked at, in seconds; what they send is seen whenever it is sent."""
USERS_ONLY = {"nscd: passwd", "nscd: group"}
"""What the C library asks nscd whenever a program asks who a user is: no name of a machine, and nscd is local."""

_OUTGOING = 4  # PACKET_OUTGOING, packet(7): what goes out on loopback also comes in there, and is told once
_STATISTICS = (263, 6)  # SOL_PACKET, PACKET_STATISTICS
_PROTOCOLS = {6: "tcp", 17: "udp"}
_NSCD = {0: "passwd", 1: "passwd", 11: "passwd", 2: "group", 3: "group", 12: "group", 15: "group"}
"""Numbers of nscd's questions about users (nscd-client.h of the GNU C library); all else is told as `hosts`."""
_TABLES = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet")


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet: `tcp`, `udp`, or the number of its protocol; addresses, and ports where it has some."""

    protocol: str
    source: tuple[str, int]
    target: tuple[str, int]

    @property
    def service(self) -> tuple[str, str, int]:
        """Who was reached: an answer of ours counts as its question."""
        own = self.source in (alone.RESOLVER, alone.INDEX)
        return (self.protocol, *(self.source if own else self.target))


@dataclass(slots=True)
class Network:
    """A network that a process was seen in: who lives there, its interfaces, its sockets that are not local ones, and
    how many packets were sent or tried there, to loopback too, since it was made."""

    names: set[str] = field(default_factory=set)
    interfaces: set[str] = field(default_factory=set)
    tried: int = 0
    sockets: set[str] = field(default_factory=set)


class Watch:
    """What was seen. `enter` begins the words of a command that is to be watched."""

    def __init__(self, pid: int, given: Sequence[socket.socket], six: bool) -> None:
        self.enter = _words_to(pid)
        self.six = six
        self.home = _network("self")
        self.here = _network(str(pid))
        self.asked: list[str] = []
        self.called: list[str] = []
        self.networks: dict[str, Network] = {}
        self.unreadable: set[str] = set()
        self.known: dict[str, str] = {}
        names = (*alone.SOCKETS, *alone.DECOYS)
        # What nobody holds any more is shown without a number: its packets were heard.
        self._own = {"0", *(str(os.fstat(each.fileno()).st_ino) for each in given)}
        self._sockets = dict(zip(names, given, strict=True))
        self._heard: list[Packet] = []
        self._turn, self._eyes = threading.Lock(), threading.Lock()
        self._selector = selectors.DefaultSelector()
        for name in ("packets", "resolver", "resolver-tcp", *alone.DECOYS):
            self._selector.register(self._sockets[name], selectors.EVENT_READ, name)

    @property
    def index(self) -> socket.socket:
        """The listening socket of the only package index."""
        return self._sockets["index"]

    def packets(self) -> list[Packet]:
        """What was sent since this was last asked."""
        self._settle()
        with self._turn:
            found, self._heard = self._heard, []
            level, name = _STATISTICS
            lost = struct.unpack("=II", self._sockets["packets"].getsockopt(level, name, 8))[1]
        assert lost == 0, "the watch itself lost packets"
        return found

    def close(self) -> None:
        """Nothing is asked of it any more."""
        self._selector.close()

    def nothing(self, what: object) -> None:
        """Nothing was sent, asked, or told to a service since this was last asked."""
        packets = self.packets()
        assert packets == [], (what, packets)
        assert self.asked == [], (what, self.asked)
        assert set(self.called) <= USERS_ONLY, (what, self.called)

    def forget(self) -> None:
        """What was seen until here was meant to be."""
        self.packets()
        self.asked.clear()
        self.called.clear()
        with self._eyes:
            self.networks.clear()
            self.unreadable.clear()

    def serve(self, over: threading.Event) -> None:
        """Answer the resolver's questions, and hear packets and who calls a decoy; until `over`."""
        while not over.is_set():
            if self._selector.select(LOOK_S):
                self._settle()

    def look(self, over: threading.Event) -> None:
        """Look at every process that stems from the watched network; until `over`."""
        while not over.wait(LOOK_S):
            self.look_once()

    def look_once(self) -> None:
        """Look at each of them: where it lives, and which sockets of a network are open there."""
        with self._eyes:
            done: set[str] = set()
            for pid in _tree(self.here):
                self._look_at(pid, Path("/proc", pid), done)

    def _look_at(self, pid: str, base: Path, done: set[str]) -> None:
        try:
            network, name = _network(pid), _role(base)
            if network in done:
                self.networks[network].names.add(name)
                return
            interfaces, tried = _interfaces(base / "net"), _tried(base / "net")
            sockets = {f"{table}: {row}" for table in _TABLES for row in _rows(base / "net" / table, self._own)}
        except PermissionError as error:
            # The kernel also says so of a process that has just ended (proc_ns_readlink).
            if _parent(base) is not None:
                self.unreadable.add(f"{pid}: {error}")
            return
        except OSError:  # it is ending, and has left its network already
            return
        done.add(network)
        found = self.networks.setdefault(network, Network())
        found.names.add(name)
        found.interfaces |= interfaces
        found.tried = max(found.tried, tried)
        found.sockets |= sockets

    def _settle(self) -> None:
        """Hear and answer all that is there."""
        with self._turn:
            while ready := self._selector.select(0):
                for key, _ in ready:
                    with contextlib.suppress(OSError):
                        self._answer(key.data)

    def _answer(self, name: str) -> None:
        if name == "packets":
            data, where = self._sockets[name].recvfrom(128, socket.MSG_DONTWAIT)
            if where[2] == _OUTGOING:
                self._heard.append(_packet(data, where[1]))
        elif name == "resolver":
            question, who = self._sockets[name].recvfrom(4096)
            asked = _asked(question)
            self.asked.append(asked)
            self._sockets[name].sendto(_reply(question, self.known.get(asked)), who)
        else:
            caller, _ = self._sockets[name].accept()
            with caller:
                caller.settimeout(1)
                said = b""
                with contextlib.suppress(OSError):
                    said = caller.recv(12)
                (self.asked if name == "resolver-tcp" else self.called).append(_call(name, said))


@contextlib.contextmanager
def watching(folder: Path) -> Iterator[Watch]:
    """A watch over a network of its own; skips the test, with the reason, where this machine forbids to make one."""
    ours, theirs = socket.socketpair()
    with ours, contextlib.ExitStack() as stack:
        words = [sys.executable, "-I", alone.__file__, str(theirs.fileno()), str(folder)]
        holder = stack.enter_context(subprocess.Popen(words, pass_fds=(theirs.fileno(),)))
        theirs.close()
        stack.callback(ours.shutdown, socket.SHUT_RDWR)
        said, descriptors, _, _ = socket.recv_fds(ours, 4096, 64)
        told = json.loads(said or b"{}")
        if "forbidden" in told:
            pytest.skip(f"this machine lets no test make a network of its own: {told['forbidden']}")
        given = [stack.enter_context(socket.socket(fileno=each)) for each in descriptors]
        watch = Watch(holder.pid, given, told["six"])
        stack.callback(watch.close)
        over = threading.Event()
        threads = [threading.Thread(target=each, args=(over,)) for each in (watch.serve, watch.look)]
        for thread in threads:
            thread.start()
        try:
            yield watch
        finally:
            over.set()
            for thread in threads:
                thread.join()


def _call(name: str, said: bytes) -> str:
    if name != "nscd":
        return name
    kind = struct.unpack_from("=i", said, 4)[0] if len(said) >= 8 else -1
    return f"{name}: {_NSCD.get(kind, 'hosts')}"


def _words_to(pid: int) -> list[str]:
    own = ["--user", "--preserve-credentials"] if os.geteuid() != 0 else []
    return ["nsenter", "--target", str(pid), *own, "--net", "--mount", "--"]


def _network(pid: str) -> str:
    return os.readlink(f"/proc/{pid}/ns/net")


def _tree(network: str) -> list[str]:
    """The processes that live in `network`, and all that stem from them, wherever they live."""
    above: dict[str, str] = {}
    inside: set[str] = set()
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        parent = _parent(Path(entry.path))
        if parent is None:
            continue
        above[entry.name] = parent
        with contextlib.suppress(OSError):
            if _network(entry.name) == network:
                inside.add(entry.name)
    found = []
    for pid in above:
        at: str | None = pid
        while at is not None and at not in inside:
            at = above.get(at)
        if at is not None:
            found.append(pid)
    return found


def _parent(base: Path) -> str | None:
    """The parent of a process; None where that has ended."""
    try:
        state, parent = (base / "stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state in "ZX" else parent


def _role(base: Path) -> str:
    """What a process is: the word after `-m greenroom...` for one of the box's own, else its program."""
    words = (base / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    python = os.path.basename(words[0]).startswith("python")
    for word, following in itertools.pairwise(words) if python else ():
        if word in ("greenroom.rescue", "greenroom.bootstrap"):
            return "rescue" if word == "greenroom.rescue" else following
    return os.path.basename(words[0])


def _interfaces(net: Path) -> set[str]:
    return {line.partition(":")[0].strip() for line in (net / "dev").read_text().splitlines()[2:]}


def _tried(net: Path) -> int:
    """Packets that were handed to IP in a network, and those that had no way to go (RFC 4293)."""
    names, values = (line.split() for line in (net / "snmp").read_text().splitlines() if line.startswith("Ip:"))
    four = dict(zip(names, values, strict=True))
    six = dict(line.split() for line in _lines(net / "snmp6"))
    counted = ("OutRequests", "OutNoRoutes")
    return sum(int(four[name]) + int(six.get(f"Ip6{name}", "0")) for name in counted)


def _rows(table: Path, own: set[str]) -> list[str]:
    """The sockets of a table of /proc/PID/net, but for the watch's own."""
    lines = _lines(table)
    if not lines:
        return []
    # In all but `packet` the heads `tx_queue rx_queue` and `tr tm->when` stand above one column each.
    at = lines[0].split().index("Inode") if table.name == "packet" else lines[0].split().index("inode") - 2
    rows = [line.split() for line in lines[1:]]
    return [" ".join(row[1:4]) for row in rows if row[at] not in own]


def _lines(path: Path) -> list[str]:
    """The lines of a file of /proc; none where this machine does not have it."""
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:
        return []


def _packet(data: bytes, kind: int) -> Packet:
    if kind == 0x0800:
        size, protocol = (data[0] & 15) * 4, data[9]
        source, target = (socket.inet_ntop(socket.AF_INET, data[at : at + 4]) for at in (12, 16))
    elif kind == 0x86DD:
        size, protocol = 40, data[6]
        source, target = (socket.inet_ntop(socket.AF_INET6, data[at : at + 16]) for at in (8, 24))
    else:
        return Packet(f"ether {kind:#06x}", ("", 0), ("", 0))
    ports = struct.unpack_from("!HH", data, size) if protocol in _PROTOCOLS else (0, 0)
    return Packet(_PROTOCOLS.get(protocol, str(protocol)), (source, ports[0]), (target, ports[1]))


def _asked(question: bytes) -> str:
    """The name in a question (RFC 1035, 4.1.2)."""
    words, at = [], 12
    while at < len(question) and question[at]:
        words.append(question[at + 1 : at + 1 + question[at]].decode("ascii", "replace"))
        at += 1 + question[at]
    return ".".join(words).lower()


def _reply(question: bytes, address: str | None) -> bytes:
    """That there is no such name; for a known one its IPv4 address, and that it has no other."""
    end = question.index(b"\0", 12) + 5
    wants_four = question[end - 4 : end - 2] == b"\0\1"
    answer = b""
    if address is not None and wants_four:
        answer = b"\xc0\x0c\0\1\0\1" + struct.pack("!IH", 60, 4) + socket.inet_aton(address)
    flags = 0x8180 | (3 if address is None else 0)
    return question[:2] + struct.pack("!HHHHH", flags, 1, bool(answer), 0, 0) + question[12:end] + answer
