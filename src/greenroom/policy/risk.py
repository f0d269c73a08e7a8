"""Risk: named, non-negative contributions with their reasons, and the consent level that follows from the diff.

Points are a judgement, set down here in one table; a person sees each with its reason. They only add: no
contribution is ever negative, and a missing piece of evidence weighs more than a bad one would have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from greenroom.domain.debate import ROUNDS, Transcript
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.globs import Globs
from greenroom.domain.plan import Plan, ToolManifest
from greenroom.domain.ports import Review
from greenroom.domain.proof import Contribution, Evidence, Risk
from greenroom.domain.vocabulary import ConsentLevel, Tier, Trust
from greenroom.policy import itself
from greenroom.policy.judge import judge, score

TIER_POINTS: Mapping[Tier, int] = MappingProxyType(
    {Tier.COMPUTE: 0, Tier.WORKSPACE: 2, Tier.SYSTEM: 25, Tier.DANGEROUS: 100}
)
CLASS_POINTS: Mapping[str, int] = MappingProxyType(
    {"comment": 0, "docs": 0, "lint": 3, "tests": 8, "logic": 10, "config": 12, "binary": 30}
)
EXECUTES_POINTS = 10
UNKNOWN_TOOL_POINTS = 100
FILES_POINTS = ((50, 20), (10, 10), (3, 4), (1, 1))
LINES_POINTS = ((1000, 20), (200, 10), (50, 5), (10, 2), (1, 1))
NO_TESTS_POINTS = 25
FEW_TESTS_POINTS = 15
UNPROVEN_POINTS = 20
PROTECTED_POINTS = 40
DEPENDENCY_POINTS = 15
SECRET_POINTS = 50
UNTRUSTED_POINTS = 10
DEBATE_POINTS = 10
MAX_LISTED = 50

_LOW = frozenset({"comment", "docs"})
_NOT_RUN = _LOW | {"tests"}
_DEPENDENCIES = Globs(
    (
        "pyproject.toml",
        "setup.py",
        "setup.cfg",
        "*requirements*.txt",
        "*requirements*.in",
        "requirements",
        "constraints*.txt",
        "Pipfile",
        "Pipfile.lock",
        "poetry.lock",
        "uv.lock",
        "pdm.lock",
        "environment.yml",
        "tox.ini",
        "noxfile.py",
        "package.json",
        "package-lock.json",
    )
)


def weigh(
    plan: Plan,
    evidence: Sequence[Evidence],
    manifests: Mapping[Digest, ToolManifest],
    protected: Globs,
    debate: Transcript | None = None,
) -> Risk:
    """The risk of `plan` given what its checks found; `protected` are the constitution's protected paths.

    A debate adds to it and never takes away: the reviewers' doubts as points, and a review where they differed.
    """
    by_check = {item.check: item for item in evidence}
    contributions = (
        *_of_plan(plan, manifests),
        *_of_diff(by_check.get("classify"), protected),
        *itself.contributions(evidence),
        *_of_tests(by_check, trust_of(plan)),
        *_of_findings(evidence),
        *_of_debate(debate),
    )
    level = _level(plan, by_check, manifests, protected)
    if debate is not None and len(debate.rounds) > 1:
        level = max(level, ConsentLevel.REVIEW)
    if itself.mark_in(evidence):
        level = ConsentLevel.PERSON
    return Risk(contributions=contributions, level=level)


def files_of(classify: Evidence | None) -> tuple[Contribution, ...]:
    """The changed files by the classification: `name` is the class of the file's diff, `why` its path."""
    return classify.findings if classify is not None and classify.verdict == "pass" else ()


def lines_of(classify: Evidence | None) -> int:
    """How many lines the diff adds and removes; 0 when no classification says so."""
    return _number(classify, "lines")


def trust_of(plan: Plan) -> Trust:
    """The lowest trust of the words in the plan; a plan without words counts as untrusted."""
    return min((arg.trust for step in plan.steps for arg in step.args.values()), default=Trust.UNTRUSTED)


