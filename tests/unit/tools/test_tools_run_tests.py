"""run_tests_t1: real suites in small trees."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from greenroom.domain import documents
from greenroom.domain.coverage import facts_of
from greenroom.domain.outcomes import TestRun
from greenroom.domain.testfiles import SuiteFiles
from greenroom.tools import run_tests_t1
from greenroom.tools._coverage import Wanted
from greenroom.tools.run_tests_t1 import Report, read_report

pytestmark = pytest.mark.slow

PASSING = {
    "mod.py": "def f():\n    return 1\n",
    "tests/test_mod.py": "import mod\ndef test_f():\n    assert mod.f() == 1\n",
}


def run(body: Callable[..., Any], tree: dict[str, str], **args: Any) -> TestRun:
    """The result as the domain reads it."""
    ran = body("run_tests_t1", args, work=tree)
    assert ran.code == 0, ran.stderr
    return documents.decode(TestRun, json.dumps(ran.result).encode())


def test_pytest_outcomes_are_named_by_node_id(body: Any) -> None:
    """Each outcome that pytest knows is reported under the test's node id, and the sentinel failed."""
    tree = PASSING | {
        "tests/test_more.py": (
            "import pytest\n"
            "def test_bad():\n    assert 0\n"
            "@pytest.mark.skip\ndef test_skip():\n    pass\n"
            "@pytest.mark.xfail\ndef test_xfail():\n    assert 0\n"
            "@pytest.mark.xfail\ndef test_xpass():\n    pass\n"
            "@pytest.fixture\ndef broken():\n    raise ValueError\n"
            "def test_error(broken):\n    pass\n"
        )
    }
    found = run(body, tree)
    assert found.framework == "pytest"
    assert found.sentinel == "failed"
    assert found.outcomes == {
        "tests/test_mod.py::test_f": "passed",
        "tests/test_more.py::test_bad": "failed",
        "tests/test_more.py::test_skip": "skipped",
        "tests/test_more.py::test_xfail": "xfailed",
        "tests/test_more.py::test_xpass": "xpassed",
        "tests/test_more.py::test_error": "error",
    }


def test_unittest_suites_run_by_unittest(body: Any) -> None:
    """A tree whose tests are TestCases and which never speaks of pytest runs by unittest."""
    tree = {
        "pkg/__init__.py": "",
        "tests/__init__.py": "",
        "tests/test_a.py": (
            "import unittest, pkg\n"
            "class A(unittest.TestCase):\n"
            "    def test_ok(self):\n        self.assertTrue(pkg)\n"
            "    def test_bad(self):\n        self.fail()\n"
            "    def test_sub(self):\n"
            "        for i in range(3):\n            with self.subTest(i=i):\n"
            "                self.assertNotEqual(i, 1)\n"
            "    @unittest.skip('no')\n    def test_skip(self):\n        pass\n"
        ),
        "tests/test_b.py": "import missing_module\nimport unittest\n",
    }
    found = run(body, tree)
    assert (found.framework, found.sentinel) == ("unittest", "failed")
    assert found.outcomes["tests.test_a.A.test_ok"] == "passed"
    assert found.outcomes["tests.test_a.A.test_bad"] == "failed"
    assert found.outcomes["tests.test_a.A.test_sub"] == "failed"
    assert found.outcomes["tests.test_a.A.test_skip"] == "skipped"
    assert "error" in found.outcomes.values()


NO_ROOM = "open('/dev/full', 'wb', buffering=0).write(b'x')"
WRAPPED = f"        try:\n            {NO_ROOM}\n        except OSError:\n            raise RuntimeError('no cache')\n"
TRIES = (
    f"    def test_full({{0}}):\n        {NO_ROOM}\n"
    f"    def test_wrapped({{0}}):\n{WRAPPED}"
    f"    def test_wants_it({{0}}):\n        with pytest.raises(OSError):\n            {NO_ROOM}\n"
    "    def test_bad({0}):\n        assert 0\n"
)


