"""A reviewer of fixed rules: each rule takes points from one axis, and says why."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from greenroom.agents.reviewers.dossier import Case, read_case
from greenroom.agents.reviewers.places import place_of, sensitive
from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.ports import Review, Score, Store
from greenroom.domain.verdict import Held

Axis = Literal["policy", "tests", "simplicity"]
VERSION = "1"
FULL = 100


@dataclass(frozen=True, slots=True)
class Rule:
    """Takes `points` from `axis` where `holds`."""

    axis: Axis
    points: int
    why: str
    holds: Callable[[Case], bool]


def _places(case: Case) -> set[str]:
    return {place_of(path) for path in case.files}


def _hidden(case: Case) -> bool:
    return any(
        unicodedata.category(char) in ("Cf", "Cc") and char not in "\t\r\f" for line in case.added for char in line
    )


def _binary(case: Case) -> bool:
    return b"\nGIT binary patch\n" in case.patch or b"\nBinary files " in case.patch


def _mode(case: Case) -> bool:
    return b"\nnew mode " in case.patch or b"\nnew file mode 120000" in case.patch


def _deletes(case: Case) -> bool:
    return b"\ndeleted file mode " in case.patch


def _silences(case: Case) -> bool:
    words = ("noqa", "nosec", "type: ignore", "pytest.skip", "pragma: no cover")
    return any(word in line.lower() for line in case.added for word in words)


def _runs_text(case: Case) -> bool:
    words = ("eval(", "exec(", "os.system(", "shell=True", "pickle.loads(", "subprocess.")
    return any(word in line for line in case.added for word in words)


RULES: tuple[Rule, ...] = (
    Rule("policy", 80, "adds characters that a screen does not show", _hidden),
    Rule("policy", 60, "changes a binary file", _binary),
    Rule("policy", 60, "changes a file's mode or adds a link", _mode),
    Rule("policy", 40, "adds code that runs text or programs", _runs_text),
    Rule("policy", 30, "silences a check instead of mending what it found", _silences),
    Rule("policy", 30, "changes how the project is built or tested", lambda case: "build" in _places(case)),
    Rule("policy", 20, "touches a file named for authentication or secrets", lambda c: any(map(sensitive, c.files))),
    Rule("tests", 40, "deletes a file", _deletes),
    Rule("tests", 25, "changes how the project is built or tested", lambda case: "build" in _places(case)),
    Rule(
        "tests", 20, "changes a package's __init__.py, where names are exported", lambda c: "package-root" in _places(c)
    ),
    Rule("tests", 20, "changes tests", lambda case: "tests" in _places(case)),
    Rule("tests", 10, "changes code", lambda case: "code" in _places(case)),
    Rule("simplicity", 20, "more than 100 changed lines", lambda case: case.lines > 100),
    Rule("simplicity", 30, "more than 500 changed lines", lambda case: case.lines > 500),
    Rule("simplicity", 15, "more than 10 files", lambda case: len(case.files) > 10),
    Rule("simplicity", 25, "more than 50 files", lambda case: len(case.files) > 50),
)
"""Every rule, by axis and weight. A change that no rule meets has 100 points on every axis."""


class RulesReviewer:
    """The Reviewer port by fixed rules; both rounds give the same scores, since the rules do not change their mind."""

    name = "rules"

    def __init__(self, store: Store) -> None:
        self._store = store

    def debate(self, dossier: Digest, round: int) -> bytes | Held:  # noqa: A002 - the port's name
        """A Review's bytes; raises Unusable `bad-dossier` when the dossier cannot be read."""
        case = read_case(self._store, dossier)
        scores = tuple(Score(axis=axis, points=points, why=why) for axis, (points, why) in score(case).items())
        return documents.encode(Review(reviewer=self.name, version=VERSION, round=round, scores=scores))


def score(case: Case) -> Mapping[Axis, tuple[int, str]]:
    """Points from 0 to 100 and the reasons, for every axis."""
    axes: tuple[Axis, ...] = ("policy", "tests", "simplicity")
    return {axis: _axis(case, axis) for axis in axes}


def _axis(case: Case, axis: Axis) -> tuple[int, str]:
    met = [rule for rule in RULES if rule.axis == axis and rule.holds(case)]
    why = "; ".join(f"{rule.why} (-{rule.points})" for rule in met)
    return max(0, FULL - sum(rule.points for rule in met)), why or "no rule was met"
