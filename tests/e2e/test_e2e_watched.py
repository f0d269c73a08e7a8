"""Nothing leaves the machine unless an allow-list says so: whole commands are watched, packet by packet.

Each test first, and last, does what must never happen, and sees it seen.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import alone
import pytest
from e2e_box import COMMAND, Answer, commit, git, write
from watched import Watch, watching

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "brokers"))
from index_server import Index, self_signed, serving
from test_brokers_fetch import wheel

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "tidywords"
INDEX_NAME = "index.greenroom.example"
LOOKED_UP = "telemetry.greenroom.example"
BOX = {"rescue", "guard", "keeper", "executor"}
TRAFFIC = f"""
import socket
for family, host, group in json.loads(sys.argv[1]):
    with socket.socket(family, socket.SOCK_STREAM) as stream:
        stream.settimeout(5)
        stream.connect_ex((host, 443))
    with socket.socket(family, socket.SOCK_DGRAM) as datagram:
        datagram.sendto(b"x", (host, 9))
        datagram.sendto(b"x", (group, 5353))
with socket.socket() as stream:
    stream.connect_ex(("127.0.0.1", 4318))
try:
    socket.getaddrinfo({LOOKED_UP!r}, 443)
except socket.gaierror:
    pass
for place in json.loads(sys.argv[2]):
    with socket.socket(socket.AF_UNIX) as local:
        local.connect(place)
        local.sendall(b"hello")
        local.recv(1)
"""
"""A connect, a datagram, a multicast, by both protocols; a connect to loopback; a name; and a word to each service."""
APART = """
import socket, sys
with socket.create_server(("127.0.0.1", 4317)), socket.socket() as stream:
    stream.connect_ex(("203.0.113.9", 443))
    print("tried", flush=True)
    sys.stdin.read()
