"""Finds what a project says it needs, read as data; executes nothing of what it reads.

Mount `base`: the tree. Result: {"project": {"name", "version", "entry_points"} or null, "python": requires-python,
"requirements": [{"text", "source", "needed"}], "sources": {source: count}, "notes": [...]}.

`needed` is what the project itself runs on; the rest (test extras, groups, tox, nox, requirements files) helps its
tests. Sources named for tests are preferred: those named for developers count only where no test source exists.
"""

from __future__ import annotations

import ast
import configparser
import os
import re
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body

MAX_FILE_BYTES = 1024 * 1024
MAX_REQUIREMENTS = 300
MAX_TEXT = 500
MAX_NESTING = 5
TEST_NAMES = ("test", "tests", "testing", "unittest", "pytest", "test-dependencies", "tests-require")
DEV_NAMES = ("dev", "develop", "development", "all", "ci")
ONLY_FOR_DEVELOPERS = frozenset(
    {
        "black",
        "build",
        "bump2version",
        "check-manifest",
        "codespell",
        "flake8",
        "furo",
        "isort",
        "mypy",
        "nox",
        "pre-commit",
        "pycodestyle",
        "pylint",
        "pyrefly",
        "pyright",
        "ruff",
        "sphinx",
        "sphinx-rtd-theme",
        "tox",
        "twine",
        "ty",
        "wheel",
    }
)
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
SHUFFLERS = frozenset({"pytest-randomly", "pytest-random-order", "pytest-reverse"})
Table = dict[str, Any]
EXTRA_MARKER = re.compile(r"""\(?\s*extra\s*==\s*["']([^"']{1,100})["']\s*\)?""")


class Findings:
    """Requirements in the order found, each text once; the first source that names one wins."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.found: dict[str, tuple[str, bool]] = {}
        self.notes: list[str] = []
        self.project: Table = {"name": "", "version": "", "entry_points": {}}
        self.python = ""
        self.extras: Table = {}
        self.groups: Table = {}

    def add(self, texts: object, source: str, needed: bool) -> None:
        """Take `texts`, if they are plain requirements; anything else becomes a note."""
        for text in texts if isinstance(texts, (list, tuple)) else ():
            if not isinstance(text, str):
                continue
            clean = " ".join(text.split("#")[0].split() if " #" in text else text.split())
            if not clean:
                continue
            if len(clean) > MAX_TEXT or not clean.isprintable() or not NAME.match(clean) or "://" in clean:
                self.note(f"{source}: left out, not a plain requirement: {clean[:120]!r}")
            elif len(self.found) >= MAX_REQUIREMENTS:
                self.note(f"more than {MAX_REQUIREMENTS} requirements: the rest is left out")
                return
            else:
                earlier = self.found.get(clean)
                self.found[clean] = (earlier[0] if earlier else source, needed or bool(earlier and earlier[1]))

    def note(self, text: str) -> None:
        """Remember a note once, bounded."""
        if len(self.notes) < 50 and text not in self.notes:
            self.notes.append(text[:300])

    def read(self, *parts: str) -> str | None:
        """The text of a regular file of the tree, or None; links and oversized files are not read."""
        path = os.path.join(self.root, *parts)
        inside = os.path.realpath(path)
        if inside != os.path.realpath(self.root) + "/" + os.path.join(*parts) or not os.path.isfile(inside):
            return None
        if os.path.getsize(inside) > MAX_FILE_BYTES:
            self.note(f"{'/'.join(parts)}: larger than {MAX_FILE_BYTES} bytes, not read")
            return None
        with open(inside, encoding="utf-8", errors="replace") as file:
            return file.read()


def run(request: _body.Request) -> Mapping[str, Any]:
    """The result document for the tree at `base`."""
    return find(str(request.mount("base")))


def find(root: str) -> dict[str, Any]:
    """The result document for the tree at `root`."""
    findings = Findings(root)
    for reader in (read_pyproject, read_setup_cfg, read_setup_py, read_pkg_info):
        guarded(findings, reader)
    has_metadata = bool(findings.project["name"])
    chosen = choose_extras(findings)
    if not chosen:
        for reader in (read_tox, read_nox):
            guarded(findings, reader)
    guarded(findings, lambda f: read_requirement_files(f, has_metadata, chosen))
    return result(findings)


def guarded(findings: Findings, reader: Callable[[Findings], None]) -> None:
    """Run one reader; what a malformed file raises becomes a note."""
    try:
        reader(findings)
    except (ValueError, SyntaxError, configparser.Error, RecursionError, MemoryError, OSError) as error:
        findings.note(f"{getattr(reader, '__name__', 'reader')}: {type(error).__name__}: {str(error)[:150]}")


def result(findings: Findings) -> dict[str, Any]:
    """The result document, without what only developers use and without the project itself."""
    own = canonical(findings.project["name"])
    requirements: list[Table] = []
    sources: dict[str, int] = {}
    for text, (source, needed) in findings.found.items():
        name = canonical(name_of(text))
        if name == own or (not needed and name in ONLY_FOR_DEVELOPERS):
            continue
        if name in SHUFFLERS:
            findings.note(f"{source}: {name} is left out, since every run of a suite has to be the same")
            continue
        requirements.append({"text": text, "source": source, "needed": needed})
        sources[source] = sources.get(source, 0) + 1
    return {
        "project": findings.project if findings.project["name"] else None,
        "python": findings.python,
        "requirements": requirements,
        "sources": sources,
        "notes": findings.notes,
    }


def canonical(name: str) -> str:
    """A distribution's name as PEP 503 normalises it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(text: str) -> str:
    """The distribution that a requirement names; empty when it names none."""
    found = NAME.match(text)
    return found[0] if found else ""


