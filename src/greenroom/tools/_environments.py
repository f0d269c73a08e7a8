"""What a project's test environments are given: tox, nox, and requirements files, each read as data.

Lines are read as pip and tox read them. Extras and groups of the project that an environment names are looked up in
its metadata. What is not understood is left out; what was named and cannot be found becomes a note.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import configparser

    from greenroom.tools import _formats, _needs
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _formats
    import _needs

MAX_NESTING = 5
MAX_NAMED = 50
_FACTOR = re.compile(r"py\d*|pypy\d*|\d\.\d{1,2}|(?:unit|py)?_?tests?\w*|unit\w*")
"""What part of an environment's name says that tests run in it: a Python, or the word."""
_CONDITION = re.compile(r"^!?[A-Za-z0-9_.,!{}-]{1,80}:\s+")
_ELSEWHERE = re.compile(r"\{\[([^\]{}]{1,100})\]([A-Za-z_]{1,40})\}")
_OWN = re.compile(r"""(?:-e\s*|--editable[= ]\s*)?["']?(\.|[A-Za-z0-9][A-Za-z0-9._-]{0,99})/?\[([^\]]{0,200})\]["']?""")


def read_tox_ini(findings: _needs.Findings) -> None:
    """tox.ini."""
    take_tox_ini(findings, findings.read("tox.ini"), "tox.ini")


def read_tox_of_setup_cfg(findings: _needs.Findings) -> None:
    """The environments of tox that stand in setup.cfg."""
    take_tox_ini(findings, findings.read("setup.cfg"), "setup.cfg")


def read_tox_of_pyproject(findings: _needs.Findings) -> None:
    """Both forms of pyproject.toml: tox.ini as a text, and tables."""
    tox = _needs.table(_needs.table(_formats.toml(findings.read("pyproject.toml") or ""), "tool"), "tox")
    text = tox.get("legacy_tox_ini")
    take_tox_ini(findings, text if isinstance(text, str) else None, "pyproject.toml")
    take_tox_tables(findings, tox, "pyproject.toml")


def read_tox_toml(findings: _needs.Findings) -> None:
    """tox.toml."""
    take_tox_tables(findings, _formats.toml(findings.read("tox.toml") or ""), "tox.toml")


def take_tox_ini(findings: _needs.Findings, text: str | None, file: str) -> None:
    """The sections [testenv] and those of environments for tests: deps, extras, dependency_groups."""
    config = _needs.parse_ini(text)
    if config is None:
        return
    taken = 0
    for name in config.sections():
        plain, colon, environment = name.partition(":")
        if plain == "testenv" and (not colon or for_tests(environment)) and taken < _needs.MAX_PLACES:
            taken += 1
            source = f"{file}:{name}"[:100]
            entries = tuple(option_lines(config, name, "deps", set()))
            take_option_lines(findings, entries, source, 0)
            take_named(findings, "extra", words(option_lines(config, name, "extras", set())), source)
            take_named(findings, "group", words(option_lines(config, name, "dependency_groups", set())), source)


def option_lines(
    config: configparser.RawConfigParser, section: str, key: str, seen: set[tuple[str, str]]
) -> Iterator[str]:
    """The lines of an option without their conditions; each option that one of them stands for is followed once."""
    if (section, key) in seen or len(seen) >= MAX_NAMED:
        return
    seen.add((section, key))
    for line in _needs.lines(config.get(section, key, fallback="")):
        entry = _CONDITION.sub("", line)
        elsewhere = _ELSEWHERE.fullmatch(entry)
        if elsewhere:
            yield from option_lines(config, elsewhere[1], elsewhere[2], seen)
        else:
            yield entry


def take_tox_tables(findings: _needs.Findings, tox: _needs.Table, file: str) -> None:
    """The tables `env_run_base` and `env.NAME` of tox's own TOML form."""
    environments = [("env_run_base", _needs.table(tox, "env_run_base"))]
    named = _needs.table(tox, "env")
    environments += [(f"env.{name}", _needs.table(named, name)) for name in named if for_tests(name)]
    for name, environment in environments:
        source = f"{file}:{name}"[:100]
        listed = {key: _needs.as_list(environment.get(key)) for key in ("deps", "extras", "dependency_groups")}
        if any(not isinstance(item, str) for values in listed.values() for item in values):
            findings.note(f"{source}: what stands for a value elsewhere is not followed")
        texts = {key: [item for item in values if isinstance(item, str)] for key, values in listed.items()}
        take_option_lines(findings, texts["deps"], source, 0)
        take_named(findings, "extra", texts["extras"], source)
        take_named(findings, "group", texts["dependency_groups"], source)


def for_tests(environment: str) -> bool:
    """True for an environment of tox that tests run in, by the parts of its name; `{py39,py311}` is several."""
    return any(_FACTOR.fullmatch(factor) for factor in re.split(r"[-{},\s]+", environment[:200]))


def words(entries: Iterable[str]) -> list[str]:
    """Names parted by commas or spaces."""
    return [word for entry in entries for word in re.split(r"[,\s]+", entry) if word]


def take_named(findings: _needs.Findings, kind: str, names: Iterable[str], source: str) -> None:
    """Extras or groups of the project that an environment names."""
    known = findings.table(kind)
    for name in list(names)[:MAX_NAMED]:
        if _needs.canonical(name) in known:
            findings.add(_needs.expand(findings, kind, name), f"{source}, {kind} {name}"[:100], False)
        else:
            findings.note(f"{source}: no {kind} is named {name[:80]!r}")


