"""How strict a test is, by its syntax tree: its assertions, tolerances, cases, skips, and what swallows failures."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

Function = ast.FunctionDef | ast.AsyncFunctionDef
Naming = Callable[[str], bool]
"""Whether a function of that name is one of those meant."""
Loosened = tuple[str, int, str]

_SKIPS = re.compile(
    r"(?:^|\.)(?:skip|skipif|skipIf|skipUnless|xfail|expectedFailure|skipTest|SkipTest|importorskip)$|^pytest\.exit$"
)
_WIDER = {
    "rel": 1,
    "abs": 1,
    "rtol": 1,
    "atol": 1,
    "rel_tol": 1,
    "abs_tol": 1,
    "delta": 1,
    "places": -1,
    "decimal": -1,
    "significant": -1,
}
_WEAK = re.compile(
    r"(?:assertTrue|assertFalse|assertIsNotNone|assertIn|assertNotEqual|assertIsInstance|assertGreater|assertLess\w*)$"
)
_STRONG = re.compile(
    r"(?:assertEqual|assertEquals|assertIs|assertIsNone|assert\w+Equal|assert_called_once_with|assert_equal)$"
)
_BROAD = frozenset({"Exception", "BaseException"})
_ALWAYS = 1 << 62
"""After every place of a file: where a name bound from inside a function counts."""
_MAX_BOUND = 20
_MAX_NAMINGS, _MAX_NAMING = 64, 200
_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
Place = tuple[int, int]
"""Line and column."""
Bound = tuple[str, Place, str]
"""The dotted name that a statement binds or deletes, where, and its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """A test function with the decorators of its classes.

    `under` is what has to hold for it to be defined, from the outside in; `unbound` the later statements that bind its
    name, or a name of its classes, to something else, or delete it.
    """

    __test__ = False
    tree: Function
    marks: tuple[ast.expr, ...]
    under: tuple[str, ...] = ()
    unbound: tuple[str, ...] = ()


def naming(options: Sequence[str]) -> Naming:
    """What is called like a test: test*, and what pytest's `python_functions` adds (beginnings, or globs)."""
    kept = [option for option in options[:_MAX_NAMINGS] if 0 < len(option) <= _MAX_NAMING]

    def named(name: str) -> bool:
        return name.startswith("test") or any(
            fnmatchcase(name, option) if set(option) & set("*?[") else name.startswith(option) for option in kept
        )

    return named


TESTS = naming(())
"""What is called like a test where no setting says otherwise."""


def tests(module: ast.Module, named: Naming = TESTS) -> dict[str, Test]:  # noqa: PT028 - a function of the tool
    """The tests by qualified name: functions called like one, and such methods of classes."""
    found = dict(_walk(module.body, "", (), (), named))
    parts = {name: _outward(name) for name in found}
    bound: dict[str, list[Bound]] = {part: [] for several in parts.values() for part in several}
    for each in _bindings(module, bound):
        bound[each[0]].append(each)
    for name, test in found.items():
        start = (test.tree.lineno, test.tree.col_offset)
        after = tuple(text for part in parts[name] for _, at, text in bound[part][-_MAX_BOUND:] if at > start)
        if after:
            found[name] = replace(test, unbound=after)
    return found


def helpers(module: ast.Module, named: Naming = TESTS) -> dict[str, Test]:
    """The other functions of a test module by qualified name."""
    return dict(_walk(module.body, "", (), (), lambda name: not named(name)))


