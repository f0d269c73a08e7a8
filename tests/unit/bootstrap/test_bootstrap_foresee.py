"""`improve --dry-run`: it tells all that would happen, in the product's own words, and leaves no trace."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from greenroom.agents.proposers import loader
from greenroom.bootstrap import foresee as foreseeing
from greenroom.bootstrap.local import LocalServices
from greenroom.brokers.hosts import directories_of, hosts_of, proxies_of
from greenroom.config import Box
from greenroom.domain.errors import Unusable
from greenroom.domain.vocabulary import Kind, Subject, address_of
from greenroom.evaluation.verify import ASKS
from greenroom.policy.manifests import BUILTIN
from greenroom.tools import _flake8, _pythons, _ruffs, _settings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
NOT_BY_IMPROVE = {"config_update_t2", "db_migrate_t2", "factory_reset_t3"}
"""Tools that no proposer emits."""


def wish(**other: Any) -> dict[str, Any]:
    return {"only": [], "mode": None, "test_command": None, "max": 10, "budget_s": None, **other}


def repository(place: Path) -> Path:
    place.mkdir()
    (place / "a.py").write_text("x = 1\n")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "first")):
        who = ("-c", "user.name=A", "-c", "user.email=a@b.c")
        subprocess.run(("git", "-C", str(place), *who, *words), check=True)
    return place


def traces(*places: Path) -> dict[str, tuple[Any, ...]]:
    """Every file and directory below: kind and mode, time of change, content or target."""
    found: dict[str, tuple[Any, ...]] = {}
    for place in places:
        for path in (place, *sorted(place.rglob("*"))):
            state = path.lstat()
            content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
            found[str(path)] = (state.st_mode, state.st_mtime_ns, content)
    return found


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """A box with a database that another process has open."""
    made = Box(tmp_path / "box")
    for directory in made.directories():
        directory.mkdir(parents=True, exist_ok=True)
    made.identity.write_text("{}")
    return made


def test_foresee_leaves_box_and_repository_byte_for_byte(box: Box, tmp_path: Path) -> None:
    """Also with a database in use, whose kept test command it tells; nothing is started."""
    place = repository(tmp_path / "repo")
    subject = Subject(kind=Kind.WORKSPACE, address=address_of(str(place), "main"))
    database = sqlite3.connect(box.db / "box.db")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE settings (subject, name, value)")
    database.execute("INSERT INTO settings VALUES (?, 'test-command', 'pytest -q odd')", (str(subject),))
    database.commit()
    services = LocalServices(box)
    before = traces(box.root, place)
    plan = services.foresee(services.repository(str(place), None), wish(), str(tmp_path / "out"))
    assert traces(box.root, place) == before
    assert not (tmp_path / "out").exists()
    database.close()
    assert any("argv=pytest -q odd" in run["what"] for run in plan["runs"])
    assert plan["stores"][-1]["where"] == str(tmp_path / "out")
    assert json.loads(json.dumps(plan)) == plan


def test_foresee_without_a_box(tmp_path: Path) -> None:
    """It says that there is none, and makes none."""
    place = repository(tmp_path / "repo")
    services = LocalServices(Box(tmp_path / "none"))
    plan = services.foresee(services.repository(str(place), None), wish(), None)
    assert plan["box"] == {"path": str(tmp_path / "none"), "there": False}
    assert not (tmp_path / "none").exists()


def test_foresee_tells_every_tool_and_check(tmp_path: Path) -> None:
    """All tools that a proposal can meet, every default proposer, every check but that of live."""
    runs = plan_of(tmp_path)["runs"]
    assert {run["tool"] for run in runs} == set(BUILTIN) - NOT_BY_IMPROVE
    told = " ".join(run["what"] for run in runs)
    assert all(f"generator={name}" in told for name in loader.by_default())
    assert all(f"{check}, " in told for check in ASKS if check != "live-tests")
    assert all(run["argv"][-1] == f"/tools/{run['tool']}.py" for run in runs)


def test_foresee_answers_as_improve_would_to_what_is_no_repository(tmp_path: Path) -> None:
    """Neither git nor a release there: refused with the remedy, and no plan; one file of a release makes it one."""
    services = LocalServices(Box(tmp_path / "none"))
    (tmp_path / "notes").mkdir()
    plan = services.foresee(services.repository(str(tmp_path / "notes"), None), wish(), None)
    assert set(plan) == {"dry_run", "verdict"}
    assert (plan["verdict"]["is"], plan["verdict"]["rule"]) == ("refused", "not-a-repository")
    assert "git init" in plan["verdict"]["remedy"]
    (tmp_path / "notes" / "PKG-INFO").touch()
    plan = services.foresee(services.repository(str(tmp_path / "notes"), None), wish(), None)
    assert plan["verdict"]["is"] == "passed"
    assert "greenroom.toml" in plan["reads"][1]["what"]


def test_foresee_of_a_look_runs_no_suite(tmp_path: Path) -> None:
    """Where nothing is carried, only the import, the settings and the chosen scan run; an unknown proposer is named."""
    runs = plan_of(tmp_path, only=["shell"], max=0)["runs"]
    assert [run["tool"] for run in runs] == ["import_git_t1", "read_settings_t0", "codegen_t0"]
    with pytest.raises(Unusable) as caught:
        plan_of(tmp_path, only=["nope"])
    assert caught.value.reference == "unknown-proposer"


def test_foresee_stores_what_privacy_says() -> None:
    """The directories are those of PRIVACY.md, but for the keys and their public halves, which `init` makes."""
    rows = re.findall(r"^\| `(\w+/)` \|", (ROOT / "PRIVACY.md").read_text(), re.MULTILINE)
    assert set(foreseeing.STORED) == set(rows) - {"keys/", "public/"}


def plan_of(place: Path, **other: Any) -> Mapping[str, Any]:
    (place / "setup.py").touch()
    state = {"path": str(place), "branch": "", "head": ""}
    return foreseeing.foresee(Box(place / "none"), state, wish(**other), {"PATH": "/usr/bin:/bin"}, None)


@pytest.mark.parametrize(
    ("settings", "environment", "hosts"),
    [
        ({}, {}, {"pypi.org", "files.pythonhosted.org"}),
        ({"index-url": "https://me:secret@pkg.example:8443/simple"}, {}, {"pkg.example"}),
        ({"index-url": "file:///srv/wheels"}, {}, set()),
        ({"no-index": "1", "find-links": "/srv/wheels https://links.example/x"}, {}, {"links.example"}),
        ({"index-url": "https://a.example/s", "extra-index-url": "https://b.example\nhttp://c.example"}, {}, None),
        ({"no-index": "true", "proxy": "me:secret@proxy.example:3128"}, {}, {"proxy.example"}),
        ({"no-index": "yes"}, {"HTTPS_PROXY": "http://proxy.example", "no_proxy": "x"}, {"proxy.example"}),
        ({"index-url": "https://[broken/simple"}, {}, set()),
    ],
)
def test_hosts_are_told_without_credentials(
    settings: dict[str, str], environment: dict[str, str], hosts: set[str] | None
) -> None:
    """Indexes, links and proxies by host; places on this machine are none."""
    found = hosts_of(settings, environment)
    assert set(found) == (hosts if hosts is not None else {"a.example", "b.example", "c.example"})
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    ("settings", "environment", "proxies", "directories"),
    [
        ({}, {}, [], []),
        ({"proxy": "me:secret@proxy.example:3128"}, {}, ["http://proxy.example:3128"], []),
        ({}, {"https_proxy": "https://me:secret@a.example", "ALL_PROXY": "socks5://b.example:1080"},
         ["socks5://b.example:1080", "https://a.example"], []),
        ({"proxy": "http://[broken", "index-url": "file:///srv/a%20b"}, {"http_proxy": ""}, [], ["/srv/a b"]),
        ({"index-url": "https://x.example/s", "find-links": "/srv/wheels ../more https://y.example"}, {}, [],
         ["/srv/wheels", "../more"]),
        ({"no-index": "1", "index-url": "/srv/index", "find-links": "file:/srv/wheels"}, {}, [], ["/srv/wheels"]),
    ],
)  # fmt: skip
def test_proxies_and_directories_are_told_without_credentials(
    settings: dict[str, str], environment: dict[str, str], proxies: list[str], directories: list[str]
) -> None:
    """A proxy by scheme, host and port; a place on this machine by its path."""
    assert (proxies_of(settings, environment), directories_of(settings)) == (proxies, directories)


def test_a_proxy_beside_the_index_is_named_as_both() -> None:
    """One host may be asked for packages and be the way to others."""
    found = hosts_of({"index-url": "https://pkg.example/simple", "proxy": "pkg.example:3128"}, {})
    assert found == {"pkg.example": "package index; proxy"}


def test_every_settings_file_that_a_tool_reads_is_foreseen() -> None:
    """What the readers of settings name is in the list, with what these files name in their turn."""
    assert {*_flake8.FILES, *_pythons.FILES, *_ruffs.NAMES, _settings.FILE, ".codespellrc"} <= set(foreseeing.DATA)
    assert {*_pythons.FILES, *_ruffs.NAMES} <= set(foreseeing.NESTED) <= set(foreseeing.DATA)
    assert all(f"`{name}`" in foreseeing.NAMED for name in ("extend", "ignore-words", "exclude-file"))