def choose_extras(findings: Findings) -> bool:
    """Add the extras and groups named for tests, else those named for developers; True when a test source was."""
    for names, is_test in ((TEST_NAMES, True), (DEV_NAMES, False)):
        taken = False
        for table, kind in ((findings.extras, "extra"), (findings.groups, "group")):
            for name in sorted(table):
                if canonical(name) in names:
                    findings.add(expand(findings, table, name, set()), f"{kind}:{name}"[:100], False)
                    taken = taken or bool(table[name])
        if taken:
            return is_test
    return False


def expand(findings: Findings, table: Table, name: str, seen: set[tuple[int, str]]) -> list[Any]:
    """The requirements of an extra or group, with `{include-group}` and `project[extra]` followed."""
    if (id(table), canonical(name)) in seen:
        return []
    seen.add((id(table), canonical(name)))
    own, texts = canonical(findings.project["name"]), list[Any]()
    for item in next((v for k, v in table.items() if canonical(k) == canonical(name)), []):
        if isinstance(item, dict):
            texts += expand(findings, findings.groups, str(item.get("include-group", "")), seen)
        elif isinstance(item, str) and own and "[" in item and canonical(item.partition("[")[0].strip()) == own:
            for extra in item.partition("[")[2].partition("]")[0].split(","):
                texts += expand(findings, findings.extras, extra.strip(), seen)
        else:
            texts.append(item)
    return texts


def identify(findings: Findings, name: object, version: object, entry_points: object) -> None:
    """Note the project's own name, version and entry points; what is known already stays."""
    project = findings.project
    if isinstance(name, str) and NAME.fullmatch(name) and not project["name"]:
        project["name"] = name
    if isinstance(version, str) and re.fullmatch(r"[0-9A-Za-z.!+_-]{1,80}", version) and not project["version"]:
        project["version"] = version
    for group, points in entry_points.items() if isinstance(entry_points, dict) else ():
        kept = (
            {str(k)[:100]: v[:200] for k, v in points.items() if isinstance(v, str)} if isinstance(points, dict) else {}
        )
        if kept and len(project["entry_points"]) < 20:
            project["entry_points"].setdefault(str(group)[:100], dict(list(kept.items())[:100]))