"""
"""What a process does that has a network of its own, without a way out."""


class Box:
    """A box, and a person who types commands in the watched network."""

    def __init__(self, home: Path, watch: Watch) -> None:
        self.home, self.watch = home, watch
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
        self.environment = kept | {
            "HOME": str(home / "person"),
            "GREENROOM_HOME": str(home / "box"),
            "SSH_AUTH_SOCK": alone.DECOYS["agent"],
            "DBUS_SESSION_BUS_ADDRESS": f"unix:abstract={alone.SESSION_BUS[1:]}",
            "COLUMNS": "200",
            "TERM": "dumb",
        }
        (home / "person").mkdir()

    def run(self, *words: str) -> Answer:
        """One command, as it is."""
        return self.started(sys.executable, "-c", COMMAND, *words)

    def ok(self, *words: str) -> Answer:
        """The answer of a command that must succeed."""
        answer = self.run(*words, "--json")
        assert answer.code == 0, (words, answer.out, answer.err)
        return answer

    def started(self, *words: str) -> Answer:
        """A program of any kind, in the watched network."""
        ended = subprocess.run(
            [*self.watch.enter, *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        return Answer(ended.returncode, ended.stdout, ended.stderr)

    def sample(self, name: str, needs: str = "") -> Path:
        """A repository with something to mend in it; it needs the package `needs`, and uses it."""
        place = self.home / name
        shutil.copytree(SAMPLE, place)
        if needs:
            project = place / "pyproject.toml"
            text = project.read_text()
            assert "dependencies" not in text
            project.write_text(text.replace("[project]\n", f'[project]\ndependencies = ["{needs}"]\n', 1))
            test = f"import {needs}\n\n\ndef test_needed():\n    assert {needs}.VALUE == 1\n"
            write(place, {"tests/test_needed.py": test})
        git(place, "init", "-q", "-b", "main")
        commit(place, "first")
        return place


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    """One box for this file, in a network of its own."""
    home = Path(tempfile.mkdtemp(prefix="greenroom-watched-"))
    home.chmod(0o755)
    try:
        with watching(home) as watch:
            made = Box(home, watch)
            try:
                yield made
            finally:
                made.run("down")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def seen(box: Box) -> None:
    """What must never happen happens, and the watch sees every part of it."""
    watch = box.watch
    watch.forget()
    ways = [(2, "203.0.113.9", "224.0.0.251"), *([(10, "2001:db8:9::9", "ff02::fb")] if watch.six else [])]
    code = f"import json, sys\n{TRAFFIC}"
    done = box.started(sys.executable, "-c", code, json.dumps(ways), json.dumps(list(alone.DECOYS.values())))
    assert done.code == 0, done
    services = {packet.service for packet in watch.packets()}
    for _, host, group in ways:
        assert {("tcp", host, 443), ("udp", host, 9), ("udp", group, 5353)} <= services
    assert {("tcp", "127.0.0.1", 4318), ("udp", *alone.RESOLVER)} <= services
    assert LOOKED_UP in watch.asked
    heard = {name.partition(":")[0] for name in watch.called}
    assert heard == set(alone.DECOYS)
    assert "nscd: hosts" in watch.called
    with pytest.raises(AssertionError):
        watch.nothing("the control")
    watch.forget()
    words = [*watch.enter, "bwrap", "--dev-bind", "/", "/", "--unshare-net", sys.executable, "-c", APART]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as apart:
        assert apart.stdout is not None
        assert apart.stdout.readline() == b"tried\n"
        watch.look_once()
    (there,) = (network for name, network in watch.networks.items() if name != watch.here)
    assert (there.interfaces, there.tried > 0, len(there.sockets)) == ({"lo"}, True, 1)
    watch.nothing("what has no way out")
    watch.forget()


def test_no_command_sends_anything(box: Box) -> None:
    """From `init` to `down`, with a change promoted and taken back: no packet, no name, no word to a service of the
    machine; and every process lived where that would have been seen, or where there is no way out at all."""
    watch = box.watch
    seen(box)

    def quiet(*words: str) -> Answer:
        answer = box.ok(*words)
        watch.nothing(words)
        return answer

    place = box.sample("tidywords")
    quiet("init", "--no-input")
    assert box.run("improve", str(place), "--dry-run").code == 0
    found = quiet("improve", str(place), "--max", "1").data
    waiting = [row for row in found["changes"] if (row["held"] or {}).get("rule") == "needs-approval"]
    assert waiting, found
    first = waiting[0]["id"]
    for words in (("list",), ("show", first), ("diff", first), ("status",), ("doctor",), ("config", "show")):
        quiet(*words)
    assert quiet("approve", first, "--yes", "--no-promote").data["state"] == "approved"
    assert quiet("promote", first).data["state"] == "kept"
    assert quiet("revert", first).data["state"] == "reverted"
    for words in (("log",), ("log", "check"), ("metrics",), ("backup", str(box.home / "backup")), ("stop",), ("lift",)):
        quiet(*words)
    assert box.run("--version").code == 0
    assert box.run("--help").code == 0
    watch.look_once()
    quiet("down")
    every_process_was_watched(watch)
    seen(box)


def every_process_was_watched(watch: Watch) -> None:
    """No process lived in the machine's own network; where one had its own, that has loopback alone."""
    assert watch.unreadable == set()
    assert watch.home not in watch.networks
    here = watch.networks[watch.here]
    apart = [network for name, network in watch.networks.items() if name != watch.here]
    assert {"rescue", "keeper"} <= here.names
    assert (here.interfaces, here.sockets) == ({"lo"}, set())
    homes = [name for network in apart for name in network.names]
    assert {*here.names, *homes} >= BOX
    assert "executor" in homes
    assert any(not network.names & {*BOX, "bwrap"} for network in apart), "no cell was seen"
    for network in apart:
        assert (network.interfaces, network.tried, network.sockets) == ({"lo"}, 0, set()), network


def test_only_the_index_that_is_named_is_reached(box: Box, tmp_path: Path) -> None:
    """A dependency comes from the box's index and from nowhere else; where that has a name, its name alone is asked."""
    watch = box.watch
    seen(box)
    box.ok("init", "--no-input")
    authority, pem = self_signed(tmp_path, alone.INDEX[0], INDEX_NAME)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    watch.known[INDEX_NAME] = alone.INDEX[0]
    box.ok("config", "set", "index.certificate", str(authority))
    for host, needs, asked in ((alone.INDEX[0], "first_needed", set()), (INDEX_NAME, "second_needed", {INDEX_NAME})):
        wheel(wheels, needs, "1.0")
        box.ok("config", "set", "index.url", f"https://{host}/simple")
        place = box.sample(needs, needs)
        watch.nothing("settings")
        with serving(Index(wheels), pem, watch.index) as index:
            found = box.ok("improve", str(place), "--max", "1").data
        rules = {(row["held"] or {}).get("rule") for row in found["changes"]}
        assert "needs-approval" in rules, found
        assert index.names() == {needs.replace("_", "-")}
        services = {packet.service for packet in watch.packets()}
        assert services == {("tcp", *alone.INDEX), *([("udp", *alone.RESOLVER)] if asked else [])}
        assert set(watch.asked) == asked
        watch.forget()
    box.ok("down")
    watch.nothing("down")
    assert watch.home not in watch.networks
    seen(box)
