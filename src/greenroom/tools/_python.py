"""Python sources compared: what is a comment, a docstring, a pragma, and whether two texts mean the same."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

_PRAGMA = re.compile(
    r"#\s*(?:type:|noqa|nosec|pragma|pylint|mypy|pyright|ruff|flake8|isort|fmt:|yapf|black|doctest|pytype|lgtm|sourcery"
    r"|skipcq|NOSONAR|coding|-\*-|vim:|vi:|!|@formatter|region|endregion|cython:|distutils:|hypothesis|exempt|spdx|///)"
    r"|#.*\bcoding[:=]|#.*\b(?:noqa|nosec|pylint:|type:\s*ignore|pragma:)",
    re.IGNORECASE,
)
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def parse(text: str) -> ast.Module | None:
    """The syntax tree, or None for what this interpreter cannot read."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def is_pragma(comment: str) -> bool:
    """True for comments that tools or the interpreter read."""
    return bool(_PRAGMA.match(comment) or _PRAGMA.search(comment))


def pragmas(text: str) -> list[tuple[str, str]]:
    """The comments that tools read, each with the code that it stands beside, in order.

    Raises ValueError for what cannot be tokenized.
    """
    tokens = _comment_tokens(text)
    return [(token.line[: token.start[1]].strip(), token.string) for token in tokens if is_pragma(token.string)]


def comments(text: str) -> list[str]:
    """The comments, in order; raises ValueError for what cannot be tokenized."""
    return [token.string for token in _comment_tokens(text)]


def _comment_tokens(text: str) -> list[tokenize.TokenInfo]:
    try:
        tokens = tokenize.generate_tokens(io.StringIO(text, newline="").readline)
        return [token for token in tokens if token.type == tokenize.COMMENT]
    except (tokenize.TokenError, SyntaxError) as error:
        raise ValueError(str(error)) from None


def docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    """The docstring nodes of modules, classes and functions."""
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                yield first.value


def docstring_lines(text: str) -> frozenset[int]:
    """The lines on which docstrings start."""
    tree = parse(text)
    return frozenset(node.lineno for node in docstrings(tree)) if tree else frozenset()


def shape(text: str, *, keep_docstrings: bool) -> str | None:
    """The syntax tree as text, places left out; None where there is no tree."""
    tree = parse(text)
    if tree is None:
        return None
    if not keep_docstrings:
        for node in docstrings(tree):
            node.value = ""
    try:
        return ast.dump(tree)
    except RecursionError:
        return None


def same(one: str, two: str) -> bool:
    """True when both texts have the same syntax tree."""
    shape_one = shape(one, keep_docstrings=True)
    return shape_one is not None and shape_one == shape(two, keep_docstrings=True)


def same_but_docstrings(one: str, two: str) -> bool:
    """True when both texts have the same syntax tree, contents of docstrings apart."""
    shape_one = shape(one, keep_docstrings=False)
    return shape_one is not None and shape_one == shape(two, keep_docstrings=False)


def docstring_texts(text: str) -> list[str]:
    """The docstrings, in the order of the tree."""
    tree = parse(text)
    return [str(node.value) for node in docstrings(tree)] if tree else []
