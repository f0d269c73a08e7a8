"""The keeper with real walls, a real store and real keys."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from keeper_house import SUBJECT, House, rule, step
from keeper_repository import make

import greenroom.tools
from greenroom.audit import keys
from greenroom.audit.attest import KeyAttestor
from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.plan import ToolManifest
from greenroom.domain.ports import CheckRun
from greenroom.domain.proof import Import, Predicate, Receipt, Seal
from greenroom.domain.verdict import Refused
from greenroom.keeper.golden import Goldens
from greenroom.keeper.service import KeeperService
from greenroom.release.store import FileStore
from greenroom.release.trees import StoreTrees
from greenroom.sandbox.build import build_launcher
from greenroom.sandbox.process import ProcessWalls
from greenroom.testing.clock import ManualClock

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
]
TOOLS = Path(greenroom.tools.__path__[0])
PATCH = b"diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,2 +1 @@\n-import os\n x = 1\n"
SAY = b"import json, sys\nrequest = json.load(sys.stdin)\n%s\njson.dump(said, open('/out/result.json', 'w'))\n"

FILL = b"""
import itertools, time
for index in itertools.count():
    with open(f'/out/{index}', 'wb') as file:
        file.write(b'x' * (4 << 20))
    time.sleep(0.01)
"""
LINGER = b"""
import subprocess, time
subprocess.Popen(['/usr/bin/sleep', '600'])
open('/out/on', 'w').close()
time.sleep(600)
"""


@pytest.fixture(scope="module")
def walled() -> Iterator[House]:
    """A keeper whose cells are real; the directory is passable, because the sandbox's user must get there."""
    with tempfile.TemporaryDirectory(prefix="greenroom-keeper-") as directory:
        Path(directory).chmod(0o755)
        house = _house(Path(directory))
        yield house
        house.keeper.close()


def _house(directory: Path) -> House:
    uid = 54321 if os.geteuid() == 0 else None
    launcher = build_launcher(directory / "launcher")
    store: Any = FileStore(directory / "store")
    key = keys.generate()
    attestor: Any = KeyAttestor("keeper", key, {"keeper": (key.public,)})
    walls: Any = ProcessWalls(launcher, sandbox_uid=uid, sandbox_gid=uid)
    trees, stop = StoreTrees(store), [False]
    manifests: dict[Digest, tuple[ToolManifest, bytes]] = {}
    names: dict[str, Digest] = {}
    keeper = KeeperService(
        directory=directory / "keeper",
        walls=walls,
        trees=trees,
        store=store,
        attestor=attestor,
        clock=ManualClock(),
        manifests=manifests.get,
        tools=lambda: names,
        stopped=lambda: stop[0],
        helpers={"_body.py": (TOOLS / "_body.py").read_bytes()},
        launcher=launcher,
        prepare=lambda runner: lambda tree: runner.goldens.current(),
        sandbox_uid=uid,
        distributions=("iniconfig",),
    )
    house = House(keeper, store, trees, attestor, walls, directory, manifests, names, stop)
    for name, args in (
        ("import_git_t1", {"branch": rule(required=False)}),
        ("apply_patch_t1", {"patch": rule("digest")}),
    ):
        house.tool(name, (TOOLS / f"{name}.py").read_bytes(), args=args)
    return house


def say(house: House, code: str, **more: Any) -> Mapping[str, Any]:
    """What a tool with the body `code` says of the cell it runs in (its variable `said`)."""
    tool = house.tool("toy_t1", SAY % code.encode(), **more)
    tree = house.tree({"a.py": b"x = 1\n", "tests/test_a.py": b""})
    answer = house.keeper.check(
        CheckRun(check="scan", role="r", tool=tool, args={}, trees={"work": tree}, golden=house.keeper.golden())
    )
    receipt = house.opened(Receipt, answer, Predicate.RECEIPT)
    output = json.loads(house.store.get(receipt.output))
    assert output["result"], house.store.get(output["stderr"])
    return dict(json.loads(house.store.get(output["result"])))


def test_a_repository_goes_from_the_person_s_directory_to_a_sealed_green(walled: House) -> None:
    """Imported by git between walls, patched between walls, sealed twice with one digest, and signed."""
    repository = make(walled.directory / "r", {"a.py": b"import os\nx = 1\n", "tests/test_a.py": b""})
    fd = os.open(repository, os.O_RDONLY | os.O_DIRECTORY)
    ticket = walled.keeper.present(str(repository), "", fd)
    record = walled.opened(Import, walled.keeper.bring(SUBJECT, ticket, None), Predicate.IMPORT)
    os.close(fd)
    assert record.branch == "main"
    patch = walled.store.put("blob", PATCH)
    plan = walled.plan(record.tree, step(walled.names["apply_patch_t1"], patch=patch), blobs=(patch,))
    seals = [walled.opened(Seal, walled.keeper.build(plan), Predicate.SEAL) for _ in range(2)]
    changed = {e.path: e for e in walled.trees.manifest(seals[0].green).entries}
    assert seals[0].green == seals[1].green
    assert walled.store.get(changed[b"a.py"].blob) == b"x = 1\n"  # type: ignore[union-attr]
    assert list((walled.directory / "keeper" / "runs").iterdir()) == []