def take_option_lines(
    findings: _needs.Findings, entries: Iterable[str], source: str, nesting: int, *, folder: str = ""
) -> None:
    """Lines as pip reads them: requirements, `-r FILE`, the project itself with extras; other options are left out."""
    texts = []
    for entry in entries:
        option = re.match(r"(?:-r|--requirement|-c|--constraint)[= ]?\s*(\S+)", entry)
        own = _OWN.fullmatch(entry)
        if own and (own[1] == "." or _needs.canonical(own[1]) == _needs.canonical(findings.project["name"])):
            take_named(findings, "extra", words([own[2]]), source)
        elif option and not entry.startswith(("-c", "--c")) and nesting < MAX_NESTING:
            read_requirement_file(findings, os.path.normpath(os.path.join(folder, option[1])), source, nesting + 1)
        elif not entry.startswith("-") and "{" not in entry and not entry.startswith((".", "/")):
            first, *rest = entry.split() or [""]
            kept = " ".join([first, *(word for word in rest if not word.startswith("--hash="))])
            texts.append(kept.removesuffix("\\").rstrip())
    findings.add(texts, source, False)


def read_requirement_file(
    findings: _needs.Findings, path: str, source: str, nesting: int, *, needed: bool = False
) -> None:
    """One requirements file of the tree, once."""
    if path.startswith(("..", "/")):
        findings.note(f"{source}: a requirements file outside the tree is not read")
        return
    text = None if path in findings.seen else findings.read(*path.split("/"))
    if text is None:
        return
    findings.seen.add(path)
    entries = [re.split(r"\s#", entry)[0] for entry in _needs.lines(text.replace("\\\n", " "))]
    if needed:
        findings.add([e for e in entries if not e.startswith("-")], path[:100], True)
    take_option_lines(findings, entries, path[:100], nesting, folder=os.path.dirname(path))


def read_nox(findings: _needs.Findings) -> None:
    """noxfile.py by its syntax tree: what session.install is given in functions named for tests.

    Understood are literals, names of the module that are bound to literals, and the groups of pyproject.toml.
    """
    text = findings.read("noxfile.py")
    if text is None:
        return
    module = ast.parse(text)
    names = _needs.literals(module)
    functions = (node for node in module.body if isinstance(node, ast.FunctionDef))
    sessions = [node for node in functions if re.search(r"test|unit|coverage", node.name)]
    calls = ((node.name, call) for node in sessions for call in ast.walk(node) if isinstance(call, ast.Call))
    installs = [(name, call) for name, call in calls if getattr(call.func, "attr", "") == "install"]
    for name, call in installs[: _needs.MAX_PLACES]:
        take_install_call(findings, call, names, f"noxfile.py:{name}"[:100])


def take_install_call(findings: _needs.Findings, call: ast.Call, names: _needs.Table, source: str) -> None:
    """The arguments of one session.install(...)."""
    given: list[str] = []
    for argument in call.args:
        inner = argument.value if isinstance(argument, ast.Starred) else argument
        if isinstance(inner, ast.Call) and getattr(inner.func, "attr", "") == "dependency_groups":
            take_named(findings, "group", _texts([_needs.literal(each, names) for each in inner.args[1:]]), source)
            continue
        value = _needs.literal(inner, names)
        if value is None:
            findings.note(f"{source}: not understood: {ast.unparse(argument)[:80]!r}")
        given += _texts(value)
    entries, at = list[str](), 0
    while at < len(given):
        if given[at] in ("-r", "--requirement", "-c", "--constraint", "-e", "--editable") and at + 1 < len(given):
            entries.append(" ".join(shlex.quote(word) for word in given[at : at + 2]))
            at += 1
        else:
            entries.append(given[at])
        at += 1
    take_option_lines(findings, entries, source, 0)


def _texts(value: Any) -> list[str]:
    return [item for item in _needs.as_list(value) if isinstance(item, str)]


def read_requirement_files(findings: _needs.Findings, has_metadata: bool, has_tests: bool) -> None:
    """requirements*.txt and test-requirements.txt, at the root and in requirements/; those for tests first.

    Without metadata the plain ones are what the project runs on. Those of developers, and plain ones, help tests only
    where no other source does; a note says which were not read.
    """
    candidates = []
    for folder in ("", "requirements", "tests", "test"):
        place = os.path.join(findings.root, folder)
        if os.path.isdir(place) and not os.path.islink(place):
            candidates += sorted(f"{folder}/{n}".lstrip("/") for n in os.listdir(place) if is_list(folder, n))
    for_tests = [path for path in candidates if re.search(r"test|pytest", os.path.basename(path))]
    in_tests = [path for path in candidates if path.startswith(("tests/", "test/"))]
    for_developers = [path for path in candidates if re.search(r"dev|ci\b", os.path.basename(path))]
    if not has_metadata:
        for path in candidates:
            if os.path.basename(path) in ("requirements.txt", "base.txt"):
                read_requirement_file(findings, path, path, 0, needed=True)
    plain = [path for path in candidates if path == "requirements.txt"]
    chosen = for_tests or in_tests or ([] if has_tests else for_developers or plain)
    for path in chosen:
        read_requirement_file(findings, path, path, 0)
    left = [path for path in (*for_developers, *plain) if path not in chosen and (has_metadata or path not in plain)]
    if left:
        findings.note(f"not read, since tests have sources of their own: {', '.join(left[:5])}")


def is_list(folder: str, name: str) -> bool:
    """True for the name of a requirements file."""
    return name.endswith(".txt") and ("requirement" in name or folder == "requirements")
