"""A reviewer that estimates: how likely do the tests pass, given the change's kind, place and size?

The estimate is the mean of a Beta distribution. The prior is stated in `PRIORS`, as pseudo-counts (passed,
failed) by kind of change, with one failure more for each risky place and each doubling of size beyond 16 lines.
The box's own history updates it (conjugate update of a binomial likelihood): counts of the same rule in full,
those of other rules for a quarter.

`history` has these counts, each of changes whose tests passed, or failed or flickered:
`passed`, `failed` (of the same rule), `others-passed`, `others-failed` (of every other rule).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from greenroom.agents.reviewers.dossier import Case, read_case
from greenroom.agents.reviewers.places import place_of, sensitive
from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.ports import Review, Score, Store
from greenroom.domain.verdict import Held

VERSION = "1"
SMALL_LINES = 16
OTHERS_WEIGHT = Fraction(1, 4)
PRIORS: Mapping[str, tuple[int, int]] = {
    "codespell": (39, 1),  # comments and docs: nothing runs them
    "ruff:W": (39, 1),  # white space
    "ruff:I": (18, 2),  # the order of imports can matter
    "ruff:F": (18, 2),  # an unused name may be one that others import
    "ruff": (19, 1),
    "unused": (19, 1),
    "modernise": (18, 2),  # another spelling may be another thing to what inspects it
    "strings": (17, 3),  # a test may wait for the words
    "shell": (18, 2),  # layout, proven by the program that made it
    "": (7, 3),  # anything else
}
"""Pseudo-counts (passed, failed) by the longest prefix of the rule that is listed."""
_PLACE_FAILURES = {"build": 3, "package-root": 1, "tests": 1}


@dataclass(frozen=True, slots=True)
class Beta:
    """A Beta distribution over the chance that the tests pass, by its counts of passed and failed."""

    passed: Fraction
    failed: Fraction

    @property
    def mean(self) -> Fraction:
        """passed / (passed + failed), from 0 to 1."""
        return self.passed / (self.passed + self.failed)


class EstimateReviewer:
    """The Reviewer port by estimate. The second round leans to caution: one more failure is assumed."""

    name = "estimate"

    def __init__(self, store: Store) -> None:
        self._store = store

    def debate(self, dossier: Digest, round: int) -> bytes | Held:  # noqa: A002 - the port's name
        """A Review's bytes; raises Unusable `bad-dossier` when the dossier cannot be read."""
        case = read_case(self._store, dossier)
        belief = estimate(case, caution=max(0, round - 1))
        scores = (_policy(case), _tests(case, belief), _simplicity(case))
        return documents.encode(Review(reviewer=self.name, version=VERSION, round=round, scores=scores))


def prior(case: Case) -> Beta:
    """The stated prior: by kind, then place, then size."""
    rule = max((key for key in PRIORS if case.rule.startswith(key)), key=len)
    passed, failed = PRIORS[rule]
    failed += sum(_PLACE_FAILURES.get(place, 0) for place in {place_of(path) for path in case.files})
    doublings = max(0, (case.lines - 1) // SMALL_LINES).bit_length()
    return Beta(Fraction(passed), Fraction(failed + doublings))


def estimate(case: Case, *, caution: int = 0) -> Beta:
    """The prior updated by the history, with `caution` failures added."""
    start, seen = prior(case), case.history
    passed = seen.get("passed", 0) + OTHERS_WEIGHT * seen.get("others-passed", 0)
    failed = seen.get("failed", 0) + OTHERS_WEIGHT * seen.get("others-failed", 0)
    return Beta(start.passed + passed, start.failed + failed + caution)


def _tests(case: Case, belief: Beta) -> Score:
    seen = case.history.get("passed", 0) + case.history.get("failed", 0)
    chance = f"{float(belief.mean):.2f}"
    why = f"tests pass with chance {chance}: kind {case.rule!r}, {case.lines} lines, {seen} like it before"
    return Score(axis="tests", points=int(100 * belief.mean), why=why)


def _policy(case: Case) -> Score:
    touched = sorted({path for path in case.files if sensitive(path) or place_of(path) == "build"})
    # Where a change lies raises its consent level; by itself it is no reason to reject it.
    points = max(55, 95 - 20 * len(touched))
    why = f"{len(touched)} files where a mistake weighs more" if touched else "no file where a mistake weighs more"
    return Score(axis="policy", points=points, why=why)


def _simplicity(case: Case) -> Score:
    """Half of the points are gone at 128 lines or at 16 files."""
    points = Fraction(100) / (1 + Fraction(case.lines, 128) + Fraction(len(case.files) - 1, 16))
    return Score(axis="simplicity", points=int(points), why=f"{case.lines} lines in {len(case.files)} files")
