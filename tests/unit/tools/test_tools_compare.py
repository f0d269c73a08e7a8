"""compare_tests_t0: what makes tests less strict is found, what does not is left alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain import documents
from greenroom.domain.outcomes import ScanResult
from greenroom.tools import _python, _strictness, compare_tests_t0

pytestmark = pytest.mark.slow

HEAD = "import pytest\n"
BASE = HEAD + "def test_a():\n    x = f()\n    assert x == 1\n    assert g(x) == 2\n"


def blocking(body: Any, base: dict[str, str], green: dict[str, str]) -> set[str]:
    """The rules of blocking findings."""
    ran = body("compare_tests_t0", base=base, green=green)
    assert ran.code == 0, ran.stderr
    result = documents.decode(ScanResult, json.dumps(ran.result).encode())
    return {finding.rule for finding in result.findings if finding.blocks}


def rules(before: str, after: str) -> set[str]:
    """What loosened a module's tests, and its marks."""
    old, new = _python.parse(before), _python.parse(after)
    assert old is not None
    assert new is not None
    tests, later = _strictness.tests(old), _strictness.tests(new)
    found = {rule for name in tests if name in later for rule, _, _ in _strictness.loosened(tests[name], later[name])}
    return found | {"test-skipped" for _ in _strictness.module_skips(old, new)}


def parsed(text: str) -> dict[str, _strictness.Test]:
    """The tests of a module's text."""
    module = _python.parse(text)
    assert module is not None
    return _strictness.tests(module)


def placed(path: str, text: str) -> dict[str, list[tuple[str, _strictness.Test]]]:
    """The tests of `text` as those that a file gained."""
    return {name: [(path, test)] for name, test in parsed(text).items()}


@pytest.mark.parametrize(
    ("after", "rule"),
    [
        (BASE.replace("    assert g(x) == 2\n", ""), "assertion-removed"),
        (BASE.replace("x == 1", "x"), "assertion-weakened"),
        (BASE.replace("x == 1", "True"), "assertion-weakened"),
        (BASE.replace("x == 1", "x == 1 or True"), "assertion-weakened"),
        (BASE.replace("x == 1", "x in (1, 2)"), "assertion-weakened"),
        (BASE.replace("x == 1", "x == x"), "assertion-weakened"),
        (BASE.replace("x == 1", "isinstance(x, int)"), "assertion-weakened"),
        (BASE.replace("    x = f()", "    return\n    x = f()"), "assertion-removed"),
        (BASE.replace("    assert x", "    if False:\n        assert x"), "assertion-removed"),
        (BASE.replace("    x = f()", "    pytest.skip('x')\n    x = f()"), "test-skipped"),
        (BASE.replace("def test_a", "@pytest.mark.skip\ndef test_a"), "test-skipped"),
        (BASE.replace("def test_a", "@pytest.mark.xfail(reason='x')\ndef test_a"), "test-skipped"),
        (BASE.replace("def test_a", "@pytest.mark.skipif(True, reason='x')\ndef test_a"), "test-skipped"),
        (BASE.replace(HEAD, HEAD + "pytestmark = pytest.mark.skip\n"), "test-skipped"),
        (BASE.replace(HEAD, HEAD + "pytest.importorskip('nothing')\n"), "test-skipped"),
        (BASE.replace("    assert x == 1\n", "    try:\n        assert x == 1\n    except Exception:\n        pass\n"),
         "failure-swallowed"),
        (BASE.replace("    assert x == 1\n", "    with suppress(AssertionError):\n        assert x == 1\n"),
         "failure-swallowed"),
    ],
)  # fmt: skip
def test_loosened_tests_are_found(after: str, rule: str) -> None:
    """Each way to make a test less strict has its finding."""
    assert rule in rules(BASE, after)


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("assert x == approx(1, rel=1e-6)", "assert x == approx(1, rel=1e-2)", "tolerance-widened"),
        ("assert x == approx(1)", "assert x == approx(1, abs=5)", "tolerance-widened"),
        ("self.assertAlmostEqual(x, 1, places=7)", "self.assertAlmostEqual(x, 1, places=1)", "tolerance-widened"),
        ("assert_allclose(x, 1, rtol=1e-7)", "assert_allclose(x, 1, rtol=1)", "tolerance-widened"),
        ("self.assertEqual(x, 1)", "self.assertTrue(x)", "assertion-weakened"),
        ("with raises(ValueError):\n        f()", "with raises(Exception):\n        f()", "assertion-weakened"),
        (
            "with raises(ValueError, match='x'):\n        f()",
            "with raises(ValueError):\n        f()",
            "assertion-weakened",
        ),
        ("mock.assert_called_once_with(1)", "mock.called", "assertion-removed"),
    ],
)
def test_weaker_assertions_are_found(before: str, after: str, rule: str) -> None:
    """Tolerances, exceptions and unittest's methods are compared by strictness."""
    frame = "def test_a(self):\n    {}\n"
    assert rule in rules(frame.format(before), frame.format(after))
    assert rule not in rules(frame.format(after), frame.format(before))