def _level(
    plan: Plan, by_check: Mapping[str, Evidence], manifests: Mapping[Digest, ToolManifest], protected: Globs
) -> ConsentLevel:
    tools = [manifests.get(step.tool) for step in plan.steps]
    files = files_of(by_check.get("classify"))
    dangerous = any(tool is None or tool.tier >= Tier.DANGEROUS or tool.network or tool.egress for tool in tools)
    if dangerous or any(protected.match(file.why) for file in files):
        return ConsentLevel.PERSON
    beyond = any(tool is not None and tool.tier > Tier.WORKSPACE for tool in tools)
    tested = all(by_check[check].verdict == "pass" for check in ("tests", "own-tests") if check in by_check)
    if beyond or not files or not tested or "tests" not in by_check or trust_of(plan) is Trust.UNTRUSTED:
        return ConsentLevel.REVIEW
    reproduced = bool(by_check["classify"].facts.get("reproduced-by"))
    allowed = _LOW | {"lint"} if reproduced else _LOW
    return ConsentLevel.OPT_IN if all(file.name in allowed for file in files) else ConsentLevel.REVIEW


def _of_plan(plan: Plan, manifests: Mapping[Digest, ToolManifest]) -> Iterator[Contribution]:
    for step in plan.steps[:MAX_LISTED]:
        tool = manifests.get(step.tool)
        if tool is None:
            yield Contribution(name="action-kind", points=UNKNOWN_TOOL_POINTS, why=f"step {step.id}: unknown tool")
            continue
        why = f"step {step.id}: {tool.name} (tier {int(tool.tier)})"
        yield Contribution(name="action-kind", points=TIER_POINTS[tool.tier], why=why, source=step.tool)
        if tool.executes or tool.network or tool.egress:
            why = f"step {step.id}: {tool.name} executes code that it did not bring"
            yield Contribution(name="external-execution", points=EXECUTES_POINTS, why=why, source=step.tool)
    if trust_of(plan) is Trust.UNTRUSTED:
        yield Contribution(
            name="untrusted-origin", points=UNTRUSTED_POINTS, why="the words come from an untrusted place"
        )


def _of_diff(classify: Evidence | None, protected: Globs) -> Iterator[Contribution]:
    if classify is None or classify.verdict != "pass":
        yield Contribution(name="unclassified", points=UNPROVEN_POINTS, why="no classification of the diff")
        return
    files, lines = files_of(classify), lines_of(classify)
    points = _step(FILES_POINTS, len(files))
    yield Contribution(name="files-touched", points=points, why=f"{len(files)} files")
    yield Contribution(name="lines-changed", points=_step(LINES_POINTS, lines), why=f"{lines} lines")
    worst = max((file.name for file in files), key=_class_points, default="comment")
    yield Contribution(name="kind-of-change", points=_class_points(worst), why=f"most consequential: {worst}")
    yield from _listed("sensitive-path", PROTECTED_POINTS, [f.why for f in files if protected.match(f.why)])
    yield from _listed("dependencies", DEPENDENCY_POINTS, [f.why for f in files if _DEPENDENCIES.match(f.why)])


