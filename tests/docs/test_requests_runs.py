"""docs/requests.md and docs/briefing.md: what they say is so, their commands run, their tables are whole."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from test_readme_runs import GIT, GREENROOM, ROOT

from greenroom.agents.planners.template import TemplatePlanner
from greenroom.domain.briefing import Briefing, Item, Spent
from greenroom.domain.errors import Unusable
from greenroom.domain.requests import KNOWN, TOPICS, bounded, decide
from greenroom.domain.vocabulary import Trust

REQUESTS = (ROOT / "docs" / "requests.md").read_text()
BRIEFING = (ROOT / "docs" / "briefing.md").read_text()
ROWS = re.findall(
    r"^\| (`.*?) \| (.*?) \| (.*) \|$", REQUESTS.partition("## What is known")[2].partition("\n## ")[0], re.M
)
REFUSED = re.findall(r"^\| (`.*?) \| (.*) \|$", REQUESTS.partition("## What is refused")[2], re.M)


def says(words: str) -> str:
    words = bounded(words.replace("REPO", "lib"))
    return decide(words, TemplatePlanner().plan(words.encode()), trust=Trust.BOX).says


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_what_the_document_says_is_known_is_understood_and_nothing_is_missing() -> None:
    """Each row's ways of saying it are one request; every request and every proposer has a row."""
    for [request], others in ((quoted(row[0]), quoted(row[2])) for row in ROWS):
        assert says(request) == request.replace("REPO", "./lib")
        assert {says(other) for other in others} == {says(request)}, request
    assert {known.example.replace(" .", " ./lib") for known in KNOWN.values()} <= {
        says(quoted(row[0])[0]) for row in ROWS
    }
    assert {f"fix the {topic} in ./lib" for topic in TOPICS.values()} <= {says(quoted(row[0])[0]) for row in ROWS}


def test_what_the_document_says_is_refused_is_refused_so() -> None:
    """By the reference that is named beside it."""
    assert len(REFUSED) == 4
    for words, answer in REFUSED:
        for each in quoted(words):
            with pytest.raises(Unusable) as caught:
                says(each)
            assert caught.value.reference == quoted(answer)[0]


def test_the_table_of_state_json_has_every_member() -> None:
    """A member that is not described is nobody's to count on."""
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", BRIEFING.partition("## STATE.json")[2], re.M)
    assert {name for row in rows for name in quoted(row[0])} == {field.name for field in dataclasses.fields(Briefing)}
    spent = next(row[1] for row in rows if row[0] == "`spent`")
    assert {field.name for field in dataclasses.fields(Spent)} == set(quoted(spent))
    item = BRIEFING.partition("An item has")[2].partition("At most")[0]
    assert {field.name for field in dataclasses.fields(Item)} == set(quoted(item))


@pytest.mark.slow
@pytest.mark.sandbox
def test_the_documents_commands_run_as_written(tmp_path: Path) -> None:
    """Each ends well in one box, with the yes given beforehand."""
    tmp_path.chmod(0o711)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o711)
    repository = tmp_path / "words"
    (repository / "tests").mkdir(parents=True)
    (repository / "words.py").write_text('"""Words."""\n\nimport os\n\n\ndef f():\n    return 1\n')
    (repository / "tests" / "test_words.py").write_text("from words import f\n\n\ndef test_f():\n    assert f() == 1\n")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "begin"]):
        subprocess.run([*GIT, *words], cwd=repository, check=True)
    environment = {**os.environ, "GREENROOM_HOME": str(tmp_path / "box")}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*GREENROOM, *words], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    try:
        assert run("init", "--no-input").returncode == 0
        for block in re.findall(r"```console\n(.*?)```", REQUESTS + BRIEFING, re.DOTALL):
            for line in block.splitlines():
                words = shlex.split(line.removeprefix("$ greenroom ").replace("REPO", str(repository)))
                done = run(*words, *(["--yes"] if words[0] == "ask" else []))
                assert done.returncode == 0, f"{line}: {done.stdout} {done.stderr}"
        assert (tmp_path / "briefing.html").is_file()
        assert (tmp_path / "STATE.json").is_file()
    finally:
        run("down")