def read_pyproject(findings: Findings) -> None:
    """PEP 621 metadata, PEP 735 groups, and the tables of poetry, hatch, pdm and uv."""
    text = findings.read("pyproject.toml")
    if text is None:
        return
    data = tomllib.loads(text)
    project, tool = table(data, "project"), table(data, "tool")
    points = {**table(project, "entry-points")}
    if table(project, "scripts"):
        points["console_scripts"] = table(project, "scripts")
    identify(findings, project.get("name"), project.get("version"), points)
    findings.python = findings.python or str(project.get("requires-python", ""))[:100]
    findings.add(project.get("dependencies"), "project", True)
    findings.extras |= {k: v for k, v in table(project, "optional-dependencies").items() if isinstance(v, list)}
    findings.groups |= {k: v for k, v in table(data, "dependency-groups").items() if isinstance(v, list)}
    for name, environment in table(table(tool, "hatch"), "envs").items():
        if isinstance(environment, dict):
            extra = environment.get("extra-dependencies", [])
            listed = list(environment.get("dependencies", [])) + (list(extra) if isinstance(extra, list) else [])
            findings.groups.setdefault("test" if name == "hatch-test" else name, listed)
    for name, listed in table(table(tool, "pdm"), "dev-dependencies").items():
        findings.groups.setdefault(name, listed if isinstance(listed, list) else [])
    uv = table(tool, "uv").get("dev-dependencies")
    if isinstance(uv, list):
        findings.groups.setdefault("dev", uv)
    read_poetry(findings, table(tool, "poetry"))


def table(data: object, name: str) -> Table:
    """The member `name` if it is a table, else an empty one."""
    value = data.get(name) if isinstance(data, dict) else None
    return value if isinstance(value, dict) else {}


def read_poetry(findings: Findings, poetry: Table) -> None:
    """Poetry's own tables; its caret and tilde ranges as PEP 440."""
    if not poetry:
        return
    identify(findings, poetry.get("name"), poetry.get("version"), table(poetry, "plugins"))
    main = table(poetry, "dependencies")
    if isinstance(main.get("python"), str) and not findings.python:
        findings.python = poetry_range(main["python"])[:100]
    optional = {k for k, v in main.items() if isinstance(v, dict) and v.get("optional")}
    plain = {k: v for k, v in main.items() if k != "python"}
    findings.add([poetry_text(k, v) for k, v in plain.items() if k not in optional], "poetry", True)
    for extra, names in table(poetry, "extras").items():
        listed = [poetry_text(n, main[n]) for n in names if n in main] if isinstance(names, list) else []
        findings.extras.setdefault(extra, listed)
    groups = {k: table(v, "dependencies") for k, v in table(poetry, "group").items()}
    groups.setdefault("dev", table(poetry, "dev-dependencies"))
    for name, members in groups.items():
        findings.groups.setdefault(name, [poetry_text(k, v) for k, v in members.items()])


def poetry_text(name: str, value: Any) -> str:
    """One poetry dependency as a PEP 508 requirement."""
    if isinstance(value, list):
        value = value[0] if value else "*"
    if isinstance(value, dict):
        if not isinstance(value.get("version"), str):
            return f"{name} @ unknown://"
        extras = ",".join(e for e in value.get("extras", []) if isinstance(e, str))
        marker = value.get("markers")
        text = name + (f"[{extras}]" if extras else "") + poetry_range(value["version"])
        return text + (f"; {marker}" if isinstance(marker, str) else "")
    return name + poetry_range(value if isinstance(value, str) else "*")


def poetry_range(text: str) -> str:
    """`^1.2`, `~1.2`, `1.2`, `*` as PEP 440 specifiers."""
    parts: list[str] = []
    for part in text.split("||")[0].split(","):
        part = part.strip()
        numbers = [int(n) for n in re.findall(r"\d{1,9}", part.split("-")[0])][:4]
        if part.startswith(("^", "~")) and not part.startswith("~=") and numbers:
            at = (
                next((i for i, n in enumerate(numbers) if n), len(numbers) - 1)
                if part[0] == "^"
                else min(1, len(numbers) - 1)
            )
            top = [*numbers[:at], numbers[at] + 1]
            parts += [">=" + ".".join(map(str, numbers)), "<" + ".".join(map(str, top))]
        elif part and part != "*":
            parts.append(part if part[0] in "<>=!~" else "==" + part)
    return ",".join(parts)


def read_setup_cfg(findings: Findings) -> None:
    """setup.cfg: metadata, install_requires, tests_require, extras_require, entry points."""
    config = parse_ini(findings.read("setup.cfg"))
    if config is None:
        return
    version = config.get("metadata", "version", fallback="")
    points = {group: pairs(lines(value)) for group, value in section(config, "options.entry_points").items()}
    identify(findings, config.get("metadata", "name", fallback=None), None if ":" in version else version, points)
    findings.python = findings.python or config.get("options", "python_requires", fallback="")[:100]
    findings.add(lines(config.get("options", "install_requires", fallback="")), "setup.cfg", True)
    tests = lines(config.get("options", "tests_require", fallback=""))
    if tests:
        findings.extras.setdefault("tests-require", tests)
    for name, value in section(config, "options.extras_require").items():
        findings.extras.setdefault(name, lines(value))


