"""A pip that was taken over: what it leaves behind, what it goes on doing, and what of the machine it sees."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from index_server import Index, self_signed, serving
from test_brokers_fetch import wheel
from test_brokers_view import view

from greenroom.brokers.fetch import Fetcher, Lock
from greenroom.brokers.process import Program
from greenroom.brokers.settings import at_home
from greenroom.clearing import removed
from greenroom.domain.verdict import Held

USUAL = {"PIP_CONFIG_FILE": "/dev/null", "PIP_RETRIES": "0", "PIP_INDEX_URL": "https://127.0.0.1:9/simple"}


class TakenOver:
    """A view in which `code` runs in pip's place; its arguments are the two directories and `more`."""

    def __init__(self, code: str, *more: str) -> None:
        self.code, self.more = code, more

    def __call__(
        self, argv: Sequence[str], environment: Mapping[str, str], scratch: Path, into: Path, told: Callable[[], int]
    ) -> tuple[Sequence[str], Mapping[str, str]]:
        words = [*argv[:1], "-I", "-c", self.code, str(scratch), str(into), *self.more]
        return view()(words, environment, scratch, into, told)


def fetched(box: Path, code: str, *more: str, stop_at: str = "", **environment: str) -> Lock | Held:
    """A fetch in `box / "out"` by a pip that was taken over; it is stopped once the path `stop_at` is there."""
    fetcher = Fetcher(
        python="3.11",
        environment={**USUAL, "HOME": str(box), **environment},
        seclude=TakenOver(code, *more),
        cancelled=lambda: bool(stop_at) and any(box.glob(stop_at)),
    )
    return fetcher(["alpha"], box / "out")


SAID = """
import os, sys
scratch, into, secret = sys.argv[1:]
for name in (*os.listdir(scratch), "said"):
    path = os.path.join(scratch, name)
    if os.path.isdir(path):
        continue
    if os.path.exists(path):
        os.unlink(path)
    os.symlink(secret, path) if name == "said" else os.mkfifo(path)
print("ERROR: ResolutionImpossible: alpha depends on beta")
sys.exit(1)
"""


@pytest.mark.slow
@pytest.mark.sandbox
def test_what_pip_said_is_read_from_no_file_that_pip_can_swap(tmp_path: Path) -> None:
    """Links and pipes in its directory are not opened: only what it wrote is told."""
    secret = tmp_path / "secret"
    secret.write_text("the key depends on: word\n")
    held = fetched(tmp_path, SAID, str(secret))
    assert isinstance(held, Held)
    assert (held.rule, held.where) == ("conflicting-requirements", "ERROR: ResolutionImpossible: alpha depends on beta")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "secret"]


LEFT = """
import os, sys
scratch, into, secret, way = sys.argv[1:]
path = os.path.join(into, "alpha-1.0-py3-none-any.whl")
if way == "link": os.symlink(secret, path)
if way == "pipe": os.mkfifo(path)
if way == "directory": os.mkdir(path)
if way == "names":
    open(path, "w").close()
    os.link(path, os.path.join(into, "beta-1.0-py3-none-any.whl"))
if way == "odd": open(os.path.join(into, "alpha-1.0-py3-none-any\\n.whl"), "w").close()
if way == "bytes": open(os.path.join(os.fsencode(into), b"alpha-\\xff.whl"), "w").close()
if way == "many":
    for n in range(2000): open(os.path.join(into, f"alpha-{n}-py3-none-any.whl"), "w").close()
if way == "deep":
    os.chdir(into)
    for n in range(3000):
        os.mkdir("d")
        os.chdir("d")
    os.chmod("../../d", 0)
"""


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.parametrize("way", ["link", "pipe", "directory", "names", "odd", "bytes", "many", "deep"])
def test_only_regular_files_of_one_name_are_wheels(way: str, tmp_path: Path) -> None:
    """Whatever else lies where wheels should be holds the fetch, at once, and is removed."""
    (tmp_path / "secret").write_text("word")
    held = fetched(tmp_path, LEFT, str(tmp_path / "secret"), way)
    assert isinstance(held, Held)
    assert held.rule == ("fetch-too-large" if way == "many" else "no-wheel")
    assert held.where.isprintable()
    held.where.encode("ascii")
    assert list((tmp_path / "out").iterdir()) == []
    assert (tmp_path / "secret").read_text() == "word"