def _walk(
    body: list[ast.stmt], prefix: str, marks: tuple[ast.expr, ...], under: tuple[str, ...], wanted: Naming
) -> Iterator[tuple[str, Test]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if wanted(node.name):
                yield prefix + node.name, Test(tree=node, marks=(*marks, *node.decorator_list), under=under)
        elif isinstance(node, ast.ClassDef):
            inner = (*marks, *node.decorator_list)
            yield from _walk(node.body, f"{prefix}{node.name}.", inner, under, wanted)
        elif isinstance(node, ast.If | ast.Try | ast.With):
            for part in ("body", "orelse", "finalbody"):
                statements = getattr(node, part, [])
                if statements:
                    yield from _walk(statements, prefix, marks, (*under, _condition(node, part)), wanted)


def _condition(node: ast.If | ast.Try | ast.With, part: str) -> str:
    """What a block says about whether its statements run."""
    if isinstance(node, ast.If):
        return f"if {ast.unparse(node.test)}" if part == "body" else f"if not ({ast.unparse(node.test)})"
    if isinstance(node, ast.With):
        return f"with {', '.join(ast.unparse(item) for item in node.items)}"
    return {"body": "try", "orelse": "else of try", "finalbody": "finally"}[part]


def _outward(name: str) -> list[str]:
    """A qualified name and those of the classes around it."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(len(parts), 0, -1)]


def _bindings(module: ast.Module, wanted: Container[str]) -> Iterator[Bound]:
    """Where the module and its classes bind or delete what is wanted, in order; what functions bind comes last."""
    left: list[tuple[ast.AST, str, ast.AST]] = [(module, "", module)]
    texts: dict[ast.AST, str] = {}
    while left:
        node, prefix, statement = left.pop()
        statement = node if isinstance(node, ast.stmt) else statement
        inner = prefix
        at = (getattr(statement, "lineno", 0), getattr(statement, "col_offset", 0))
        for name in _bound(node):
            if prefix + name in wanted:
                if statement not in texts:
                    texts[statement] = _said(statement, name)
                yield prefix + name, at, texts[statement]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | _COMPREHENSIONS):
            continue
        if isinstance(node, ast.ClassDef):
            inner = f"{prefix}{node.name}."
        left += [(child, inner, statement) for child in reversed(list(ast.iter_child_nodes(node)))]
    for node in ast.walk(module):
        for name in node.names if isinstance(node, ast.Global) else ():
            if name in wanted:
                yield name, (_ALWAYS, 0), f"global {name}"


def _bound(node: ast.AST) -> list[str]:
    """The dotted names that one node binds or deletes."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(each.asname or each.name).split(".")[0] for each in node.names]
    if isinstance(node, ast.Name | ast.Attribute) and not isinstance(node.ctx, ast.Load):
        return [_dotted(node)]
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        return [node.name]
    return []


def _said(statement: ast.AST, name: str) -> str:
    """A plain statement's text; of one with a body, its kind and the name."""
    plain = isinstance(statement, ast.stmt) and not hasattr(statement, "body") and not hasattr(statement, "cases")
    return ast.unparse(statement) if plain else f"{type(statement).__name__.lower()} {name}"


def same(before: Test, after: Test) -> bool:
    """True when two tests have the same code and marks, and are defined under the same conditions."""
    marks = [ast.dump(mark) for mark in before.marks] == [ast.dump(mark) for mark in after.marks]
    defined = (before.under, before.unbound) == (after.under, after.unbound)
    return marks and defined and ast.dump(before.tree) == ast.dump(after.tree)


def loosened(before: Test, after: Test) -> Iterator[Loosened]:
    """What is less strict in `after`: (rule, line, message)."""
    yield from _undefined(before, after)
    yield from _skips(before, after)
    yield from _cases(before, after)
    old, new = assertions(before.tree), assertions(after.tree)
    if len(new) < len(old):
        yield "assertion-removed", after.tree.lineno, f"{len(old)} assertions became {len(new)}"
    yield from _weaker(old, new)
    yield from _tolerances(before.tree, after.tree)
    if swallows(after.tree) > swallows(before.tree):
        yield "failure-swallowed", after.tree.lineno, "an exception is caught and dropped"
    if _unreached(after.tree) > _unreached(before.tree):
        yield "assertion-removed", after.tree.lineno, "assertions stand where they are never reached"


def _undefined(before: Test, after: Test) -> Iterator[Loosened]:
    """Conditions that the test did not stand under, and statements that take its name from it."""
    for condition in Counter(after.under) - Counter(before.under):
        yield "test-skipped", after.tree.lineno, f"defined only under: {condition[:120]}"
    for statement in Counter(after.unbound) - Counter(before.unbound):
        yield "test-deleted", after.tree.lineno, f"its name is taken from it: {statement[:120]}"


def _skips(before: Test, after: Test) -> Iterator[Loosened]:
    known = Counter(ast.unparse(node) for node in _skip_nodes(before))
    for node in _skip_nodes(after):
        text = ast.unparse(node)
        if known[text] > 0:
            known[text] -= 1
        else:
            yield "test-skipped", node.lineno, f"skipped or expected to fail: {text[:120]}"


def _skip_nodes(test: Test) -> Iterator[ast.expr]:
    for mark in test.marks:
        if _SKIPS.search(_dotted(mark)):
            yield mark
        elif isinstance(mark, ast.Call):
            nested = (node for node in ast.walk(mark) if isinstance(node, ast.Attribute | ast.Name))
            yield from (node for node in nested if _SKIPS.search(_dotted(node)))
    for statement in test.tree.body:
        for node in ast.walk(statement):
            raised = node.exc if isinstance(node, ast.Raise) else node
            if (
                isinstance(raised, ast.Call | ast.Name | ast.Attribute)
                and isinstance(node, ast.Call | ast.Raise)
                and _SKIPS.search(_dotted(raised))
            ):
                yield raised


def module_skips(before: ast.Module, after: ast.Module) -> Iterator[tuple[int, str]]:
    """Marks and skips that hold for a whole module and were not there before."""
    known = Counter(ast.dump(node) for node in _module_marks(before))
    for node in _module_marks(after):
        if known[ast.dump(node)] > 0:
            known[ast.dump(node)] -= 1
        else:
            yield node.lineno, f"the whole module or class: {ast.unparse(node)[:120]}"


def _module_marks(module: ast.Module) -> Iterator[ast.stmt]:
    bodies = [module.body, *(node.body for node in ast.walk(module) if isinstance(node, ast.ClassDef))]
    for body in bodies:
        for node in body:
            named = isinstance(node, ast.Assign) and any(_dotted(target) == "pytestmark" for target in node.targets)
            texts = [_dotted(part) for part in ast.walk(node) if isinstance(part, ast.Call | ast.Attribute | ast.Name)]
            plain = isinstance(node, ast.Expr | ast.Raise | ast.If) and not isinstance(
                getattr(node, "value", None), ast.Constant
            )
            if (named or plain) and any(_SKIPS.search(text) for text in texts):
                yield node


def _cases(before: Test, after: Test) -> Iterator[Loosened]:
    """Parametrized cases: fewer of them, or the parametrization gone."""
    old, new = _parametrized(before), _parametrized(after)
    for names, count in old.items():
        if names not in new:
            yield "cases-removed", after.tree.lineno, f"the cases of {names} are gone"
        elif count is not None and new[names] is not None and (new[names] or 0) < count:
            yield "cases-removed", after.tree.lineno, f"{count} cases of {names} became {new[names]}"


def _parametrized(test: Test) -> Mapping[str, int | None]:
    found: dict[str, int | None] = {}
    for mark in test.marks:
        if isinstance(mark, ast.Call) and _dotted(mark).endswith("parametrize") and mark.args:
            values = mark.args[1] if len(mark.args) > 1 else None
            found[ast.unparse(mark.args[0])] = (
                len(values.elts) if isinstance(values, ast.List | ast.Tuple | ast.Set) else None
            )
    return found


def assertions(tree: ast.AST) -> list[ast.AST]:
    """assert statements, and calls and context managers that assert, in order."""
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert) or (isinstance(node, ast.Call) and _asserts(_dotted(node)))
    ]
    return sorted(found, key=lambda node: (getattr(node, "lineno", 0), getattr(node, "col_offset", 0)))