def parse_ini(text: str | None) -> configparser.RawConfigParser | None:
    """An INI file without interpolation, or None when there is none."""
    if text is None:
        return None
    config = configparser.RawConfigParser(strict=False, delimiters=("=",), allow_no_value=True)
    config.optionxform = str  # type: ignore[method-assign, assignment] # the documented way to keep the case
    config.read_string(text)
    return config


def section(config: configparser.RawConfigParser, name: str) -> dict[str, str]:
    """A section as a dict of texts; empty when it is not there."""
    return {k: v or "" for k, v in config.items(name)} if config.has_section(name) else {}


def lines(text: str | None) -> list[str]:
    """The lines that say something."""
    return [line.strip() for line in (text or "").splitlines() if line.strip() and not line.strip().startswith("#")]


def pairs(entries: Iterable[str]) -> dict[str, str]:
    """`name = value` lines as a dict."""
    split = (entry.partition("=") for entry in entries)
    return {name.strip(): value.strip() for name, equals, value in split if equals}


def read_setup_py(findings: Findings) -> None:
    """The call of setup() in setup.py, by its syntax tree: literals, and names bound to literals."""
    text = findings.read("setup.py")
    if text is None:
        return
    module = ast.parse(text)
    names: dict[str, Any] = {}
    for node in module.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = literal(node.value, names)
            if value is not None:
                names[node.targets[0].id] = value
    for call in ast.walk(module):
        if isinstance(call, ast.Call) and getattr(call.func, "id", getattr(call.func, "attr", "")) == "setup":
            take_setup_call(findings, {k.arg: literal(k.value, names) for k in call.keywords if k.arg}, "setup.py")


def take_setup_call(findings: Findings, given: Mapping[str, Any], source: str) -> None:
    """Use the keyword arguments of a setup() call that are literals."""
    points = given.get("entry_points")
    points = (
        {g: pairs(v if isinstance(v, list) else lines(v)) for g, v in points.items()}
        if isinstance(points, dict)
        else {}
    )
    identify(findings, given.get("name"), given.get("version"), points)
    if isinstance(given.get("python_requires"), str):
        findings.python = findings.python or given["python_requires"][:100]
    findings.add(as_list(given.get("install_requires")), source, True)
    if given.get("tests_require"):
        findings.extras.setdefault("tests-require", as_list(given["tests_require"]))
    extras = given.get("extras_require")
    for name, listed in extras.items() if isinstance(extras, dict) else ():
        findings.extras.setdefault(str(name), as_list(listed))


def as_list(value: object) -> list[Any]:
    """A list of requirements, from a list or from lines of text."""
    return lines(value) if isinstance(value, str) else list(value) if isinstance(value, (list, tuple)) else []


