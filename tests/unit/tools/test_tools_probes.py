"""Probes: which lines can run, and which of them ran, without changing what the code does."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.tools import _coverage
from greenroom.tools._files import Changed, Side
from greenroom.tools._probes import Probes, places
from greenroom.tools._python import parse

CODE = '''\
"""Doc."""
from __future__ import annotations
import os  # line 3

pytestmark = pytest.mark.slow

# a comment
def f(x, y=(
    1)):
    """Doc
    more."""
    global z
    if x: z = 1
    elif y:
        z = [
            2,
        ]
    else:
        z = 3
    try:
        int(x)
    except (TypeError,
            KeyError):
        # why
        z = 4
    except ValueError:
        return 5
    finally:
        os.getpid()
    match z:
        case 3 if y:
            return 6
        case _:
            pass
    return lambda: (
        z)

@staticmethod
class C: ...
'''
ACTING = {2, 3, 6, 7, 11, 12, 13, 14, 15, 17, 18, 19, 20, 21, 23, 24, 25, 27, 28, 29, 30, 31, 32, 33, 34, 36, 37}


@pytest.fixture(autouse=True)
def loader() -> Iterator[None]:
    """Python's own loader, put back as it was."""
    original = SourceFileLoader.get_code
    yield
    setattr(SourceFileLoader, "get_code", original)  # noqa: B010 - a method


def load(path: Path, wanted: Sequence[int]) -> tuple[ModuleType, Probes]:
    """The module at `path`, loaded with probes for the wanted lines."""
    probes = Probes({str(path.resolve()): wanted})
    probes.install()
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, probes


def ran(probes: Probes) -> set[int]:
    """The lines seen, of the one file."""
    (lines,) = probes.ran().values()
    return set(lines)


def test_only_lines_that_do_something_count() -> None:
    """Docstrings, comments, blank lines, `global`, `else` and `finally` can not run."""
    told = places(ast.parse(CODE))
    assert set(told) & set(_coverage._written(CODE)) == ACTING
    assert (told[7], told[14], told[21], told[34], told[37]) == (6, 13, 20, 33, 36)


def test_each_line_is_seen_when_it_runs_and_not_before(tmp_path: Path) -> None:
    """Loading runs the module's own lines; a call runs its branch, to the handler that takes the exception."""
    path = tmp_path / "m.py"
    path.write_text(CODE.replace("@staticmethod\n", "@id\n").replace("class C: ...", "class C: pass"), "utf-8")
    wanted = sorted(set(places(ast.parse(CODE)).values()))
    module, probes = load(path, wanted)
    assert ran(probes) == {2, 3, 6, 36, 37} & set(wanted)
    assert module.f("no") == 5
    assert ran(probes) & {11, 18, 19, 20, 23, 24, 25, 27, 28} == {11, 18, 19, 24, 25, 27}
    assert module.f(None)() == 4
    assert ran(probes) >= {12, 13, 20, 23, 28, 31, 32, 33}
    assert not ran(probes) & {17, 29, 30}


def test_code_with_probes_does_what_it_did(tmp_path: Path) -> None:
    """No name, docstring, line number, trace or profile function differs, and code objects stay hashable."""
    path = tmp_path / "m.py"
    source = (
        '"""Doc."""\nimport sys\ndef depth(n=0):\n    """D."""\n    here = sys.gettrace(), sys.getprofile()\n'
        "    return here if n == 30 else depth(n + 1)\nclass A:\n    x: int = 1\n"
        "    def bad(self):\n        raise ValueError('bad')\n"
    )
    path.write_text(source, "utf-8")
    before = sys.gettrace(), sys.getprofile()
    module, probes = load(path, range(1, 12))
    names = {"__builtins__", "__cached__", "__doc__", "__file__", "__loader__", "__name__", "__package__", "__spec__"}
    assert set(vars(module)) == names | {"sys", "depth", "A"}
    assert (module.__doc__, module.depth.__doc__, module.depth()) == ("Doc.", "D.", before)
    assert set(vars(module.A)) >= {"x", "bad", "__annotations__"}
    assert module.depth.__code__.co_firstlineno == 3
    assert hash(module.depth.__code__)
    with pytest.raises(ValueError, match=r"^bad$") as caught:
        module.A().bad()
    assert caught.tb.tb_next is not None
    assert caught.tb.tb_next.tb_lineno == 10
    assert ran(probes) == {2, 3, 5, 6, 7, 8, 9, 10}


def test_a_file_that_does_not_compile_fails_as_without_probes(tmp_path: Path) -> None:
    """The error is Python's own, and the file counts as unseen."""
    path = tmp_path / "m.py"
    path.write_text("return 1\n", "utf-8")
    probes = Probes({str(path): [1]})
    probes.install()
    with pytest.raises(SyntaxError, match="'return' outside function"):
        SourceFileLoader("m", str(path)).get_code("m")
    assert probes.unseen == {str(path)}