@pytest.mark.slow
@pytest.mark.sandbox
def test_a_wheel_that_nobody_asked_for_is_held(tmp_path: Path) -> None:
    """Behind the router each wheel has an index that was asked for its name."""
    code = "import sys; open(sys.argv[2] + '/alpha-1.0-py3-none-any.whl', 'w').close()"
    held = fetched(tmp_path, code, PIP_EXTRA_INDEX_URL="https://127.0.0.1:10/simple")
    assert isinstance(held, Held)
    assert (held.rule, held.where) == ("no-wheel", "alpha-1.0-py3-none-any.whl")


WRITES = """
import ctypes, os, sys
scratch, into, forever = sys.argv[1:]
for n in range(4):
    if os.fork() == 0:
        os.setsid()
        os.closerange(0, 100)
        ctypes.CDLL(None).prctl(1, 0)
        at = 0
        while True:
            at += 1
            for place in (scratch, into):
                os.makedirs(f"{place}/{n}-{at}", exist_ok=True)
                open(f"{place}/{n}-{at}/file", "w").close()
            if at == 50:
                open(f"{scratch}/written-{n}", "w").close()
while forever == "yes" or not os.path.exists(f"{scratch}/written-0"):
    pass
"""


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.parametrize("forever", ["yes", "no"])
def test_nothing_writes_on_when_a_fetch_has_ended(forever: str, tmp_path: Path) -> None:
    """Killed or by itself: all that pip started has ended before its directories are read and removed."""
    for n in range(4):
        box = tmp_path / str(n)
        box.mkdir()
        held = fetched(box, WRITES, forever, stop_at="fetch-*/written-0" if forever == "yes" else "")
        assert isinstance(held, Held)
        assert held.rule == ("stopped" if forever == "yes" else "no-wheel")
        assert [path.name for path in box.rglob("*")] == ["out"]


SEES = """
import os, sys
print("No matching distribution found for", [path for path in sys.argv[3:] if os.path.exists(path)])
sys.exit(1)
"""