@pytest.mark.parametrize(
    ("head", "place"),
    [
        ("import pytest\nclass TestA:\n", "tests/test_a.py::TestA::"),
        ("import unittest\nclass A(unittest.TestCase):\n", "tests.test_a.A."),
    ],
    ids=["pytest", "unittest"],
)
def test_a_test_that_finds_no_room_to_write_is_told_apart(body: Any, head: str, place: str) -> None:
    """Of the failing tests those that met a full disk are named, also behind an error that they raised for it."""
    text = head + TRIES.format("self")
    if "unittest" in head:
        text = text.replace("with pytest.raises(OSError)", "with self.assertRaises(OSError)")
    found = run(body, {"pkg.py": "", "tests/__init__.py": "", "tests/test_a.py": text})
    assert found.framework == ("unittest" if "unittest" in head else "pytest")
    failed = {name for name, outcome in found.outcomes.items() if outcome in ("failed", "error")}
    assert failed == {f"{place}test_full", f"{place}test_wrapped", f"{place}test_bad"}
    assert found.bounds == {f"{place}test_full": "disk", f"{place}test_wrapped": "disk"}


def test_a_tree_without_tests_has_no_framework(body: Any) -> None:
    """Without test files nothing is run, and the notes say how to set a command."""
    found = run(body, {"mod.py": "x = 1\n"})
    assert found.framework == "none"
    assert "test command" in found.notes[0]


def test_a_conftest_that_forges_outcomes_is_found_by_the_sentinel(body: Any) -> None:
    """A conftest.py that turns failures into passes turns the sentinel too."""
    tree = PASSING | {
        "conftest.py": (
            "import pytest\n"
            "@pytest.hookimpl(hookwrapper=True)\n"
            "def pytest_runtest_makereport(item, call):\n"
            "    outcome = yield\n"
            "    outcome.get_result().outcome = 'passed'\n"
        ),
        "tests/test_bad.py": "def test_bad():\n    assert 0\n",
    }
    found = run(body, tree)
    assert found.sentinel == "passed"


def test_a_conftest_deep_in_the_tree_is_found_too(body: Any) -> None:
    """Hooks of a conftest.py hold for its directory only; a sentinel stands in each."""
    forger = (
        "def pytest_runtest_logreport(report):\n    pass\n"
        "import pytest\n"
        "@pytest.hookimpl(hookwrapper=True)\n"
        "def pytest_runtest_makereport(item, call):\n"
        "    outcome = yield\n    outcome.get_result().outcome = 'passed'\n"
    )
    tree = PASSING | {"tests/deep/conftest.py": forger, "tests/deep/test_bad.py": "def test_bad():\n    assert 0\n"}
    assert run(body, tree).sentinel == "passed"


def test_a_module_that_is_skipped_does_not_look_forged(body: Any) -> None:
    """A sentinel that is skipped with its whole module tells nothing; another one failed."""
    tree = PASSING | {"more/test_s.py": "import pytest\npytestmark = pytest.mark.skip\ndef test_s():\n    assert 0\n"}
    found = run(body, tree)
    assert found.sentinel == "failed"
    assert found.outcomes["more/test_s.py::test_s"] == "skipped"


def test_a_conftest_that_drops_tests_is_found_by_the_sentinel(body: Any) -> None:
    """A plugin that throws the sentinels out is seen: they are missing."""
    tree = PASSING | {
        "conftest.py": (
            "import pytest\n"
            "@pytest.hookimpl(hookwrapper=True)\n"
            "def pytest_collection_modifyitems(items):\n"
            "    yield\n"
            "    items[:] = [i for i in items if i.name == 'test_f']\n"
        ),
    }
    assert run(body, tree).sentinel == "missing"


def test_a_suite_that_kills_its_process_is_reported(body: Any) -> None:
    """The test in which the process dies is an error; what passed before it counts; a note says how it ended."""
    tree = PASSING | {
        "tests/test_z.py": "import os\ndef test_die():\n    os.kill(os.getpid(), 11)\ndef test_after():\n    pass\n"
    }
    found = run(body, tree)
    assert found.sentinel == "failed"
    assert found.outcomes == {"tests/test_mod.py::test_f": "passed", "tests/test_z.py::test_die": "error"}
    assert "signal 11" in " ".join(found.notes)


def test_a_broken_conftest_is_no_forgery(body: Any) -> None:
    """A suite that cannot start passes nothing; the sentinel is run alone and its failure reported."""
    found = run(body, PASSING | {"conftest.py": "import missing_module\n"})
    assert found.sentinel == "failed"
    assert found.outcomes == {"<start of the suite>": "error"}


