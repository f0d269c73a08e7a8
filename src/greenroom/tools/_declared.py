"""What a project's own metadata says it needs: pyproject.toml, setup.cfg, setup.py, PKG-INFO."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _formats, _needs
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _formats
    import _needs

EXTRA_MARKER = re.compile(r"""\(?\s*extra\s*==\s*["']([^"']{1,100})["']\s*\)?""")


def read_pyproject(findings: _needs.Findings) -> None:
    """PEP 621 metadata, PEP 735 groups, and the tables of poetry, hatch, pdm and uv."""
    text = findings.read("pyproject.toml")
    if text is None:
        return
    data = _formats.toml(text)
    project, tool = _needs.table(data, "project"), _needs.table(data, "tool")
    points = {**_needs.table(project, "entry-points")}
    if _needs.table(project, "scripts"):
        points["console_scripts"] = _needs.table(project, "scripts")
    identify(findings, project.get("name"), project.get("version"), points)
    findings.python = findings.python or str(project.get("requires-python", ""))[:100]
    findings.add(project.get("dependencies"), "project", True)
    findings.extras |= {k: v for k, v in _needs.table(project, "optional-dependencies").items() if isinstance(v, list)}
    findings.groups |= {k: v for k, v in _needs.table(data, "dependency-groups").items() if isinstance(v, list)}
    for name, environment in _needs.table(_needs.table(tool, "hatch"), "envs").items():
        if isinstance(environment, dict):
            listed = [
                *_needs.as_list(environment.get("dependencies")),
                *_needs.as_list(environment.get("extra-dependencies")),
            ]
            findings.groups.setdefault("test" if name == "hatch-test" else name, listed)
    for name, listed in _needs.table(_needs.table(tool, "pdm"), "dev-dependencies").items():
        findings.groups.setdefault(name, listed if isinstance(listed, list) else [])
    uv = _needs.table(tool, "uv").get("dev-dependencies")
    if isinstance(uv, list):
        findings.groups.setdefault("dev", uv)
    read_poetry(findings, _needs.table(tool, "poetry"))


def read_poetry(findings: _needs.Findings, poetry: _needs.Table) -> None:
    """Poetry's own tables; its caret and tilde ranges as PEP 440."""
    if not poetry:
        return
    identify(findings, poetry.get("name"), poetry.get("version"), _needs.table(poetry, "plugins"))
    main = _needs.table(poetry, "dependencies")
    if isinstance(main.get("python"), str) and not findings.python:
        findings.python = poetry_range(main["python"])[:100]
    optional = {k for k, v in main.items() if isinstance(v, dict) and v.get("optional")}
    plain = {k: v for k, v in main.items() if k != "python"}
    findings.add([poetry_text(k, v) for k, v in plain.items() if k not in optional], "poetry", True)
    for extra, names in _needs.table(poetry, "extras").items():
        known = [n for n in _needs.as_list(names) if isinstance(n, str) and n in main]
        listed = [poetry_text(n, main[n]) for n in known]
        findings.extras.setdefault(extra, listed)
    groups = {k: _needs.table(v, "dependencies") for k, v in _needs.table(poetry, "group").items()}
    groups.setdefault("dev", _needs.table(poetry, "dev-dependencies"))
    for name, members in groups.items():
        findings.groups.setdefault(name, [poetry_text(k, v) for k, v in members.items()])


def poetry_text(name: str, value: Any) -> str:
    """One poetry dependency as a PEP 508 requirement."""
    if isinstance(value, list):
        value = value[0] if value else "*"
    if isinstance(value, dict):
        if not isinstance(value.get("version"), str):
            return f"{name} @ unknown://"
        extras = ",".join(e for e in _needs.as_list(value.get("extras")) if isinstance(e, str))
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


