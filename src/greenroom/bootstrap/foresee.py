"""Foresee: what an `improve` would read, fetch, run and store, told without doing any of it.

Nothing is started and nothing is written. What only the tree itself can tell (which packages it needs, what will be
found) is not guessed at: it would have to be parsed between walls.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from greenroom.config import Box
from greenroom.domain.errors import GreenroomError, Unusable
from greenroom.domain.settings import REPOSITORY_FILE
from greenroom.domain.vocabulary import Kind, Subject, address_of

DATA = (
    *("pyproject.toml", "setup.cfg", "setup.py", "PKG-INFO", "tox.ini", "pytest.ini", "requirements*.txt"),
    *(REPOSITORY_FILE, "ruff.toml", ".ruff.toml", ".flake8", ".codespellrc", ".shellcheckrc", "shellcheckrc"),
    *(".gitignore", ".gitattributes", ".editorconfig"),
)
"""Files of a repository that are read as data, by name; none is run."""
NESTED = (
    *("pyproject.toml", "setup.cfg", "setup.py", "PKG-INFO", "ruff.toml", ".ruff.toml"),
    *(".gitignore", ".gitattributes", ".editorconfig", ".shellcheckrc", "shellcheckrc"),
)
"""Those that are read from every directory."""
NAMED = "the files of the tree that ruff's `extend` and codespell's `ignore-words` and `exclude-file` name"
STORED: Mapping[str, str] = {
    "store/": "the imported tree, patches, plans, receipts, outputs of runs, cards; by digest",
    "log/": "entries about the import and each stage: names, rules, times and digests, never content",
    "live/": "one bare git repository of the box's own for this repository, with the imported tree",
    "guard/": "what the guard has adopted, and its last checkpoint",
    "db/": "changes and their state, summaries, the path and branch of the repository",
    "keeper/": "the toolchain, dependencies, scratch directories, which runs were made",
    "run/": "sockets, locks, `processes.log`",
}
"""What an `improve` writes in the box; see PRIVACY.md."""
SUITE = "run_tests_t1"
ONCE = "once for all of them"
SELDOM: Mapping[tuple[str, str], str] = {
    ("own-tests", "own"): "for each proposal whose tests, settings or lines of code are not base's",
    ("own-tests", "base"): "once, where one of a proposal's own tests fails",
}
"""How often a run is made that not every proposal needs, by check and role."""
_RELEASE = "every file below it, as an unpacked source release"


def foresee(
    box: Box, place: Mapping[str, Any], wish: Mapping[str, Any], environment: Mapping[str, str], out: str | None
) -> Mapping[str, Any]:
    """Four lists, and the sandbox: `place` is where the repository stands, `wish` what `improve` was asked for.

    Only the verdict where `improve` would refuse the directory. Raises Unusable `unknown-proposer`.
    """
    names = _proposers(wish["only"])
    refused = _refused(place)
    if refused is not None:
        return {"dry_run": True, "verdict": refused}
    command = wish["test_command"]
    if command is None:
        command = _kept_command(box, Subject(kind=Kind.WORKSPACE, address=address_of(place["path"], place["branch"])))
    return {
        "dry_run": True,
        "verdict": {"is": "passed"},
        "box": {"path": str(box.root), "there": box.identity.is_file()},
        "sandbox": _sandbox(),
        "reads": _reads(place),
        "fetches": _fetches(environment),
        "runs": list(_runs(names, wish, command)),
        "stores": _stores(box, wish, out),
    }


def _refused(place: Mapping[str, Any]) -> Mapping[str, str] | None:
    """What `improve` would answer to a directory that is neither a repository nor a release."""
    from greenroom.keeper.bring import NO_GIT, RELEASE_FILES

    there = place["branch"] or any(os.path.isfile(os.path.join(place["path"], name)) for name in RELEASE_FILES)
    return None if there else {"is": "refused", "rule": "not-a-repository", "where": place["path"], "remedy": NO_GIT}


def _proposers(only: Sequence[str]) -> Sequence[str]:
    from greenroom.agents.proposers import loader

    unknown = sorted(set(only) - set(loader.available()))
    if unknown:
        remedy = f"one of: {', '.join(loader.available())}"
        raise Unusable("unknown-proposer", f"no proposer {unknown[0]!r}", remedy=remedy)
    return sorted(only) or loader.by_default()


def _sandbox() -> Mapping[str, Any]:
    from greenroom.bootstrap.parts import sandbox_user
    from greenroom.sandbox.available import lack

    uid, gid = sandbox_user()
    found = lack(user=(uid, gid) if uid is not None and gid is not None else None)
    if found is None:
        return {"available": True, "setting": "", "remedy": ""}
    return {"available": False, "setting": found.setting, "remedy": found.remedy}


def _reads(place: Mapping[str, Any]) -> list[Mapping[str, str]]:
    what = f"the commit {place['head'][:12]} of {place['branch']}, from its objects" if place["branch"] else _RELEASE
    return [
        {"where": place["path"], "what": what},
        {"where": place["path"], "what": f"as data, where they are there: {', '.join(DATA)}"},
        {"where": place["path"], "what": f"as data, from directories below too: {', '.join(NESTED)}"},
        {"where": place["path"], "what": f"as data: {NAMED}"},
        {"where": "pip's configuration", "what": "indexes, proxies and certificates, as `pip config list` shows them"},
    ]


def _fetches(environment: Mapping[str, str]) -> Mapping[str, Any]:
    from greenroom.brokers.fetch import Fetcher
    from greenroom.brokers.hosts import directories_of, hosts_of, proxies_of
    from greenroom.brokers.settings import read_settings

    why = "wheels of what the project and its tests require, where the box has them not yet; no other file leaves"
    argv = Fetcher(python=platform.python_version(), environment=environment).words(Path("LIST"), Path("DIR"))
    settings: Mapping[str, str] = {}
    hosts, problem = {}, ""
    try:
        settings = read_settings(environment)
        hosts = dict(hosts_of(settings, environment))
    except (GreenroomError, OSError) as error:
        problem = str(error)
    through = {"proxies": proxies_of(settings, environment), "directories": directories_of(settings)}
    return {"hosts": hosts, **through, "problem": problem, "what": why, "argv": argv}


def _runs(names: Sequence[str], wish: Mapping[str, Any], command: str) -> Iterator[Mapping[str, Any]]:
    """Every run between walls, in order; a run that was made for the same trees and toolchain is not made again."""
    from greenroom.keeper.bring import IMPORT_TOOL
    from greenroom.keeper.prepare import FIND, INSTALL
    from greenroom.pipeline.settings import TOOL

    yield _run(IMPORT_TOOL, "", "once, for a git repository")
    yield _run(TOOL, "", "once, where the repository has a greenroom.toml")
    for name in names:
        yield _run("codegen_t0", f"generator={name}", "once")
    most = wish["max"]
    if not most:
        return
    yield _run(FIND, "", "once")
    yield _run(INSTALL, "", "once, where something is required")
    each = f"for each of at most {most} proposals"
    yield _run("apply_patch_t1", "", f"{each}: rehearsed and applied, in two builds")
    suite = f"argv={command}" if command else "argv: pytest or unittest, as the tree's own settings say"
    for check, role, tool in _checks():
        tests = tool == SUITE
        often = SELDOM.get((check, role)) or (ONCE if tests and role == "base" else each)
        yield _run(tool, f"{check}, {role}" + (f"; {suite}" if tests else ""), often)
    yield _run(SUITE, f"again on both; {suite}", f"{each}, where a test comes out different")


def _checks() -> Iterator[tuple[str, str, str]]:
    """Check, role and tool of every run that verifies a change; what runs only on live is left out."""
    from greenroom.evaluation.verify import ASKS

    for check, ask in ASKS.items():
        if check != "live-tests":
            yield from ((check, role, ask.tool) for role in ask.mounts)


def _run(tool: str, what: str, often: str) -> Mapping[str, Any]:
    from greenroom.keeper.runs import words_of

    return {"tool": tool, "argv": list(words_of(tool)), "what": what, "often": often}


def _stores(box: Box, wish: Mapping[str, Any], out: str | None) -> list[Mapping[str, str]]:
    found: list[Mapping[str, str]] = [{"where": str(box.root / name), "what": what} for name, what in STORED.items()]
    if wish["test_command"] is not None:
        found.append({"where": str(box.root / "db/"), "what": "the test command for this repository"})
    if out is not None:
        found.append({"where": os.path.realpath(out), "what": "a card (Markdown, JSON) and a patch for each proposal"})
    return found


def _kept_command(box: Box, subject: Subject) -> str:
    """The test command that a person set before, read from a copy of the box's database."""
    from greenroom.bootstrap.foreign import private_copy

    database = box.db / "box.db"
    query = "SELECT value FROM settings WHERE subject = ? AND name = 'test-command'"
    with contextlib.suppress(OSError, sqlite3.Error, shutil.Error, GreenroomError):
        if database.is_file():
            with private_copy(database) as copy, contextlib.closing(sqlite3.connect(copy)) as connection:
                row = connection.execute(query, (str(subject),)).fetchone()
                return str(row[0]) if row else ""
    return ""