def test_missing_plugins_in_the_options_are_left_out_and_noted(body: Any) -> None:
    """Options of a plugin that is not there do not end the run."""
    tree = PASSING | {
        "pytest.ini": "[pytest]\naddopts = --no-such-option -x --cov=mod\nrequired_plugins = pytest-absent\n"
    }
    found = run(body, tree)
    assert found.outcomes == {"tests/test_mod.py::test_f": "passed"}
    assert found.sentinel == "failed"
    assert any("did not start" in note for note in found.notes)


def test_stopping_at_the_first_failure_does_not_hold_here(body: Any) -> None:
    """`-x` in the project's options cannot hide the tests after a failure."""
    tree = PASSING | {"pytest.ini": "[pytest]\naddopts = -x\n", "tests/test_a.py": "def test_a():\n    assert 0\n"}
    assert set(run(body, tree).outcomes.values()) == {"passed", "failed"}


def test_src_layouts_and_metadata_are_seen(body: Any) -> None:
    """A package below src/ can be imported, and its version asked for, without being installed."""
    tree = {
        "pyproject.toml": (
            '[project]\nname = "green-sample"\nversion = "4.2"\n[tool.pytest.ini_options]\ntestpaths = ["t"]\n'
        ),
        "src/green_sample/__init__.py": "",
        "t/test_it.py": (
            "import green_sample\nfrom importlib.metadata import version\n"
            "def test_version():\n    assert version('green-sample') == '4.2'\n"
        ),
        "other/test_not.py": "def test_not():\n    assert 0\n",
    }
    assert run(body, tree).outcomes == {"t/test_it.py::test_version": "passed"}


def test_a_test_command_chooses_what_runs(body: Any) -> None:
    """`argv` names pytest or unittest with its arguments, `only` narrows it."""
    tree = PASSING | {"checks/test_c.py": "def test_c():\n    pass\ndef test_d():\n    pass\n"}
    assert set(run(body, tree, argv="python -m pytest checks").outcomes) == {
        "checks/test_c.py::test_c",
        "checks/test_c.py::test_d",
    }
    assert set(run(body, tree, only="checks/test_c.py::test_d").outcomes) == {"checks/test_c.py::test_d"}


def test_a_command_that_is_no_framework_is_refused(body: Any) -> None:
    """A command other than pytest or unittest is refused with a remedy."""
    ran = body("run_tests_t1", {"argv": "make test"}, work=PASSING)
    assert ran.result["refused"]["rule"] == "test-command"


def test_a_stuck_suite_leaves_no_result(body: Any) -> None:
    """A suite that outlives its limit is a crash of the run: nothing can be concluded."""
    tree = {"test_stuck.py": "def test_stuck():\n    import threading\n    threading.Event().wait()\n"}
    ran = body("run_tests_t1", {"limit_s": 2}, work=tree)
    assert ran.code != 0
    assert ran.result is None
    assert "took more than 2 s" in ran.stderr


def test_settings_come_from_base_where_it_is_mounted(body: Any) -> None:
    """Green cannot narrow its own tests: the settings are those of the tree mounted as base."""
    green = PASSING | {"pytest.ini": "[pytest]\ntestpaths = nothing\n", "nothing/x.txt": ""}
    ran = body("run_tests_t1", work=green, base=PASSING | {"pytest.ini": "[pytest]\ntestpaths = tests\n"})
    assert ran.result["outcomes"] == {"tests/test_mod.py::test_f": "passed"}


def test_every_failing_test_is_named(body: Any) -> None:
    """Thirty tests that fail are thirty notes, each with its reason."""
    many = "import pytest\n@pytest.mark.parametrize('n', range(30))\ndef test_bad(n):\n    assert n < 0\n"
    found = run(body, PASSING | {"tests/test_more.py": many})
    assert list(found.outcomes.values()).count("failed") == 30
    for n in range(30):
        assert any(note.startswith(f"failed: tests/test_more.py::test_bad[{n}]: ") for note in found.notes)