@pytest.mark.parametrize(
    "after",
    [
        BASE.replace("x = f()", "x = f()  # the value"),
        BASE.replace("x = f()", "y = x = f()"),
        BASE + "    assert x != 3\n",
        BASE + "def test_b():\n    assert 1 == f()\n",
    ],
)
def test_stricter_tests_are_left_alone(after: str) -> None:
    """More tests, more assertions and other layout are no findings."""
    assert rules(BASE, after) == set()


def test_a_changed_expectation_weighs_and_does_not_block(body: Any) -> None:
    """Another expected value is not weaker; a person should see it."""
    assert rules(BASE, BASE.replace("x == 1", "x == 3")) == {"expectation-changed"}
    assert blocking(body, {"test_a.py": BASE}, {"test_a.py": BASE.replace("x == 1", "x == 3")}) == set()


def test_fewer_cases_are_found() -> None:
    """Cases of a parametrized test count."""
    frame = "import pytest\n@pytest.mark.parametrize('x', [{}])\ndef test_a(x):\n    assert x\n"
    assert rules(frame.format("1, 2, 3"), frame.format("1")) == {"cases-removed"}
    assert rules(frame.format("1"), frame.format("1, 2, 3")) == set()
    assert "test-skipped" in rules(frame.format("1, 2"), frame.format("1, pytest.param(2, marks=pytest.mark.skip)"))


@pytest.mark.parametrize(
    ("base", "green", "rule"),
    [
        ({"tests/test_a.py": BASE}, {}, "test-deleted"),
        ({"tests/test_a.py": BASE}, {"tests/test_a.py": HEAD}, "test-deleted"),
        ({"tests/test_a.py": BASE}, {"tests/test_a.py": BASE.replace("test_a", "check_a")}, "test-deleted"),
        ({"tests/test_a.py": BASE}, {"tests/test_a.py": "def ("}, "test-deleted"),
        ({"conftest.py": ""}, {"conftest.py": "collect_ignore = ['tests']\n"}, "collection-changed"),
        ({}, {"conftest.py": "def pytest_runtest_makereport(item, call):\n    pass\n"}, "collection-changed"),
        ({"conftest.py": ""}, {"conftest.py": "def pytest_collection_modifyitems(items):\n    items[:] = []\n"},
         "collection-changed"),
        ({"pytest.ini": "[pytest]\n"}, {"pytest.ini": "[pytest]\naddopts = -k nothing\n"}, "collection-changed"),
        ({"pyproject.toml": ""}, {"pyproject.toml": "[tool.pytest.ini_options]\ntestpaths = ['x']\n"},
         "collection-changed"),
        ({"tests/helpers.py": "def check(x):\n    assert x == 1\n"}, {"tests/helpers.py": "def check(x):\n    pass\n"},
         "assertion-removed"),
    ],
)  # fmt: skip
def test_lost_tests_and_changed_collection_block(
    body: Any, base: dict[str, str], green: dict[str, str], rule: str
) -> None:
    """Deleted tests, hooks that choose or judge tests, and settings that select them block."""
    assert rule in blocking(body, base, green)


def test_a_skipped_class_blocks(body: Any) -> None:
    """A mark of a class holds for each of its tests."""
    base = HEAD + "class TestA:\n    def test_a(self):\n        assert f() == 1\n"
    green = base.replace("class TestA", "@pytest.mark.skip\nclass TestA")
    assert blocking(body, {"test_a.py": base}, {"test_a.py": green}) == {"test-skipped"}


def test_a_moved_test_does_not_block(body: Any) -> None:
    """A test that another file gains is not lost."""
    assert blocking(body, {"tests/test_a.py": BASE}, {"tests/test_b.py": BASE}) == set()


EMPTY = HEAD + "def test_a():\n    pass\n"


