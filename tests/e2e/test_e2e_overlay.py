"""Tests that only settings, unittest's pattern or a run tell of: with them loosened, broken logic does not go live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from e2e_box import House, patch_of

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

CODE = "def double(number):\n    return number * 2\n"
WRONG = CODE.replace("* 2", "* 3")
PYTEST = "import calc\n\n\ndef test_double():\n    assert calc.double(2) == 4\n"
UNITTEST = (
    "import unittest\n\nimport calc\n\n\nclass Double(unittest.TestCase):\n"
    "    def test_double(self):\n        self.assertEqual(calc.double(2), 4)\n"
)
PROJECT = '[project]\nname = "calc"\nversion = "1"\n'
SPECS = f'{PROJECT}[tool.pytest.ini_options]\ntestpaths = ["specs"]\npython_files = ["spec_*.py"]\n'
DOCTESTS = f'{PROJECT}[tool.pytest.ini_options]\naddopts = "--doctest-modules"\n'
DOCUMENTED = 'def double(number):\n    """Twice.\n\n    >>> double(2)\n    4\n    """\n    return number * 2\n'
EXAMPLES = {
    "pyproject.toml": DOCTESTS,
    "calc.py": DOCUMENTED,
    "other.py": "ONE = 1\n",
    "tests/test_other.py": "import other\n\n\ndef test_one():\n    assert other.ONE == 1\n",
}
SUITES: Mapping[str, Mapping[str, str]] = {
    "specs/spec_calc.py": {"pyproject.toml": SPECS, "specs/spec_calc.py": PYTEST, "calc.py": CODE},
    "tests.py": {"tests.py": UNITTEST, "calc.py": CODE},
    "testcalc.py": {
        "testcalc.py": UNITTEST,
        "test_other.py": UNITTEST.replace("calc.double(2), 4", "calc.double(0), 0"),
        "calc.py": CODE,
    },
}
"""Repositories by the file of their tests."""


@pytest.fixture
def autonomous(house: House) -> Iterator[House]:
    """The box in its most trusting mode; afterwards it asks a person again."""
    house.ok("mode", "autonomous")
    yield house
    house.ok("mode", "propose")


@pytest.mark.parametrize("path", SUITES)
def test_e2e_broken_logic_with_its_test_bent_is_refused(autonomous: House, path: str) -> None:
    """The test is made to expect what the broken code gives, or to assert less: base's test is run, or it is found."""
    house, files = autonomous, SUITES[path]
    place = house.repository("bent", files)
    house.take_in(place)
    with house.unmoved(place):
        bent = files[path].replace("== 4", "== 6").replace("(2), 4", "(2), 6")
        verdict = house.edit(place, {"calc.py": WRONG, path: bent})["verdict"]
        assert (verdict["is"], verdict["rule"]) == ("refused", "test-broken"), verdict
        loose = files[path].replace("calc.double(2) == 4", "calc.double(2)")
        loose = loose.replace("self.assertEqual(calc.double(2), 4)", "self.assertTrue(calc.double(2))")
        verdict = house.edit(place, {"calc.py": WRONG, path: loose})["verdict"]
        assert (verdict["is"], verdict["rule"]) == ("refused", "assertion-weakened"), verdict


def test_e2e_tests_inside_the_code_ask_for_a_person(autonomous: House) -> None:
    """Examples stand in the file that they test and cannot be laid over: logic there never goes live by itself."""
    house = autonomous
    place = house.repository("examples", EXAMPLES)
    house.take_in(place)
    with house.unmoved(place):
        wrong = DOCUMENTED.replace("* 2", "* 3").replace("    4\n", "    6\n")
        held = house.edit(place, {"calc.py": wrong})
        assert held["verdict"]["rule"] == "needs-approval", held
        assert "calc.py" in held["verdict"]["where"], held
        card = house.ok("show", held["id"])
        assert "tests-in-change" in str(card), card
    house.wish(house.proposal(patch_of(place, {"other.py": "ONE = 2 - 1\n"}), "other.py"))
    (kept,) = house.ok("improve", str(place), "--only", "wished")["changes"]
    assert (kept["state"], kept["level"]) == ("kept", 2), kept