def _asserts(name: str) -> bool:
    last = name.rsplit(".", 1)[-1]
    return (
        last.startswith("assert")
        or last == "fail"
        or name
        in (
            "pytest.raises",
            "pytest.warns",
            "pytest.fail",
            "raises",
            "warns",
        )
    )


def _weaker(old: list[ast.AST], new: list[ast.AST]) -> Iterator[Loosened]:
    """Assertions that are not in the other version, in pairs by order."""
    kept = Counter(ast.dump(node) for node in old) & Counter(ast.dump(node) for node in new)
    gone, come = _without(old, kept), _without(new, kept)
    for before, after in zip(gone, come, strict=False):
        line = getattr(after, "lineno", 0)
        if _rank(after) < _rank(before) or _broader(before, after):
            yield "assertion-weakened", line, f"{ast.unparse(before)[:100]} became {ast.unparse(after)[:100]}"
        elif _rank(after) == _rank(before):
            yield "expectation-changed", line, f"{ast.unparse(before)[:100]} became {ast.unparse(after)[:100]}"


def _without(nodes: list[ast.AST], kept: Counter[str]) -> list[ast.AST]:
    left = Counter(kept)
    found = []
    for node in nodes:
        key = ast.dump(node)
        if left[key] > 0:
            left[key] -= 1
        else:
            found.append(node)
    return found