@pytest.mark.parametrize(
    ("base", "green", "rule"),
    [
        ({"tests/test_a.py": BASE}, {"tests/test_b.py": EMPTY}, "assertion-removed"),
        ({"tests/test_a.py": BASE}, {"tests/test_a.py": HEAD, "tests/test_b.py": EMPTY}, "assertion-removed"),
        ({"tests/test_a.py": BASE}, {"tests/test_b.py": BASE.replace("x == 1", "x")}, "assertion-weakened"),
        ({"tests/test_a.py": BASE}, {"tests/test_b.py": BASE.replace("def test_a", "@pytest.mark.skip\ndef test_a")},
         "test-skipped"),
        ({"tests/test_a.py": BASE, "tests/test_b.py": BASE}, {"tests/test_c.py": BASE}, "test-deleted"),
        ({"tests/test_a.py": BASE, "tests/test_b.py": BASE}, {"tests/test_c.py": BASE, "tests/test_d.py": EMPTY},
         "assertion-removed"),
        ({"tests/test_a.py": BASE}, {"tests/helpers.py": BASE}, "test-deleted"),
    ],
)  # fmt: skip
def test_a_moved_test_stays_as_strict(body: Any, base: dict[str, str], green: dict[str, str], rule: str) -> None:
    """A test in another file is compared like one that stayed, and stands for one that is gone."""
    assert blocking(body, base, green) == {rule}


@pytest.mark.parametrize(
    "folder", ["build", "dist", ".attic", "node_modules", "venv", "CVS", "_darcs", "{arch}", "old.egg", "tests/build"]
)
def test_a_folder_that_no_runner_enters_is_no_place_for_a_moved_test(folder: str) -> None:
    """What pytest's own norecursedirs leaves out is not read; a test that went there is gone."""
    arrived = {"test_a": [(f"{folder}/test_b.py", parsed(BASE)["test_a"])]}
    assert [found["rule"] for found in compare_tests_t0._deleted("tests/test_a.py", parsed(BASE), arrived)] == [
        "test-deleted"
    ]


FALSE = HEAD + "if False:\n" + "".join(f"    {line}\n" for line in BASE.splitlines()[1:])
CLASS = "class TestA:\n    def test_a(self):\n        assert f() == 1\n"


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        (BASE, FALSE, "test-skipped"),
        (BASE, FALSE.replace("if False:", "if True:\n    pass\nelse:"), "test-skipped"),
        (BASE, FALSE.replace("if False:", "with suppress(Exception):\n    1 / 0"), "test-skipped"),
        (BASE, FALSE.replace("if False:", "try:\n    1 / 0") + "except Exception:\n    pass\n", "test-skipped"),
        (FALSE.replace("False", "windows"), FALSE, "test-skipped"),
        (BASE, BASE + "del test_a\n", "test-deleted"),
        (BASE, BASE + "test_a = None\n", "test-deleted"),
        (BASE, BASE + "if True:\n    del test_a\n", "test-deleted"),
        (BASE, BASE + "from b import other as test_a\n", "test-deleted"),
        (BASE, BASE + "for test_a in ():\n    pass\n", "test-deleted"),
        (BASE, BASE + "def f():\n    global test_a\n    del test_a\nf()\n", "test-deleted"),
        (BASE + "test_a = mark(test_a)\n", BASE + "test_a = mark(test_a)\ndel test_a\n", "test-deleted"),
        (CLASS, CLASS + "    del test_a\n", "test-deleted"),
        (CLASS, CLASS + "del TestA\n", "test-deleted"),
        (CLASS, CLASS + "TestA.test_a = None\n", "test-deleted"),
        (CLASS, CLASS + "class TestA:\n    pass\n", "test-deleted"),
    ],
)
def test_a_test_that_is_not_defined_any_more_is_found(before: str, after: str, rule: str) -> None:
    """Conditions around a test, and its name bound to something else, count in its file as in another."""
    assert rules(before, after) == {rule}
    assert rules(after, after) == set()
    moved = compare_tests_t0._deleted("tests/test_a.py", parsed(before), placed("tests/test_b.py", after))
    assert {found["rule"] for found in moved if found["blocks"]} == {rule}


@pytest.mark.parametrize(
    "after",
    [
        "test_a = None\n" + BASE,
        BASE + "x = [test_a for test_a in ()]\n",
        BASE + "def test_b():\n    test_a = 1\n    assert test_a == 1\n",
        BASE + "class TestB:\n    def test_a(self):\n        pass\n",
    ],
)
def test_a_name_bound_elsewhere_or_earlier_is_left_alone(after: str) -> None:
    """Only what follows a test in its own scope takes its name from it."""
    assert rules(BASE, after) == set()