def read_setup_cfg(findings: _needs.Findings) -> None:
    """setup.cfg: metadata, install_requires, tests_require, extras_require, entry points."""
    config = _needs.parse_ini(findings.read("setup.cfg"))
    if config is None:
        return
    version = config.get("metadata", "version", fallback="") or ""
    points = {
        group: pairs(_needs.lines(value)) for group, value in _needs.section(config, "options.entry_points").items()
    }
    identify(findings, config.get("metadata", "name", fallback=None), None if ":" in version else version, points)
    findings.python = findings.python or (config.get("options", "python_requires", fallback="") or "")[:100]
    findings.add(_needs.lines(config.get("options", "install_requires", fallback="")), "setup.cfg", True)
    tests = _needs.lines(config.get("options", "tests_require", fallback=""))
    if tests:
        findings.extras.setdefault("tests-require", tests)
    for name, value in _needs.section(config, "options.extras_require").items():
        findings.extras.setdefault(name, _needs.lines(value))


def pairs(entries: Iterable[object]) -> dict[str, str]:
    """`name = value` lines as a dict."""
    split = (entry.partition("=") for entry in entries if isinstance(entry, str))
    return {name.strip(): value.strip() for name, equals, value in split if equals}


def read_setup_py(findings: _needs.Findings) -> None:
    """The call of setup() in setup.py, by its syntax tree: literals, and names bound to literals."""
    text = findings.read("setup.py")
    if text is None:
        return
    module = ast.parse(text)
    names = _needs.literals(module)
    calls = [call for call in ast.walk(module) if isinstance(call, ast.Call)]
    setups = [call for call in calls if getattr(call.func, "id", getattr(call.func, "attr", "")) == "setup"]
    for call in setups[: _needs.MAX_PLACES]:
        take_setup_call(findings, {k.arg: _needs.literal(k.value, names) for k in call.keywords if k.arg}, "setup.py")


def take_setup_call(findings: _needs.Findings, given: Mapping[str, Any], source: str) -> None:
    """Use the keyword arguments of a setup() call that are literals."""
    points = given.get("entry_points")
    points = {g: pairs(_needs.as_list(v)) for g, v in points.items()} if isinstance(points, dict) else {}
    identify(findings, given.get("name"), given.get("version"), points)
    if isinstance(given.get("python_requires"), str):
        findings.python = findings.python or given["python_requires"][:100]
    findings.add(_needs.as_list(given.get("install_requires")), source, True)
    if given.get("tests_require"):
        findings.extras.setdefault("tests-require", _needs.as_list(given["tests_require"]))
    extras = given.get("extras_require")
    for name, listed in extras.items() if isinstance(extras, dict) else ():
        findings.extras.setdefault(str(name), _needs.as_list(listed))


def read_pkg_info(findings: _needs.Findings) -> None:
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
    known = {_needs.canonical(_needs.name_of(text)) for text, (_, needed) in findings.found.items() if needed}
    for value in (" ".join(value.split()) for key, value in fields if key == "requires-dist"):
        if len(value) > _needs.MAX_TEXT:
            findings.note(f"PKG-INFO: left out, not a plain requirement: {value[:120]!r}")
            continue
        requirement, semicolon, marker = value.partition(";")
        extra = EXTRA_MARKER.search(marker) if semicolon else None
        if extra is None:
            name, count = _needs.canonical(_needs.name_of(value)), len(findings.found)
            findings.add([value] if name not in known else [], "PKG-INFO", True)
            known |= {name} if len(findings.found) > count else set()
        elif extra[1] not in declared:
            rest = re.sub(r"^\s*and\s+|\s+and\s*$", "", EXTRA_MARKER.sub("", marker)).strip()
            findings.extras.setdefault(extra[1], []).append(requirement.strip() + (f"; {rest}" if rest else ""))


def identify(findings: _needs.Findings, name: object, version: object, entry_points: object) -> None:
    """Note the project's own name, version and entry points; what is known already stays."""
    project = findings.project
    if isinstance(name, str) and _needs.NAME.fullmatch(name) and not project["name"]:
        project["name"] = name
    if isinstance(version, str) and re.fullmatch(r"[0-9A-Za-z.!+_-]{1,80}", version) and not project["version"]:
        project["version"] = version
    for group, points in entry_points.items() if isinstance(entry_points, dict) else ():
        kept = (
            {str(k)[:100]: v[:200] for k, v in points.items() if isinstance(v, str)} if isinstance(points, dict) else {}
        )
        if kept and len(project["entry_points"]) < 20:
            project["entry_points"].setdefault(str(group)[:100], dict(list(kept.items())[:100]))