def test_failing_tests_that_are_too_many_to_name_are_counted() -> None:
    """Names are bounded in number and in bytes; the last note says how many are missing, and where to look."""
    for names in ([f"t{n}" for n in range(2000)], [f"{n}-{'é' * 400}" for n in range(400)]):
        report = Report(outcomes=dict.fromkeys(names, "failed"))
        notes = list(run_tests_t1._failing(report))
        more = len(names) - len(notes) + 1
        assert 60 < len(notes) < len(names)
        assert notes[-1].startswith(f"failed: {more} more; `greenroom show ID --runs`")
        assert sum(len(note.encode()) for note in notes[:-1]) <= run_tests_t1.MAX_NAMED_BYTES


def test_malformed_report_lines_are_left_out() -> None:
    """The suite's own process can write to the report; what makes no sense there changes nothing."""
    lines = [
        b'{"event": "outcome", "id": "a", "outcome": "passed"}',
        b'{"event": "outcome", "id": "a", "outcome": "failed"}',
        b'{"event": "outcome", "id": 3, "outcome": "passed"}',
        b'{"event": "outcome", "id": "b", "outcome": "great"}',
        b"[1]",
        b"\xff{",
    ]
    assert run_tests_t1.read_report(b"\n".join(lines)).outcomes == {"a": "failed"}


MEASURED = {
    "pkg/__init__.py": "",
    "pkg/a.py": (
        '"""Changed words."""\n'
        "def f(n):\n"
        "    # a changed comment\n"
        "    if n:\n"
        "        return [\n            2,\n        ]\n"
        "    return 3\n"
        "def never():\n"
        "    return 4\n"
    ),
    "pkg/alone.py": "x = 1\n",
    "tests/test_a.py": "import pkg.a\ndef test_f():\n    assert pkg.a.f(1)\n",
    "README.md": "Changed.\n",
}
BEFORE = MEASURED | {
    "pkg/a.py": '"""Words."""\ndef f(n):\n    # a comment\n    if n:\n        return [1]\n    return 1\ngone = 1\n',
    "pkg/alone.py": "",
    "README.md": "",
}


def measured(body: Callable[..., Any], base: dict[str, str], work: dict[str, str]) -> TestRun:
    """The result of a run that has base beside it."""
    ran = body("run_tests_t1", {}, work=work, base=base)
    assert ran.code == 0, ran.stderr
    return documents.decode(TestRun, json.dumps(ran.result).encode())


UNITTEST = "import unittest, pkg.a\nclass A(unittest.TestCase):\n    def test_f(self):\n        assert pkg.a.f(1)\n"


@pytest.mark.parametrize("suite", ["pytest", "unittest"])
def test_which_changed_lines_ran_is_measured(body: Any, suite: str) -> None:
    """Lines of statements that base does not have count; comments, docstrings, deletions and prose do not."""
    tests = {} if suite == "pytest" else {"tests/test_a.py": UNITTEST, "tests/__init__.py": ""}
    found = measured(body, BEFORE | tests, MEASURED | tests)
    assert found.framework == suite
    assert found.coverage is not None
    counted = {file.path: (file.lines, file.ran) for file in found.coverage.files}
    assert counted == {"pkg/a.py": ((5, 6, 7, 8, 9, 10), (5, 6, 7, 9)), "pkg/alone.py": ((1,), ())}
    assert facts_of(found.coverage) == {
        "changed-lines": "7",
        "changed-lines-ran": "4",
        "not-run": "pkg/a.py:8, pkg/a.py:10, pkg/alone.py:1",
        "not-measured": "",
    }


def test_a_suite_that_traces_itself_is_measured_and_undisturbed(body: Any) -> None:
    """A trace function of the project sees what it sees without probes, and no test is told of one that is not its."""
    tree = MEASURED | {
        "tests/test_trace.py": (
            "import sys, pkg.a\n"
            "def test_nobody_traces():\n    assert sys.gettrace() is None and sys.getprofile() is None\n"
            "def test_own():\n"
            "    seen = []\n"
            "    def trace(frame, event, arg):\n"
            "        if frame.f_code.co_name == 'f': seen.append((event, frame.f_lineno))\n"
            "        return trace\n"
            "    sys.settrace(trace)\n    try:\n        pkg.a.f(0)\n    finally:\n        sys.settrace(None)\n"
            "    assert seen == [('call', 2), ('line', 4), ('line', 8), ('return', 8)]\n"
        )
    }
    found = measured(body, tree | {"pkg/a.py": BEFORE["pkg/a.py"], "pkg/alone.py": "x = 1\n"}, tree)
    assert set(found.outcomes.values()) == {"passed"}
    assert found.coverage is not None
    (file,) = found.coverage.files
    assert file.ran == (5, 6, 7, 8, 9)


