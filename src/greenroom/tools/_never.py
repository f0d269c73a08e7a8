"""Finds what a constitution forbids for good in what a change adds, by the names that the policy knows.

Each rule speaks of a plain form on an added line that base has not: what a change only moves, writes otherwise or
leaves near is passed over, and so are comments, prose, tests, and files above a mebibyte. No file is run.
A quiet scan proves nothing: what is computed, nested, spread over lines or in another language is not seen.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenroom.tools import _files, _never_python, _never_sql, _never_words
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _files
    import _never_python
    import _never_sql
    import _never_words

MAX_LINE = 2_000
MAX_TEXT = 1024 * 1024
EACH = 10
"""How many places of one rule are told: one refuses, the others help to find them."""
BANDIT = frozenset({"B323", "B501", "B502", "B503", "B504", "B507"})
"""Bandit's tests that say the same: certificates, protocols that cannot prove them, and host keys, not checked."""

_CONFIG_ENDS = (".ini", ".cfg", ".toml", ".yaml", ".yml", ".json", ".conf", ".env", ".properties", ".xml")
_SHELL_ENDS = (".sh", ".bash", ".zsh", ".ksh", ".ps1", ".mk")
_CODE_ENDS = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".go", ".rb", ".php", ".java", ".kt", ".rs", ".cs")
_SCRIPTS = frozenset({"makefile", "gnumakefile", "dockerfile", "justfile", "procfile", "jenkinsfile", "containerfile"})
_SETTING = re.compile(r"\s*(?:export\s+|set\s+|env\s+|-\s+)?[\"']?([\w.-]{3,80})[\"']?(?:\s*[:=]+\s*|\s+)(.{1,60})")
_CODE_SETTING = re.compile(r"([A-Za-z_][\w.]{2,80})[\"']?\]?(?:\s*[:=]\s*|\()(true|false|[01]|[\"'][01][\"'])(?!\w)")
_CODE_AUTH = re.compile(
    r"CURLOPT_SSL_VERIFYPEER\s*(?:,|=>)\s*(?:0|false)|\bVERIFY_NONE\b|NoopHostnameVerifier|InsecureSkipVerify:\s*true|"
    r"ServerCertificateCustomValidationCallback\s*=\s*\([^)]*\)\s*=>\s*true",
    re.IGNORECASE,
)
_CODE_SQL = re.compile(r"[\"'`]([^\"'`]{6,400})[\"'`]")
_HASH = re.compile(r"(?:^|\s)#.*")
_SLASHES = re.compile(r"(?:^|\s)//.*|^\s*/?\*.*")
_DATABASE_TOOLS = re.compile(r"\b(?:psql|mysql|mariadb|sqlite3|sqlcmd|clickhouse-client)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One thing that is forbidden: the rule, where, and what was seen; `key` is what it is, its place apart."""

    rule: str
    path: str
    line: int
    last: int
    what: str
    key: str


def found_in(changed: Sequence[_files.Changed]) -> list[Found]:
    """What the changes add that base has nowhere among the changed files; at most EACH of a rule."""
    spare: Counter[tuple[str, str]] = Counter()
    new: list[Found] = []
    for change in changed:
        if _files.is_test(change.path) or _files.is_docs(change.path):
            continue
        before, after = _text(change.base), _text(change.green)
        added = _files.changed_lines(before, after).added if after else frozenset()
        spare.update((each.rule, each.key) for each in _scan(change.path, before))
        for each in _scan(change.path, after):
            if added.isdisjoint(range(each.line, each.last + 1)):
                spare[each.rule, each.key] -= 1
            else:
                new.append(each)
        new += _guards(change.path, before, after)
        new += _reset_and_pushed(change.path, after, added)
    told: Counter[str] = Counter()
    kept = []
    for each in sorted(new, key=lambda each: (each.path, each.line)):
        if spare[each.rule, each.key] > 0:
            spare[each.rule, each.key] -= 1
        elif told[each.rule] < EACH:
            told[each.rule] += 1
            kept.append(each)
    return kept


def _text(side: _files.Side) -> str:
    text = side.text if side.mode in ("file", "exec") else None
    return text if text is not None and len(text) <= MAX_TEXT else ""


def _scan(path: str, text: str) -> Iterator[Found]:
    """Everything in one file; by the tree where it is Python that this Python reads, else by lines."""
    name = path.rsplit("/", 1)[-1].lower()
    shown = _files.show(path)
    tree = _tree(path, text)
    if tree is not None:
        for rule, line, last, what, key in _never_python.seen(tree):
            yield Found(rule=rule, path=shown, line=line, last=last, what=what, key=key)
        return
    if name.endswith(".sql"):
        for first, last, statement in () if "down" in name.split(".")[:-1] else _never_sql.statements(text):
            yield _found(_never_words.DATABASE, shown, first, last, "SQL that deletes", statement)
        return
    for number, raw in enumerate(text.splitlines(), 1):
        if 4 < len(raw) <= MAX_LINE:
            for rule, what in _line(path, name, raw, script=_is_script(name, text)):
                yield _found(rule, shown, number, number, what, raw)


def _line(path: str, name: str, raw: str, *, script: bool) -> Iterator[tuple[str, str]]:
    if name.endswith(_CODE_ENDS) or name.endswith((".py", ".pyi")):
        line = _SLASHES.sub("", raw) if name.endswith(_CODE_ENDS) else _HASH.sub("", raw)
        if _CODE_AUTH.search(line) or any(_never_words.setting_off(*each) for each in _CODE_SETTING.findall(line)):
            yield _never_words.AUTH, "a setting that turns a check off"
        if any(_never_sql.deletes(each, whole=False) for each in _CODE_SQL.findall(line)):
            yield _never_words.DATABASE, "SQL that deletes"
        return
    config = name.endswith(_CONFIG_ENDS) or _files.is_config(path) or name in ("sshd_config", "ssh_config", "config")
    if not config and not script:
        return
    line = _HASH.sub("", raw)
    if name.endswith((".ini", ".cfg", ".conf", ".properties")) and line.lstrip().startswith((";", "//", "!")):
        return
    hits = dict(_never_words.commands(line))
    setting = _SETTING.match(line)
    if setting and _never_words.setting_off(setting[1], setting[2].strip().rstrip(",;")):
        hits.setdefault(_never_words.AUTH, "a setting that turns a check off")
    if _DATABASE_TOOLS.search(line) and any(_never_sql.deletes(each) for each in _CODE_SQL.findall(line)):
        hits.setdefault(_never_words.DATABASE, "SQL that deletes")
    yield from hits.items()


def _guards(path: str, before: str, after: str) -> Iterator[Found]:
    old, new = _tree(path, before), _tree(path, after)
    if old is not None and new is not None and before and after:
        for rule, line, last, what, key in _never_python.guards_lost(old, new):
            yield _found(rule, _files.show(path), line, last, what, f"guard of {key}")


def _reset_and_pushed(path: str, text: str, added: frozenset[int]) -> Iterator[Found]:
    """A hard reset and a push in one script: what was pushed before is left out of history."""
    name = path.rsplit("/", 1)[-1].lower()
    if not added or not (_is_script(name, text) or _files.is_config(path)):
        return
    lines = [_HASH.sub("", line[:MAX_LINE]) for line in text.splitlines()]
    reset = next((n for n, line in enumerate(lines, 1) if n in added and _never_words.resets_hard(line)), None)
    if reset is not None and any(n > reset and _never_words.pushes(line) for n, line in enumerate(lines, 1)):
        what = "a hard reset and then a push"
        yield _found(_never_words.HISTORY, _files.show(path), reset, reset, what, lines[reset - 1])


def _is_script(name: str, text: str) -> bool:
    stem = name.partition(".")[0]
    return name.endswith(_SHELL_ENDS) or name in _SCRIPTS or stem in _SCRIPTS or text.startswith("#!")


def _tree(path: str, text: str) -> ast.Module | None:
    return _never_python.parse(text) if path.endswith((".py", ".pyi")) else None


def _found(rule: str, path: str, line: int, last: int, what: str, key: str) -> Found:
    return Found(rule=rule, path=path, line=line, last=last, what=what, key="".join(key.split())[:300])