def _of_tests(by_check: Mapping[str, Evidence], trust: Trust) -> Iterator[Contribution]:
    tests = by_check.get("tests")
    if tests is None or tests.verdict not in ("pass", "broken-before"):
        yield Contribution(name="coverage", points=NO_TESTS_POINTS, why="no tests speak for this change")
        return
    if tests.verdict == "broken-before":
        why = tests.facts.get("why", "tests were broken before")
        points = NO_TESTS_POINTS if why == "no-runnable-tests" else FEW_TESTS_POINTS
        yield Contribution(name="coverage", points=points, why=why)
        return
    share = min(100, _number(tests, "share"))
    passed = tests.facts.get("passed", "0")
    why = f"estimated by tests, not measured by lines: {passed} pass on both codes ({share}% of base's)"
    estimate = Contribution(name="coverage", points=(100 - share) // 10, why=why)
    yield _measured(tests, by_check.get("classify"), trust, estimate) if "changed-lines" in tests.facts else estimate


def _measured(tests: Evidence, classify: Evidence | None, trust: Trust, estimate: Contribution) -> Contribution:
    """The share of the changed lines that did not run in base's tests, of NO_TESTS_POINTS.

    Less than the estimate only where all changed code was measured and the words are trusted: code can forge, from
    inside the tests' process, which of its lines ran. What could not be measured counts as not run.
    """
    lines, ran = _number(tests, "changed-lines"), _number(tests, "changed-lines-ran")
    files = files_of(classify)
    other = [f.why for f in files if f.name not in _NOT_RUN and not f.why.endswith(".py")]
    unknown = [tests.facts["not-measured"]] if tests.facts.get("not-measured") else []
    points = NO_TESTS_POINTS if unknown else 0
    why = "no changed line of Python can run (comments, docs, deletions, tests): nothing to cover"
    if lines:
        points = max(points, -(-NO_TESTS_POINTS * max(0, lines - ran) // lines))
        missed = f"; not run: {tests.facts.get('not-run')}" if ran < lines else ""
        why = f"{ran} of {lines} changed lines ran in base's tests{missed}"
    if unknown or other:
        why += f"; not measured: {', '.join([*unknown, *other[:3]])}"
    sure = bool(lines) and not unknown and not other and bool(files) and trust > Trust.UNTRUSTED
    if not sure:
        points = max(points, estimate.points)
    return Contribution(name="coverage", points=points, why=why if lines else f"{why}; {estimate.why}")


def _of_findings(evidence: Sequence[Evidence]) -> Iterator[Contribution]:
    for item in evidence:
        if item.check in ("scan", "loosened", "tests", "own-tests"):
            for found in item.findings[:MAX_LISTED]:
                secret = found.name.startswith("secret")
                points = max(found.points, SECRET_POINTS if secret else 0)
                name = "secret" if secret else f"{item.check}:{found.name}"
                yield Contribution(name=name, points=max(0, points), why=found.why)


def _of_debate(debate: Transcript | None) -> Iterator[Contribution]:
    """Each reviewer's doubts in the last round, a point for every tenth of the score; more where they differed."""
    if debate is None:
        return
    _check_debate(debate)
    for review in debate.rounds[-1].reviews:
        if isinstance(review, Review):
            scored = score(review)
            least = min(review.scores, key=lambda axis: axis.points)
            why = f"{review.reviewer} {scored}/1000, least on {least.axis}: {least.why}"
            yield Contribution(name="debate", points=(1000 - scored) // 100, why=why[:300])
    if len(debate.rounds) > 1:
        why = f"the reviewers differed: {debate.rounds[0].why}"
        yield Contribution(name="debate", points=DEBATE_POINTS, why=why[:300])


def _check_debate(debate: Transcript) -> None:
    """Raise unless the rulings are what the judge makes of the reviews, round by round, and the last accepts."""
    for number, held in enumerate(debate.rounds, 1):
        reviews = [review if isinstance(review, Review) else None for review in held.reviews]
        ruling, decided, why = judge(reviews, number, ROUNDS)
        if (held.round, held.ruling, held.why, decided) != (number, ruling, why, held is debate.rounds[-1]):
            raise Unusable("debate-differs", "a round's ruling is not the judge's", where=f"round {number}")
    last = debate.rounds[-1] if debate.rounds else None
    if last is None or (last.ruling, last.ruling, last.why) != ("ACCEPT", debate.ruling, debate.why):
        raise Unusable("debate-differs", "the debate did not end with a yes", where=debate.why[:200])


def _listed(name: str, points: int, paths: Sequence[str]) -> Iterator[Contribution]:
    if paths:
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        yield Contribution(name=name, points=points, why=", ".join(paths[:3]) + more)


def _class_points(line_class: str) -> int:
    return CLASS_POINTS.get(line_class, max(CLASS_POINTS.values()))


def _step(table: Sequence[tuple[int, int]], number: int) -> int:
    return next((points for least, points in table if number >= least), 0)


def _number(evidence: Evidence | None, fact: str) -> int:
    text = evidence.facts.get(fact, "") if evidence is not None else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
