"""What Python code does that a constitution forbids for good: settings, SQL, commands, guards taken off functions."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenroom.tools import _never_sql, _never_words
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _never_sql
    import _never_words

Seen = tuple[str, int, int, str, str]
"""Rule, first line, last line, what was seen, and a key that is the same where the same thing stands elsewhere."""

_SPEAKS = frozenset(
    {"requests", "httpx", "urllib3", "aiohttp", "jwt", "boto3", "botocore", "hvac", "kubernetes", "elasticsearch"}
)
_RUNS_SQL = frozenset(
    {"execute", "executemany", "executescript", "exec_driver_sql", "text", "raw", "RunSQL", "run_sql", "exec_sql"}
)
_GUARD = re.compile(
    r"(?:\w*_)?(?:login_required|permission_required|permissions_required|auth_required|authenticated|requires_auth|"
    r"require_auth|requires_login|require_login|jwt_required|token_required|fresh_login_required|roles_required|"
    r"role_required|roles_accepted|staff_member_required|superuser_required|user_passes_test|admin_required|"
    r"requires_permission|requires_permissions)|login_required\w*"
)
_GUARD_BASES = re.compile(r"(?:Login|Permission|Auth|Authentication)RequiredMixin|UserPassesTestMixin")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def parse(text: str) -> ast.Module | None:
    """The tree of `text`, None where this Python cannot read it."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def seen(tree: ast.Module) -> Iterator[Seen]:
    """What the code says plainly, in no order."""
    speaks = not _SPEAKS.isdisjoint(_imports(tree))
    prose = _prose(tree)
    whole = frozenset(id(node.args[0]) for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _call(node, speaks=speaks)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            yield from _assignment(node, speaks=speaks)
        elif isinstance(node, ast.Dict):
            for name, value in zip(node.keys, node.values, strict=True):
                if isinstance(name, ast.Constant) and isinstance(name.value, str) and _off(name.value, value):
                    yield _at(_never_words.AUTH, value, "a setting that turns a check off", name.value)
        elif isinstance(node, ast.List | ast.Tuple):
            yield from _words(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield from _sql(node, node.value, whole=id(node) in whole)


def guards_lost(before: ast.Module, after: ast.Module) -> Iterator[Seen]:
    """Functions and classes that stay and have no guard any more, though they had one."""
    old, new = _guarded(before), _guarded(after)
    for name, (had, _) in old.items():
        if had and name in new and not new[name][0]:
            yield _at(_never_words.AUTH, new[name][1], "a guard was taken off", name, last=new[name][1].lineno)


def _call(node: ast.Call, *, speaks: bool) -> Iterator[Seen]:
    tail = _tail(node.func)
    for word in node.keywords:
        name = word.arg or ""
        plain = name == "verify" and speaks and _constant(word.value) in ("False", "0")
        unproven = name == "cert_reqs" and _is_cert_none(word.value)
        if plain or unproven or (name and _off(name, word.value)):
            yield _at(_never_words.AUTH, word.value, "an argument that turns a check off", f"{tail}({name}")
    if not node.args:
        return
    first = node.args[0]
    said, whole = _text(first)
    if tail in _RUNS_SQL and said and not isinstance(first, ast.Constant):
        yield from _sql(first, said, whole=whole)
    if tail in ("system", "popen", "run", "call", "check_call", "check_output", "Popen", "getoutput") and said:
        for rule, what in _never_words.commands(said):
            yield _at(rule, first, what, said)


def _assignment(node: ast.Assign | ast.AnnAssign, *, speaks: bool) -> Iterator[Seen]:
    if node.value is None:
        return
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        name = _tail(target)
        off = False
        if isinstance(target, ast.Name):
            off = name.isupper() and _off(name, node.value)
        elif isinstance(target, ast.Attribute):
            mine = isinstance(target.value, ast.Name) and target.value.id == "self"
            off = name == "verify_mode" and _is_cert_none(node.value)
            off = off or (name == "check_hostname" and _constant(node.value) == "False")
            off = off or (name == "verify" and speaks and not mine and _constant(node.value) == "False")
            off = off or (name == "_create_default_https_context" and _tail(node.value) == "_create_unverified_context")
        elif isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
            off = isinstance(target.slice.value, str) and _off(target.slice.value, node.value)
        if off:
            yield _at(_never_words.AUTH, node, "a setting that turns a check off", name, last=node.lineno)


def _sql(node: ast.expr, text: str, *, whole: bool) -> Iterator[Seen]:
    if _never_sql.deletes(text, whole=whole):
        yield _at(_never_words.DATABASE, node, "SQL that deletes", text)


def _words(node: ast.List | ast.Tuple) -> Iterator[Seen]:
    """A command given as a list of words."""
    words = [
        each.value if isinstance(each, ast.Constant) and isinstance(each.value, str) else "?" for each in node.elts
    ]
    if len(words) > 1 and words[0].rsplit("/", 1)[-1] in ("git", "dropdb", "curl", "wget", "ssh", "scp"):
        for rule, what in _never_words.commands(" ".join(words)):
            yield _at(rule, node, what, " ".join(words))


def _guarded(tree: ast.Module) -> Mapping[str, tuple[bool, _Function | ast.ClassDef]]:
    """By dotted name: whether it has a guard, and where it stands."""
    found: dict[str, tuple[bool, _Function | ast.ClassDef]] = {}
    waiting: list[tuple[str, ast.stmt]] = [("", each) for each in tree.body]
    while waiting:
        prefix, node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{node.name}"
            had = any(_GUARD.fullmatch(_tail(_inner(each))) for each in node.decorator_list)
            if isinstance(node, ast.ClassDef):
                had = had or any(_GUARD_BASES.fullmatch(_tail(each)) for each in node.bases)
            found[name] = (had or found.get(name, (False, node))[0], node)
            waiting += [(f"{name}.", each) for each in node.body]
        elif isinstance(node, ast.If | ast.Try | ast.With):
            waiting += [(prefix, each) for each in node.body]
    return found


def _inner(decorator: ast.expr) -> ast.expr:
    """The name that guards: of `@guard(...)` and of `@method_decorator(guard)`."""
    if isinstance(decorator, ast.Call):
        if _tail(decorator.func) == "method_decorator" and decorator.args:
            return _inner(decorator.args[0])
        return decorator.func
    return decorator


def _off(name: str, value: ast.expr) -> bool:
    said = _constant(value)
    return said is not None and _never_words.setting_off(name, said)


def _is_cert_none(value: ast.expr) -> bool:
    return _tail(value) == "CERT_NONE" or _constant(value) == "CERT_NONE"


def _constant(value: ast.expr) -> str | None:
    if isinstance(value, ast.Constant) and isinstance(value.value, bool | int | str):
        return str(value.value)[:80]
    return None


def _text(node: ast.expr) -> tuple[str, bool]:
    """The text of a string, a sum or a format of strings as far as it is constant, and whether that is all of it."""
    if isinstance(node, ast.Constant):
        return (node.value, True) if isinstance(node.value, str) else ("", False)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(each.value) if isinstance(each, ast.Constant) else "{}" for each in node.values), True
    if isinstance(node, ast.BinOp):
        return f"{_text(node.left)[0]}{{}}", False
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _text(node.func.value)[0], False
    return "", False


def _prose(tree: ast.Module) -> frozenset[int]:
    """Strings that are statements of their own, such as docstrings."""
    return frozenset(id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr))


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def _tail(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _at(rule: str, node: ast.expr | ast.stmt, what: str, key: str, last: int | None = None) -> Seen:
    end = last if last is not None else node.end_lineno or node.lineno
    return rule, node.lineno, end, what, " ".join(key.split())[:300]
