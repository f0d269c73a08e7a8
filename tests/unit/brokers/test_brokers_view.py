"""pip in its view: as nobody, without the box, and still with the person's index, authority, proxy and password."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.parse
from contextlib import ExitStack
from pathlib import Path

import pytest
from index_server import Index, proxying, self_signed, serving
from test_brokers_fetch import wheel

from greenroom.bootstrap.parts import sandbox_user
from greenroom.brokers.fetch import Fetcher, Lock
from greenroom.brokers.view import View

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

PROBE = """
import json, os, sys
def can(path):
    try:
        os.listdir(path) if os.path.isdir(path) else open(path).close()
        return True
    except OSError:
        return False
def writes(path):
    try:
        open(os.path.join(path, "written"), "w").close()
        return True
    except OSError:
        return False
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(json.dumps({
    "uid": os.getuid(), "groups": os.getgroups(),
    "effective": status["CapEff"].strip(), "bounds": status["CapBnd"].strip(),
    "seen": [path for path in sys.argv[1].split(":") if can(path)],
    "written": [path for path in sys.argv[2].split(":") if writes(path)],
    "netrc": open(os.environ["NETRC"]).read(), "home": os.environ["HOME"],
    "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
}))
"""


def view() -> View:
    uid, gid = sandbox_user()
    return View(uid=uid, gid=gid)


def test_what_pip_can_reach(tmp_path: Path) -> None:
    """Neither the box nor the home; it writes its two directories, and holds no power."""
    box = tmp_path / "box"
    home, keys = tmp_path / "home", box / "keys"
    scratch, into = box / "keeper" / "scratch", box / "keeper" / "into"
    for path in (home, keys, scratch, into):
        path.mkdir(parents=True)
    (keys / "owner.key").write_text("secret")
    (home / ".netrc").write_text("machine index.example login ada password word\n")
    (home / ".netrc").chmod(0o600)
    ours = [Path(sys.prefix), Path(sys.base_prefix)]
    elsewhere = [place for place in ("/home", "/root", "/srv") if not any(path.is_relative_to(place) for path in ours)]
    asked = [*map(str, (keys, keys / "owner.key", home, home / ".netrc")), *elsewhere]
    tried = [str(path) for path in (scratch, into, box, box / "keeper", "/usr", "/etc", sys.prefix)]
    words = [sys.executable, "-I", "-B", "-c", PROBE, ":".join(asked), ":".join(tried)]
    argv, given = view()(words, {"HOME": str(home), "PATH": "/usr/bin:/bin"}, scratch, into)
    told = json.loads(subprocess.run(argv, env=given, cwd=scratch, check=True, capture_output=True).stdout)
    assert told["uid"] == (sandbox_user()[0] or os.getuid())
    assert int(told["effective"], 16) == 0
    if os.geteuid() == 0:
        assert (told["uid"] != 0, int(told["bounds"], 16), told["groups"]) == (True, 0, [])
    assert told["seen"] == []
    assert {str(scratch), str(into)} <= set(told["written"])
    assert not {"/usr", "/etc", sys.prefix} & set(told["written"])
    assert sorted(tmp_path.rglob("written")) == [into / "written", scratch / "written"]
    assert "password word" in told["netrc"]
    assert Path(told["home"]).is_relative_to(scratch)
    assert told["processes"] <= 2


def test_a_private_index_answers_pip_in_its_view(tmp_path: Path) -> None:
    """Authority, proxy and the password of `.netrc` are copies; nothing of them, and no cache, is left behind."""
    with ExitStack() as stack:
        authority, pem = self_signed(tmp_path)
        (tmp_path / "private").mkdir()
        index = stack.enter_context(serving(Index(tmp_path / "private", "ada:word"), pem))
        proxy = stack.enter_context(proxying())
        wheel(tmp_path / "private", "corp_core", "1.0")
        home = tmp_path / "home"
        home.mkdir()
        place = urllib.parse.urlsplit(index.url)
        (home / ".netrc").write_text(f"machine {place.hostname} login ada password word\n")
        authority.chmod(0o600)
        before = sorted(home.rglob("*"))
        environment = {
            "HOME": str(home),
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_RETRIES": "0",
            "PIP_INDEX_URL": f"https://{place.hostname}:{place.port}{place.path}",
            "HTTPS_PROXY": proxy.url,
            "SSL_CERT_FILE": str(authority),
        }
        fetcher = Fetcher(python="3.11", environment=environment, seclude=view())
        out = tmp_path / "box" / "out"
        lock = fetcher(["corp-core"], out)
        assert isinstance(lock, Lock), lock
        assert [(item.name, item.version) for item in lock.wheels] == [("corp-core", "1.0")]
        assert proxy.tunnels
        assert sorted(home.rglob("*")) == before
        assert [path.name for path in (tmp_path / "box").iterdir()] == ["out"]


def test_a_local_directory_answers_pip_in_its_view(tmp_path: Path) -> None:
    """Also several of them, through the router."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    wheel(tmp_path / "one", "alpha", "1.0", ("beta>=2",))
    wheel(tmp_path / "two", "beta", "2.1")
    wheel(tmp_path / "one", "gamma", "1.0")
    usual = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1"}
    for links, wanted in (("one", ["gamma"]), ("one two", ["alpha", "beta"])):
        environment = {**usual, "PIP_FIND_LINKS": " ".join(str(tmp_path / name) for name in links.split())}
        lock = Fetcher(python="3.11", environment=environment, seclude=view())(
            wanted[:1], tmp_path / f"out-{wanted[0]}"
        )
        assert isinstance(lock, Lock), lock
        assert [item.name for item in lock.wheels] == wanted