def _rank(node: ast.AST) -> int:
    """0 always true, 1 truthy, 2 an order, membership or type, 3 a value."""
    if isinstance(node, ast.Assert):
        return _rank_test(node.test)
    name = _dotted(node)
    if isinstance(node, ast.Call) and name.endswith(("assertTrue", "assertFalse")) and node.args:
        return min(_rank_test(node.args[0]), 2)
    return 3 if _STRONG.search(name) else 2 if _WEAK.search(name) else 3


def _rank_test(test: ast.expr) -> int:
    if isinstance(test, ast.Constant):
        return 0
    if isinstance(test, ast.Tuple):
        return 0
    if isinstance(test, ast.BoolOp):
        ranks = [_rank_test(value) for value in test.values]
        return max(ranks) if isinstance(test.op, ast.And) else min(1, *ranks)
    if isinstance(test, ast.Compare):
        if ast.dump(test.left) == ast.dump(test.comparators[0]):
            return 0
        return 3 if all(isinstance(op, ast.Eq | ast.Is) for op in test.ops) else 2
    if isinstance(test, ast.Call) and _dotted(test).endswith(
        ("isinstance", "startswith", "endswith", "issubset", "any")
    ):
        return 2
    if isinstance(test, ast.Call) and _dotted(test).endswith(("allclose", "array_equal", "isclose", "all")):
        return 3
    return 1


def _broader(before: ast.AST, after: ast.AST) -> bool:
    """pytest.raises and the like: a broader exception, or the text no longer matched."""
    if not isinstance(before, ast.Call) or not isinstance(after, ast.Call) or not before.args or not after.args:
        return False
    if not _dotted(after).endswith(("raises", "warns", "assertRaises", "assertRaisesRegex", "assertWarns")):
        return False
    caught, catches = ast.unparse(before.args[0]), ast.unparse(after.args[0])
    widened = caught != catches and (catches in _BROAD or (isinstance(after.args[0], ast.Tuple) and caught in catches))
    matched = any(keyword.arg == "match" for keyword in before.keywords) or _dotted(before).endswith("Regex")
    matches = any(keyword.arg == "match" for keyword in after.keywords) or _dotted(after).endswith("Regex")
    return widened or (matched and not matches)


def _tolerances(before: ast.AST, after: ast.AST) -> Iterator[Loosened]:
    """Numbers that say how near is near enough, in order of their appearance."""
    old, new = _numbers(before), _numbers(after)
    for name, values in old.items():
        for was, (now, line) in zip(values, new.get(name, []), strict=False):
            if (now - was[0]) * _WIDER[name] > 0:
                yield "tolerance-widened", line, f"{name}: {was[0]:g} became {now:g}"
    for name in new:
        if len(new[name]) > len(old.get(name, [])):
            yield "tolerance-widened", new[name][-1][1], f"a tolerance is given now: {name}={new[name][-1][0]:g}"


def _numbers(tree: ast.AST) -> dict[str, list[tuple[float, int]]]:
    found: dict[str, list[tuple[float, int]]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                value = _number(keyword.value)
                if keyword.arg in _WIDER and value is not None:
                    found.setdefault(keyword.arg, []).append((value, node.lineno))
    return found


def _number(node: ast.expr) -> float | None:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 else None
    )


def swallows(tree: ast.AST) -> int:
    """Handlers around assertions that drop what they catch, and `contextlib.suppress`."""
    count = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any(assertions(statement) for statement in node.body):
            count += sum(
                not any(isinstance(n, ast.Raise) or n in assertions(h) for n in ast.walk(h)) for h in node.handlers
            )
        elif isinstance(node, ast.With | ast.AsyncWith):
            count += sum(_dotted(item.context_expr).endswith("suppress") for item in node.items)
    return count


def _unreached(tree: Function) -> int:
    """Assertions after a return, or under a condition that is never true."""
    count = 0
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Constant) and not node.test.value:
            count += len(assertions(node))
        if isinstance(body, list):
            ends = [at for at, statement in enumerate(body) if isinstance(statement, ast.Return)]
            count += sum(len(assertions(statement)) for statement in body[ends[0] + 1 :]) if ends else 0
    return count


def _dotted(node: ast.AST) -> str:
    """The dotted name that a decorator, a call or an exception stands for."""
    if isinstance(node, ast.Call):
        return _dotted(node.func)
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