def test_what_cannot_be_measured_is_said(body: Any) -> None:
    """A file that does not parse has no lines; one that was loaded otherwise is not watched; without base: nothing."""
    conftest = (
        "import sys, types, pathlib\nname = 'pkg.alone'\nmodule = types.ModuleType(name)\n"
        "exec(pathlib.Path('pkg/alone.py').read_text(), vars(module))\nsys.modules[name] = module\n"
    )
    tree = MEASURED | {"bad.py": "print 1\n", "tests/conftest.py": conftest}
    found = measured(body, tree | {"bad.py": "", "pkg/alone.py": "", "README.md": "x"}, tree)
    assert found.coverage is not None
    assert found.coverage.unread == ("bad.py",)
    assert facts_of(found.coverage)["not-measured"] == "bad.py could not be read"
    assert facts_of(found.coverage)["not-run"] == "pkg/alone.py:1"
    assert run(body, MEASURED).coverage is None


def test_a_report_that_is_cut_or_forged_measures_no_more_than_was_asked() -> None:
    """Lines that nobody asked for are left out, and a process that says nothing measured nothing."""
    wanted = Wanted(work=Path("/w"), files={"a.py": {3: 3, 4: 3, 9: 9}})
    forged = read_report(
        b'{"event":"lines","ran":{"/w/a.py":[3,7,"9",[1]],"/w/b.py":[1],"x":3},"unseen":[1,"/w/a.py"]}\n'
        b'{"event":"lines","ran":[]}\n{"event":"lines"}\n'
    )
    told = wanted.result(forged.ran, forged.unseen)
    assert told["files"] == [{"path": "a.py", "lines": [3, 4, 9], "ran": [3, 4], "watched": False}]
    silent = wanted.result(None, ())
    assert "did not tell" in silent["why"]
    assert silent["files"][0]["ran"] == []


def test_a_suite_has_the_variables_that_are_named_and_no_others(body: Callable[..., Any]) -> None:
    """What the cell has besides stays hidden, and what the suite runs on is not replaced."""
    text = """import os

def test_named():
    assert os.environ["TOKEN"] == "t"

def test_others():
    assert "SECRET" not in os.environ and os.environ["TZ"] == "UTC"
"""
    has = {"TOKEN": "t", "SECRET": "s", "TZ": "Europe/Paris"}
    ran = body("run_tests_t1", {"environment": "TOKEN TZ"}, variables=has, work={"test_a.py": text})
    assert ran.code == 0, ran.stderr
    assert set(ran.result["outcomes"].values()) == {"passed"}
    assert len(ran.result["outcomes"]) == 2


ALONE: dict[str, tuple[dict[str, str], dict[str, str], bool]] = {
    "prose": ({"README.md": "teh\n"}, {"README.md": "the\n"}, True),
    "a comment": (
        {"mod.py": "# teh\ndef f():\n    return 1\n"},
        {"mod.py": "# the\ndef f():\n    return 1\n"},
        True,
    ),
    "code, which has probes": ({}, {"mod.py": "def f():\n    return 2 - 1\n"}, False),
    "what tells the framework": ({"Makefile": "t:\n"}, {"Makefile": "t:\n\tpytest\n"}, False),
    "the version": (
        {"pyproject.toml": "[project]\nname = 'mod'\nversion = '1'\n"},
        {"pyproject.toml": "[project]\nname = 'mod'\nversion = '2'\n"},
        False,
    ),
    "where the settings stand": (
        {"pytest.ini": "[pytest]\n"},
        {"pytest.ini": "[pytest]\n", "pytest.toml": "[pytest]\n"},
        False,
    ),
}


@pytest.mark.parametrize("name", ALONE)
def test_a_run_beside_base_says_whether_base_made_a_difference(body: Any, name: str) -> None:
    """It did where probes stood in Green, or where base's settings, framework or metadata are others than Green's.

    Whether the tree itself is Green's is the keeper's to say.
    """
    before, after, alone = ALONE[name]
    usual = PASSING if name != "what tells the framework" else BY_UNITTEST
    base = usual | before
    ran = body("run_tests_t1", {}, work=base | after, base=base)
    found = documents.decode(TestRun, json.dumps(ran.result).encode())
    assert (found.alone, found.sentinel) == (alone, "failed")
    assert set(found.outcomes.values()) == {"passed"}