def test_a_patch_that_does_not_apply_is_refused_with_its_place(walled: House) -> None:
    """The rehearsal finds it; nothing is built."""
    patch = walled.store.put("blob", PATCH)
    base = walled.tree({"a.py": b"something else\n"})
    refused = walled.keeper.build(walled.plan(base, step(walled.names["apply_patch_t1"], patch=patch), blobs=(patch,)))
    assert isinstance(refused, Refused)
    assert refused.rule == "patch-does-not-apply"
    assert "a.py" in refused.where


def test_the_cell_sees_its_mounts_and_not_the_host_s_packages(walled: House) -> None:
    """The interpreter is golden's, and no host package directory is on its path."""
    code = """
import os
said = {'path': sys.path, 'exe': sys.executable, 'seen': sorted(os.listdir('/mnt')), 'env': dict(os.environ)}
"""
    found = say(walled, code)
    assert found["exe"] == "/golden/bin/python3"
    assert not [place for place in found["path"] if "dist-packages" in place]
    assert found["seen"] == ["work"]
    assert not [name for name in found["env"] if "GREENROOM" in name or "TOKEN" in name]


def test_what_runs_tests_may_write_its_copy_but_not_the_tests(walled: House) -> None:
    """The source directory is writable, the place of the tests is not, golden and inputs are not."""
    code = """
import os
def can(path):
    try:
        open(path, 'w').close()
        return True
    except OSError:
        return False
places = ('/mnt/work/b.py', '/mnt/work/tests/b.py', '/mnt/work/tests/test_a.py', '/golden/x', '/in/x', '/tools/x',
          '/tools/_body.py', '/tools/__pycache__/x.pyc')
said = {place: can(place) for place in places}
"""
    found = say(walled, code, executes=True)
    assert found.pop("/mnt/work/b.py") is True
    assert set(found.values()) == {False}


def test_a_tool_that_fills_the_disk_or_links_out_is_refused(walled: House) -> None:
    """The cap on what is written ends the run; a link as result is not followed."""
    cases = {
        "disk-full": FILL,
        "bad-output": b"import os\nos.symlink('/etc/passwd', '/out/result.json')\n",
    }
    for expected, body in cases.items():
        tool = walled.tool("toy_t1", body)
        refused = walled.keeper.build(walled.plan(walled.tree({"a": b"1"}), step(tool)))
        assert isinstance(refused, Refused)
        assert refused.rule == expected


def test_a_stop_ends_a_running_tool_within_two_seconds(walled: House) -> None:
    """Whatever it does, and nothing of it is left on the disk."""
    tool = walled.tool("toy_t1", LINGER)
    plan = walled.plan(walled.tree({"a": b"1"}), step(tool))
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(walled.keeper.build(plan)))
    thread.start()
    runs = walled.directory / "keeper" / "runs"
    until = time.monotonic() + 20
    while not list(runs.glob("*/out/on")) and time.monotonic() < until:
        threading.Event().wait(0.02)
    walled.stop[0] = True
    began = time.monotonic()
    thread.join(10)
    took = time.monotonic() - began
    walled.stop[0] = False
    assert [answer.rule for answer in answers] == ["stopped"]
    assert took < 2
    assert list(runs.iterdir()) == []


def test_the_default_toolchain_gives_pytest_ruff_bandit_and_codespell_to_a_cell(tmp_path: Path) -> None:
    """Golden's tree is made of the installed distributions, works with the host's interpreter, and is made once."""
    store: Any = FileStore(tmp_path / "store")
    more: dict[str, Any] = {"store": store, "trees": StoreTrees(store), "launcher": None, "helpers": {}}
    goldens = Goldens(tmp_path / "golden", **more)
    golden = goldens.open(goldens.current())
    place = Path(goldens.mounts(golden)[0].source)
    code = "import sys; sys.path.insert(0, sys.argv[1]); import pytest, bandit, codespell_lib, stevedore, yaml, pip"
    argv = [str(place / "bin" / "python3"), "-I", "-B", "-c", code, str(place / "site")]
    subprocess.run(argv, check=True, env={"PATH": "/usr/bin:/bin"})
    ran = subprocess.run([place / "bin" / "ruff", "--version"], check=True, capture_output=True)
    assert ran.stdout.decode().split()[1] == golden.packages["ruff"]
    assert Goldens(tmp_path / "golden", **more).current() == goldens.current()
    assert digest_of("golden", documents.encode(golden)) == goldens.current()
