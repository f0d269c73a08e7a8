"""What a repository tells codespell: words, files and patterns to leave alone, read as data and followed by codespell.

A pattern may take for ever, so it is given to codespell itself, in a process of its own and with a time limit. What
codespell then does not report is no finding. Where it cannot answer, there are no findings at all.
"""

from __future__ import annotations

import os
import posixpath
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenroom.tools import _body, _projects
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _projects

TIMEOUT_S = 60
INLINE = "codespell:ignore"
"""What a comment says to codespell; it reads that itself."""
_PASSED = ("builtin", "ignore-regex", "ignore-multiline-regex", "regex", "uri-regex", "ignore-words-list",
           "uri-ignore-words-list")  # fmt: skip
_FLAGS = ("ignore-sic",)
_FILES = ("ignore-words", "exclude-file")
_MAX_VALUE = 20_000
_ENDED = (0, 65)
"""The exit codes of a codespell that read everything: without findings, with findings."""
_LINE = re.compile(r"\./(\d+)\.txt:(\d+): (.+?) ==> ")
_START = "import sys; sys.path.append(sys.argv.pop(1)); from codespell_lib import main; sys.exit(main(*sys.argv[1:]))"

Places = frozenset[tuple[int, str]]
"""Lines, from 1, with a misspelt word in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Words (lower case), path patterns, options for codespell, and the files of the tree that they name."""

    words: frozenset[str] = frozenset()
    skip: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    source: str = ""


def read(root: Path) -> Settings:
    """The settings that codespell finds in `root`; an option that stands in several files counts from the last."""
    words: set[str] = set()
    skip: list[str] = []
    source = []
    merged: dict[str, str] = {}
    for name, options in _candidates(root):
        if not options:
            continue
        source.append(name)
        merged |= options
        words.update(word.lower() for word in _projects.texts(options.get("ignore-words-list")))
        skip.extend(_projects.texts(options.get("skip")))
    files = {key: tuple(filter(_is_inside, _projects.texts(merged.get(key, "")))) for key in _FILES}
    for file in files["ignore-words"]:
        data = _body.read_if_there(root / file, _projects.MAX_BYTES) or b""
        words.update(word.lower() for word in re.findall(r"[A-Za-z'’-]+", data.decode("utf-8", "replace")))
    passed = {key: value for key, value in merged.items() if key in (*_PASSED, *_FLAGS)}
    return Settings(words=frozenset(words), skip=tuple(skip), options=passed, files=files, source=",".join(source))


class Judge:
    """Codespell with the repository's settings of it; `problem` says why it cannot answer, empty while it can."""

    def __init__(self, golden: Path, root: Path, settings: Settings) -> None:
        self._site = golden / "site"
        self._root = root
        self._settings = settings
        self.problem = ""

    def asked(self, text: str) -> bool:
        """True for a text about which codespell may have been told something."""
        return bool(self._settings.source) or INLINE in text

    def notes(self) -> list[Mapping[str, str]]:
        """Why there are no findings, where codespell could not answer."""
        remedy = {
            "codespell-too-slow": f"write ignore-regex so that codespell reads the files in {TIMEOUT_S} seconds",
            "codespell-settings-unusable": "write the settings so that codespell takes them",
        }
        where = self._settings.source or "codespell"
        return [{"rule": self.problem, "where": where, "remedy": remedy[self.problem]}] if self.problem else []

    def reported(self, texts: Mapping[str, str]) -> Mapping[str, Places]:
        """The typos that codespell reports in each text; none in any where it cannot answer."""
        names = list(texts)
        home = _body.scratch()
        try:
            arguments = list(self._arguments(home))
            for number, name in enumerate(names):
                (home / f"{number}.txt").write_bytes(texts[name].encode("utf-8"))
            argv = [sys.executable, "-I", "-B", "-c", _START, str(self._site), "--disable-colors", "--quiet-level=39"]
            env = _body.fixed_env(home)
            ended = _body.program([*argv, *arguments, "."], cwd=home, env=env, timeout_s=TIMEOUT_S)
        finally:
            _body.discard(home)
        found: dict[str, set[tuple[int, str]]] = {name: set() for name in names}
        if ended.timed_out or ended.code not in _ENDED:
            self.problem = "codespell-too-slow" if ended.timed_out or ended.code < 0 else "codespell-settings-unusable"
            return {name: frozenset() for name in names}
        for line in ended.stdout.decode("utf-8", "replace").split("\n"):
            match = _LINE.match(line)
            if match:
                found[names[int(match[1])]].add((int(match[2]), match[3].lower()))
        return {name: frozenset(places) for name, places in found.items()}

    def _arguments(self, home: Path) -> Iterable[str]:
        for key, value in self._settings.options.items():
            yield f"--{key}" if key in _FLAGS else f"--{key}={value}"
        for key, files in self._settings.files.items():
            for number, file in enumerate(files):
                kept = home / f"{key}{number}"
                kept.write_bytes(_body.read_if_there(self._root / file, _projects.MAX_BYTES) or b"")
                yield f"--{key}={kept.name}"
                # codespell reads every file below the directory: its own lists are none of the tree's
                yield f"--skip={kept.name}"


def _candidates(root: Path) -> Iterable[tuple[str, dict[str, str]]]:
    """The settings files in codespell's order, each with its options as texts; switches that are off are left out."""
    plain = _projects.table(_projects.toml(root, "pyproject.toml"), "tool", "codespell")
    found: dict[str, str] = {}
    for key, value in plain.items():
        if isinstance(value, list):
            found[key] = ",".join(item for item in value if isinstance(item, str))
        elif value is True or isinstance(value, str):
            found[key] = value if isinstance(value, str) else ""
    yield "pyproject.toml", _bounded(found)
    for name in ("setup.cfg", ".codespellrc"):
        parser = _projects.ini(root, name)
        section = parser.items("codespell") if parser.has_section("codespell") else ()
        yield name, _bounded({key: value or "" for key, value in section})


def _bounded(options: Mapping[str, str]) -> dict[str, str]:
    return {key.replace("_", "-"): value for key, value in options.items() if len(value) <= _MAX_VALUE}


def _is_inside(path: str) -> bool:
    return not path.startswith(("/", "~")) and ".." not in posixpath.normpath(path).split("/")