def test_a_test_taken_out_of_its_condition_is_left_alone() -> None:
    """Fewer conditions are stricter."""
    assert rules(FALSE.replace("False", "windows"), BASE) == set()


def test_moved_tests_of_one_name_are_paired_by_what_they_say(body: Any) -> None:
    """Two tests of one name that both moved are each found again, whatever the new files are called."""
    other = HEAD + "def test_a():\n    assert h() == 3\n"
    base = {"tests/test_a.py": other, "tests/test_b.py": BASE}
    assert blocking(body, base, {"tests/test_c.py": BASE, "tests/test_d.py": other}) == set()


INI = {"pytest.ini": "[pytest]\ntestpaths = ./tests/unit\n"}
PYPROJECT = {"pyproject.toml": '[tool.pytest.ini_options]\ntestpaths = ["tests/un*", "gone"]\n'}


@pytest.mark.parametrize("settings", [INI, PYPROJECT])
@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("tests/unit/test_a.py", "tests/unit/deep/test_a.py", set()),
        ("tests/unit/test_a.py", "tests/unit2/test_a.py", {"test-deleted"}),
        ("tests/unit/test_a.py", "tests/test_a.py", {"test-deleted"}),
        ("tests/test_a.py", "tests/unit/test_a.py", set()),
        ("tests/test_a.py", "other/test_a.py", set()),
    ],
)
def test_a_test_that_left_the_paths_of_the_settings_is_deleted(
    body: Any, settings: dict[str, str], before: str, after: str, expected: set[str]
) -> None:
    """Where `testpaths` has pytest look, a file elsewhere is no place for a test that ran; what ran nowhere may go
    anywhere."""
    there = {**settings, "tests/unit/test_z.py": HEAD}
    if settings is PYPROJECT and after.startswith("tests/unit2"):
        expected = set()  # the pattern names that folder too
    assert blocking(body, {**there, before: BASE}, {**there, after: BASE}) == expected


@pytest.mark.parametrize("paths", ["nowhere", "", "../elsewhere", "/tests"])
def test_paths_of_the_settings_that_lead_nowhere_bound_nothing(body: Any, paths: str) -> None:
    """pytest looks everywhere then, and so does the run of the tests."""
    there = {"pytest.ini": f"[pytest]\ntestpaths = {paths}\n"}
    base, green = {**there, "tests/test_a.py": BASE}, {**there, "other/test_a.py": BASE}
    assert blocking(body, base, green) == set()


def test_code_outside_the_tests_is_left_alone(body: Any) -> None:
    """Assertions of the product are not tests."""
    assert blocking(body, {"a.py": "def test():\n    assert x\n"}, {"a.py": "def test():\n    pass\n"}) == set()


SETTINGS = '[tool.pytest.ini_options]\npython_files = ["spec_*.py"]\npython_functions = ["check_"]\n'


@pytest.mark.parametrize("path", ["specs/spec_a.py", "tests.py", "a_tests.py", "testa.py", "Tests/a.py"])
def test_tests_that_settings_or_unittest_name_are_compared(body: Any, path: str) -> None:
    """By one list with what is laid over; functions that settings call tests are tests."""
    for name in ("test_a", "check_a"):
        before = BASE.replace("test_a", name)
        base = {path: before, "pyproject.toml": SETTINGS}
        assert blocking(body, base, {**base, path: before.replace("x == 1", "x")}) == {"assertion-weakened"}
        assert blocking(body, base, {**base, path: HEAD}) == {"test-deleted"}


def test_code_that_only_looks_like_a_test_is_left_alone(body: Any) -> None:
    """What unittest's pattern fits and holds no test is code; so is all where a pattern fits every file."""
    assert blocking(body, {"testbed.py": "def f():\n    assert x\n"}, {"testbed.py": "def f():\n    pass\n"}) == set()
    every = {"pyproject.toml": SETTINGS.replace("spec_*.py", "*.py")}
    code = {"a.py": "def f():\n    assert x\n"}
    assert blocking(body, every | code, every | {"a.py": "def f():\n    pass\n"}) == set()


@given(st.text(alphabet="defasrt_x():\n =1@pymk.", max_size=120), st.text(alphabet="defasrt_x():\n =1", max_size=120))
def test_any_two_modules_compare(before: str, after: str) -> None:
    """Whatever parses can be compared."""
    old, new = _python.parse(before), _python.parse(after)
    if old is not None and new is not None:
        assert isinstance(rules(before, after), set)