def test_a_run_without_base_is_no_run_beside_it(body: Any) -> None:
    """The word is only for what had another tree beside it, tests or not."""
    assert not run(body, PASSING).alone
    assert not run(body, {"mod.py": "x = 1\n"}).alone
    nothing = body("run_tests_t1", {}, work={"mod.py": "x = 1\n"}, base={"mod.py": "x = 2\n"})
    assert (nothing.result["framework"], nothing.result["alone"]) == ("none", True)


BY_UNITTEST = {
    "mod.py": "x = 1\n",
    "tests/__init__.py": "",
    "tests/test_a.py": "import unittest\nclass A(unittest.TestCase):\n    def test_ok(self):\n        pass\n",
}


CODE = "def f():\n    return 1\n"
TEST = "import mod\n\n\ndef test_f():\n    assert mod.f() == 1\n"
CASES = (
    "import unittest\nimport mod\n\n\nclass T(unittest.TestCase):\n    def test_f(self):\n        assert mod.f() == 1\n"
)


def found_in(body: Any, tree: dict[str, str]) -> SuiteFiles:
    """Where the run of a suite that passes found its tests."""
    found = run(body, tree)
    assert set(found.outcomes.values()) == {"passed"}, found
    assert found.suite is not None
    return found.suite


def test_an_ordinary_suite_has_nothing_beyond_names(body: Any) -> None:
    """Tests by the usual names, with conftest and helpers among them, in a package and beside it: names tell of all."""
    tree = {
        "pkg/__init__.py": "from pkg.mod import f\n",
        "pkg/mod.py": CODE,
        "pkg/tests/__init__.py": "",
        "pkg/tests/helper.py": "import pytest\nONE = 1\n",
        "pkg/tests/test_mod.py": (
            "import pkg\nfrom pkg.tests.helper import ONE\ndef test_f():\n    assert pkg.f() == ONE\n"
        ),
        "tests/conftest.py": "import pytest\n@pytest.fixture\ndef one():\n    return 1\n",
        "tests/test_more.py": "from pkg import f\ndef test_g(one):\n    assert f() == one\n",
    }
    assert found_in(body, tree) == SuiteFiles()
    assert found_in(body, {"mod.py": CODE, "tests/test_mod.py": CASES}) == SuiteFiles()


def test_tests_that_settings_choose_are_told(body: Any) -> None:
    """The files, the patterns that chose them, and the directory that only settings name."""
    settings = '[tool.pytest.ini_options]\ntestpaths = ["specs"]\npython_files = ["spec_*.py"]\n'
    tree = {"pyproject.toml": settings, "mod.py": CODE, "specs/spec_mod.py": TEST, "specs/helper.py": ""}
    expected = SuiteFiles(tests=("specs/spec_mod.py",), places=("specs",), patterns=("spec_*.py",))
    assert found_in(body, tree) == expected


def test_plugins_fixtures_and_inherited_tests_outside_the_tests_are_told(body: Any) -> None:
    """What options and settings load, what gives fixtures, what a test class inherits, what uses a test framework."""
    tree = {
        "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "-p loaded"\n',
        "conftest.py": 'pytest_plugins = ["named"]\nfrom given import one\n',
        "loaded.py": "",
        "named.py": "",
        "given.py": "import pytest\n@pytest.fixture\ndef one():\n    return 1\n",
        "base.py": "class Cases:\n    def test_f(self, one):\n        assert one == 1\n",
        "support.py": "from unittest import TestCase\ndef check():\n    pass\n",
        "plain.py": "VALUE = 1\n",
        "test_a.py": "import support, plain\nfrom base import Cases\nclass TestA(Cases):\n    pass\n",
    }
    assert found_in(body, tree) == SuiteFiles(others=("base.py", "given.py", "loaded.py", "named.py", "support.py"))