@pytest.mark.slow
@pytest.mark.sandbox
def test_no_place_of_this_machine_is_shown(tmp_path: Path) -> None:
    """An index in the home shows neither the home nor itself, and a directory of certificates nothing else."""
    home = tmp_path / "home"
    for name in ("simple", "wheels", "box"):
        (home / name).mkdir(parents=True)
    (home / "box" / "owner.key").write_text("secret")
    (home / "mine.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    paths = [str(path) for path in (home / "box", home / "box" / "owner.key", home / "simple", home / "wheels")]
    for index in (f"file://{home}/simple", f"{home}/simple", f"file://{home}", f"file://{home}/box"):
        held = fetched(
            home, SEES, *paths, PIP_INDEX_URL=index, PIP_FIND_LINKS=str(home / "wheels"), SSL_CERT_DIR=str(home)
        )
        assert isinstance(held, Held)
        assert held.where == "[]"
    code = SEES.replace("sys.argv[3:]", "os.listdir(os.environ['SSL_CERT_DIR'])").replace(
        " if os.path.exists(path)", ""
    )
    held = fetched(home, code, SSL_CERT_DIR=str(home))
    assert isinstance(held, Held)
    assert held.where == "[]"


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.parametrize("form", ["file://{}/simple", "{}/simple", "file://{}/simple/"])
def test_an_index_on_this_machine_with_its_files_beside_it(form: str, tmp_path: Path) -> None:
    """Pages in `simple`, files in `packages`: also in a home, and where only its owner reads it."""
    pages, files = tmp_path / "simple" / "alpha", tmp_path / "packages"
    pages.mkdir(parents=True)
    files.mkdir()
    made = wheel(files, "alpha", "1.0")
    (pages / "index.html").write_text(f'<a href="../../packages/{made.name}">{made.name}</a>')
    tmp_path.chmod(0o700)
    environment = {**USUAL, "HOME": str(tmp_path), "PIP_INDEX_URL": form.format(tmp_path)}
    lock = Fetcher(python="3.11", environment=environment, seclude=view())(["alpha"], tmp_path / "out")
    assert isinstance(lock, Lock), lock
    assert [(item.name, item.index) for item in lock.wheels] == [("alpha", f"file://{tmp_path}/simple")]


@pytest.mark.slow
@pytest.mark.sandbox
def test_the_home_in_pips_settings(tmp_path: Path) -> None:
    """`~` is the person's home for wheels and certificates, and what that person alone reads is read."""
    home = tmp_path / "home"
    (home / "wheels").mkdir(parents=True)
    (home / "public").mkdir()
    wheel(home / "wheels", "alpha", "1.0")
    wheel(home / "public", "beta", "1.0")
    (home / "pip.conf").write_text("[global]\nfind-links =\n  ~/none\n  ~/wheels\nno-index = 1\n")
    authority, pem = self_signed(home)
    for path in (home / "wheels", authority, home):
        path.chmod(0o700)
    usual = {"HOME": str(home), "PIP_RETRIES": "0"}
    with ExitStack() as stack:
        index = stack.enter_context(serving(Index(home / "public"), pem))
        wheels = {"PIP_CONFIG_FILE": str(home / "pip.conf")}
        trusted = {"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": index.url, "PIP_CERT": "~/ca.pem"}
        pair = {**trusted, "PIP_CLIENT_CERT": "~/server.pem"}
        for n, (name, more) in enumerate((("alpha", wheels), ("beta", trusted), ("beta", pair))):
            fetcher = Fetcher(python="3.11", environment={**usual, **more}, seclude=view())
            lock = fetcher([name], tmp_path / f"out{n}")
            assert isinstance(lock, Lock), lock
            assert [item.name for item in lock.wheels] == [name]


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every place")
@pytest.mark.parametrize("name", ["PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_CERT"])
def test_a_place_that_cannot_be_read_is_named(name: str, tmp_path: Path) -> None:
    """Not as a wheel that does not exist."""
    shut = tmp_path / "shut"
    (shut / "place").mkdir(parents=True)
    shut.chmod(0)
    environment = {**USUAL, "HOME": str(tmp_path), name: str(shut / "place")}
    if name == "PIP_FIND_LINKS":
        environment["PIP_NO_INDEX"] = "1"
    held = Fetcher(python="3.11", environment=environment, seclude=view())(["alpha"], tmp_path / "out")
    shut.chmod(0o700)
    assert isinstance(held, Held)
    assert held.rule == "place-unreadable"
    assert held.where.startswith(str(shut))
    assert held.remedy


def test_a_deep_tree_is_removed(tmp_path: Path) -> None:
    """Deeper than any path and any stack, with links that lead out of it."""
    kept, tree = tmp_path / "kept", tmp_path / "tree"
    for path in (kept, tree):
        path.mkdir()
    (kept / "file").write_text("word")
    before = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.chdir(tree)
        for _ in range(sys.getrecursionlimit() + 200):
            os.symlink(kept, "link")
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.fchdir(before)
        os.close(before)
    assert removed(tree)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (kept / "file").read_text() == "word"


def test_the_home_is_the_environments() -> None:
    """Only as a whole first part; another user's is that user's."""
    given = {"HOME": "/h/ada/"}
    assert [at_home(path, given) for path in ("~", "~/a/~", "/a/~", "a~")] == ["/h/ada", "/h/ada/a/~", "/a/~", "a~"]
    assert at_home("~root/x", given) == os.path.expanduser("~root/x")


LIVES = """
import ctypes, os, time
for n in range(4):
    if os.fork() == 0:
        os.setsid()
        ctypes.CDLL(None).prctl(1, 0)
        filled = b"x" * 50_000_000
        os.write(1, b".")
        while True:
            time.sleep(1000)
time.sleep(1000)
"""


@pytest.mark.slow
@pytest.mark.sandbox
def test_the_end_of_a_program_is_the_end_of_all_that_it_started(tmp_path: Path) -> None:
    """At once: what still lived would hold its output open."""
    for n in range(8):
        scratch, into = tmp_path / f"{n}-scratch", tmp_path / f"{n}-into"
        scratch.mkdir()
        into.mkdir()
        program = Program()
        argv, given = view()(
            [sys.executable, "-I", "-c", LIVES], {"PATH": "/usr/bin:/bin"}, scratch, into, program.told
        )
        read, write = os.pipe()
        with open(read, "rb", buffering=0) as said:
            with open(write, "wb") as output:
                program.start(argv, given, scratch, output)
            assert b"".join(said.read(1) or b"" for _ in range(4)) == b"...."
            assert program.end()
            os.set_blocking(read, False)
            assert said.read(1) == b""


def test_a_program_that_starts_nothing_ends(tmp_path: Path) -> None:
    """One that says nothing of a first process and ends has left none."""
    program = Program()
    program.told()
    with (tmp_path / "said").open("w+b") as said:
        program.start(["/bin/false"], {}, tmp_path, said)
        while (status := program.wait(1)) is None:
            pass
    assert status == 1
    assert program.end()