def test_a_file_that_was_loaded_before_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lines can not be seen, and that is said."""
    path = tmp_path / "early.py"
    path.write_text("x = 1\n", "utf-8")
    early = ModuleType("early")
    early.__file__ = str(path)
    monkeypatch.setitem(sys.modules, "early", early)
    probes = Probes({str(path): [1]})
    probes.install()
    assert probes.unseen == {str(path)}
    assert ran(probes) == set()


EXPRESSIONS = st.sampled_from(["n += 1", "n *= 3", "pass", "'text'", "n = [n for n in (n,)][0]", "(n := n + 2)"])


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


@st.composite
def blocks(draw: st.DrawFn, depth: int = 0) -> list[str]:
    """Lines of a block of statements."""
    found: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        form = draw(st.integers(0, 5)) if depth < 3 else 0
        if form == 0:
            found.append(draw(EXPRESSIONS))
        elif form == 1:
            other = ["else:", *_indented(draw(blocks(depth + 1)))]
            found += ["if n % 2:", *_indented(draw(blocks(depth + 1))), *other]
        elif form == 2:
            found += ["for _ in range(2):", *_indented(draw(blocks(depth + 1)))]
        elif form == 3:
            head = ["try:", *_indented(draw(blocks(depth + 1))), "    1 // (n % 3)"]
            found += [*head, "except ZeroDivisionError:", *_indented(draw(blocks(depth + 1)))]
        elif form == 4:
            found += ["match n % 4:", "    case 0 | 1:", *_indented(_indented(draw(blocks(depth + 1))))]
        else:
            found += ["with open('/dev/null'):", *_indented(draw(blocks(depth + 1)))]
    return found


@given(blocks())
def test_probes_see_what_a_trace_function_sees(body: list[str]) -> None:
    """For generated code: the result is the same, and the lines are those that Python's own tracing tells."""
    source = "\n".join(["def f(n):", *_indented(body), "    return n", ""])
    path = f"/generated/{hashlib.sha256(source.encode()).hexdigest()}.py"
    told = places(ast.parse(source))
    bare: dict[str, object] = {}
    probed: dict[str, object] = {}
    probes = Probes({path: sorted(set(told.values()))})
    _run(compile(source, path, "exec"), bare)
    _run(probes.code(source.encode(), path), probed)
    traced: set[int] = {1}
    for n in range(4):
        assert _traced(bare["f"], n, path, traced) == probed["f"](n)  # type: ignore[operator]
    quiet = {line for line in told if source.splitlines()[line - 1].strip() in ("try:", "pass")}
    branches = {line for line in told if source.splitlines()[line - 1].strip().startswith(("except", "case"))}
    seen = ran(probes)
    assert seen - quiet - branches == (traced & told.keys()) - quiet - branches
    assert seen & branches <= traced


def _run(code: object, names: dict[str, object]) -> None:
    exec(code, names)  # type: ignore[arg-type]


def _traced(function: object, n: int, path: str, lines: set[int]) -> object:
    def trace(frame: object, event: str, arg: object) -> object:
        code, line = frame.f_code, frame.f_lineno  # type: ignore[attr-defined]
        if code.co_filename == path and event == "line":
            lines.add(line)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        return function(n)  # type: ignore[operator]
    finally:
        sys.settrace(before)


WORDS = st.sampled_from(
    [
        "if x:",
        "    y = (",
        ")",
        "'''",
        "# c",
        "x = 1",
        "\tpass",
        "\x0c",
        "\x0cx = 2",
        "@d",
        "def f():",
        "a; b",
        "\\",
        "é",
    ]
)


@given(st.lists(st.one_of(WORDS, st.text(max_size=8)), max_size=12), st.lists(WORDS, max_size=12), st.booleans())
def test_any_change_has_lines_or_none(after: list[str], before: list[str], added: bool) -> None:
    """Whatever stands in a file: no answer, or lines of its own statements; none where nothing differs."""
    text = "\n".join(after).encode("utf-8", "surrogatepass")
    side = Side(data=None if added else "\n".join(before).encode(), mode="none" if added else "file")
    lines = _coverage._lines(Changed(path="a.py", base=side, green=Side(data=text, mode="file")))
    tree = parse(text.decode("utf-8", "surrogatepass"))
    assert lines is None or tree is not None
    if lines and tree is not None:
        assert lines.items() <= places(tree).items()
        assert all(1 <= probe <= line for line, probe in lines.items())
    if not added and before == after:
        assert not lines


def test_lines_are_counted_as_python_counts_them() -> None:
    """A form feed ends no line, and an unchanged line behind one is not taken for a changed one."""
    before, after = b"a = 1\n\x0cb = 2\nc = 3\n", b"a = 1\n\x0cb = 2\nc = 4\n"
    change = Changed(path="a.py", base=Side(data=before, mode="file"), green=Side(data=after, mode="file"))
    assert _coverage._lines(change) == {3: 3}