def test_examples_in_code_and_in_text_are_told_apart(body: Any) -> None:
    """Examples in a docstring stand in the code that they test; a text of examples is a test of its own."""
    example = "\n>>> 1 + 1\n2\n"
    options = '[tool.pytest.ini_options]\naddopts = "--doctest-modules --doctest-glob=*.rst"\n'
    tree = {"pyproject.toml": options, "mod.py": f'"""Mod.\n{example}"""\n{CODE}', "docs/guide.rst": example} | {
        "test_mod.py": TEST
    }
    assert found_in(body, tree) == SuiteFiles(tests=("docs/guide.rst",), others=("mod.py",))
    loads = (
        "import doctest\nimport mod\n\n\ndef load_tests(loader, tests, pattern):\n"
        "    tests.addTests(doctest.DocTestSuite(mod))\n    return tests\n"
    )
    tree = {"mod.py": f'"""Mod.\n{example}"""\n{CODE}', "tests/test_mod.py": CASES + loads, "testmore.py": CASES}
    assert found_in(body, tree).others == ("mod.py",)


def test_unittest_s_own_pattern_is_told(body: Any) -> None:
    """A file that unittest finds by `test*.py`, and one whose tests another inherits."""
    own = f"from cases import T\n{CASES.replace('class T', 'class U')}"
    tree = {"mod.py": CODE, "testmod.py": CASES, "test_x.py": own, "cases.py": CASES}
    assert found_in(body, tree) == SuiteFiles(tests=("cases.py", "testmod.py"))


def test_what_is_named_like_a_test_and_used_by_code_is_told(body: Any) -> None:
    """A directory `testing` may be part of a product: base's tests prove nothing of what is laid over there."""
    tree = {
        "pkg/__init__.py": "from pkg.testing.tool import f\n",
        "pkg/testing/__init__.py": "",
        "pkg/testing/tool.py": CODE,
        "tests/test_f.py": "import pkg\ndef test_f():\n    assert pkg.f() == 1\n",
    }
    assert found_in(body, tree) == SuiteFiles(others=("pkg/testing/tool.py",))


def test_a_test_behind_a_link_is_told_where_it_stands(body: Any, tmp_path: Path) -> None:
    """The link is named like a test, and what it leads to is not."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "mod.py").write_text(CODE)
    (tmp_path / "conftest.py").write_text("")
    (tmp_path / "real.py").write_text(TEST)
    (tmp_path / "tests" / "test_mod.py").symlink_to("../real.py")
    ran = body("run_tests_t1", {}, work=tmp_path)
    assert ran.result["suite"]["tests"] == ["real.py"], ran.result


_BREAKS: dict[str, str] = {
    "a module whose members cannot be read": (
        "import sys, types\n\nclass Lazy(types.ModuleType):\n    @property\n    def __dict__(self):\n"
        "        raise RuntimeError('lazy')\n\nsys.modules['lazy'] = Lazy('lazy')\n"
    ),
    "a module without a name": (
        "import sys, types\n\nbare = types.ModuleType('bare')\nbare.__file__ = __file__\nbare.T = types.ModuleType\n"
        "del bare.__name__\nsys.modules['bare'] = bare\n"
    ),
    "no working directory": (
        "import os, sys, tempfile, types\n\nbare = types.ModuleType('bare')\nbare.__file__ = 'x.py'\n"
        "sys.modules['bare'] = bare\ngone = tempfile.mkdtemp()\nos.chdir(gone)\nos.rmdir(gone)\n"
    ),
}


@pytest.mark.parametrize("how", _BREAKS)
@pytest.mark.parametrize("framework", ["pytest", "unittest"])
def test_a_module_that_breaks_the_look_at_it_takes_nothing_else_from_the_report(
    body: Any, framework: str, how: str
) -> None:
    """The outcomes, the lines and the end of the suite are told; only where the tests are is not known."""
    tests = {
        "tests/test_z.py": CASES.replace("        assert", f"        exec({_BREAKS[how]!r}, globals())\n        assert")
    }
    tree = {"mod.py": CODE, "tests/__init__.py": "", **tests}
    if framework == "pytest":
        tree["conftest.py"] = ""
    found = run(body, tree)
    assert found.framework == framework
    assert set(found.outcomes.values()) == {"passed"}, found
    # pytest goes back to its directory before the end.
    assert (found.suite is None) or (framework, how) == ("pytest", "no working directory")


def test_a_suite_that_dies_tells_nothing(body: Any) -> None:
    """Where the tests are is not known then, and nothing else is claimed."""
    assert run(body, {"test_a.py": "import os\ndef test_a():\n    os._exit(3)\n"}).suite is None