def literal(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """The value of a literal expression, of a known name, or of a sum of lists; None when it is neither."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = literal(node.left, names), literal(node.right, names)
        if isinstance(left, list) and isinstance(right, list):
            return left + right
        return left + right if isinstance(left, str) and isinstance(right, str) else None
    if isinstance(node, (ast.List, ast.Tuple)):
        values = [literal(item, names) for item in node.elts if not isinstance(item, ast.Starred)]
        return [value for value in values if value is not None]
    if isinstance(node, ast.Dict):
        items = ((literal(k, names), literal(v, names)) for k, v in zip(node.keys, node.values, strict=True) if k)
        return {k: v for k, v in items if isinstance(k, str) and v is not None}
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def read_pkg_info(findings: Findings) -> None:
    """PKG-INFO of a source release (core metadata): name, version, Requires-Dist with and without extras."""
    text = findings.read("PKG-INFO")
    if text is None:
        return
    fields = []
    for line in text.splitlines():
        if not line.strip():
            break
        key, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            fields.append((key.lower(), value.strip()))
    identify(findings, dict(fields).get("name"), dict(fields).get("version"), {})
    findings.project["version"] = dict(fields).get("version", "")[:80] or findings.project["version"]
    findings.python = findings.python or dict(fields).get("requires-python", "")[:100]
    declared = dict(findings.extras)
    for value in (value for key, value in fields if key == "requires-dist"):
        requirement, semicolon, marker = value.partition(";")
        extra = EXTRA_MARKER.search(marker) if semicolon else None
        if extra is None:
            known = {canonical(name_of(text)) for text, (_, needed) in findings.found.items() if needed}
            findings.add([value] if canonical(name_of(value)) not in known else [], "PKG-INFO", True)
        elif extra[1] not in declared:
            rest = re.sub(r"^\s*and\s+|\s+and\s*$", "", EXTRA_MARKER.sub("", marker)).strip()
            findings.extras.setdefault(extra[1], []).append(requirement.strip() + (f"; {rest}" if rest else ""))


def read_tox(findings: Findings) -> None:
    """tox.ini (or the [tox] part of setup.cfg): deps of [testenv] and of environments for tests."""
    config = parse_ini(findings.read("tox.ini"))
    if config is None:
        return
    for name in config.sections():
        if name == "testenv" or re.fullmatch(r"testenv:(py\d*|tests?|unit).{0,40}", name):
            take_option_lines(
                findings, lines(config.get(name, "deps", fallback="")), f"tox.ini:{name}", 0, factors=True
            )


def take_option_lines(
    findings: Findings, entries: Iterable[str], source: str, nesting: int, *, factors: bool = False, folder: str = ""
) -> None:
    """Lines as pip and tox read them: requirements, `-r FILE`; other options are left out."""
    texts = []
    for entry in entries:
        if factors:
            entry = re.sub(r"^!?[A-Za-z0-9_.,!{}-]{1,80}:\s+", "", entry)
        option = re.match(r"(?:-r|--requirement|-c|--constraint)[= ]?\s*(\S+)", entry)
        if option and not entry.startswith(("-c", "--c")) and nesting < MAX_NESTING:
            read_requirement_file(findings, os.path.normpath(os.path.join(folder, option[1])), source, nesting + 1)
        elif not entry.startswith("-") and "{" not in entry and not entry.startswith((".", "/")):
            texts.append(re.sub(r"\s+--hash=\S+|\s*\\$", "", entry))
    findings.add(texts, source, False)


def read_requirement_file(findings: Findings, path: str, source: str, nesting: int, *, needed: bool = False) -> None:
    """One requirements file of the tree."""
    if path.startswith(("..", "/")):
        findings.note(f"{source}: a requirements file outside the tree is not read")
        return
    text = findings.read(*path.split("/"))
    if text is None:
        return
    entries = [re.split(r"\s#", entry)[0] for entry in lines(text.replace("\\\n", " "))]
    if needed:
        findings.add([e for e in entries if not e.startswith("-")], path[:100], True)
    take_option_lines(findings, entries, path[:100], nesting, folder=os.path.dirname(path))


def read_nox(findings: Findings) -> None:
    """noxfile.py by its syntax tree: literal arguments of session.install in functions named for tests."""
    text = findings.read("noxfile.py")
    if text is None:
        return
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and re.search(r"test|unit|coverage", node.name):
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "install":
                    take_install_call(findings, call, node.name)


def take_install_call(findings: Findings, call: ast.Call, session: str) -> None:
    """The arguments of one session.install(...)."""
    words = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    entries, at = list[str](), 0
    while at < len(words):
        if words[at] in ("-r", "--requirement", "-c", "--constraint", "-e", "--editable") and at + 1 < len(words):
            entries.append(" ".join(shlex.quote(word) for word in words[at : at + 2]))
            at += 1
        else:
            entries.append(words[at])
        at += 1
    take_option_lines(findings, entries, f"noxfile.py:{session}"[:100], 0)


def read_requirement_files(findings: Findings, has_metadata: bool, has_tests: bool) -> None:
    """requirements*.txt and test-requirements.txt, at the root and in requirements/; those for tests first."""
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
    if not has_tests:
        for path in for_tests or in_tests or for_developers or plain:
            read_requirement_file(findings, path, path, 0)


def is_list(folder: str, name: str) -> bool:
    """True for the name of a requirements file."""
    return name.endswith(".txt") and ("requirement" in name or folder == "requirements")


if __name__ == "__main__":
    _body.main(run)
