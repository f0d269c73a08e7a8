"""docs/configuration.md: its file is taken, its commands run as typed, and every key is in its table."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from test_readme_runs import GIT, GREENROOM, ROOT

from greenroom.domain.settings import KEYS, checked
from greenroom.domain.toml_settings import read

TEXT = (ROOT / "docs" / "configuration.md").read_text()
FILE = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)[0]
SMALL = {
    "README.md": "# Words\n\nYou will recieve the words of this file as they are written here.\n",
    "vendor/README.md": "# Not ours\n\nYou will recieve the words of this file, too, as they are written here.\n",
    "tests/test_words.py": "def test_words():\n    assert sorted('ba') == ['a', 'b']\n",
}
BLOCKS = re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)


def test_the_documents_file_is_one_and_its_table_has_every_key() -> None:
    """The example is taken as it stands, and no key is missing or made up."""
    assert set(checked(read(FILE), "greenroom.toml", repository=True)) < set(KEYS)
    rows = re.findall(r"^\| (`[^|]+) \|", TEXT.partition("## Keys")[2], re.MULTILINE)
    assert {key for row in rows for key in re.findall(r"`([^`]+)`", row)} == set(KEYS)


@pytest.mark.slow
@pytest.mark.sandbox
def test_the_documents_commands_run_as_written(tmp_path: Path) -> None:
    """From the file to a commit by its author: narrowed, allowed once, shown on the card, delivered."""
    tmp_path.chmod(0o711)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o711)
    repository = tmp_path / "words"
    for name, text in {**SMALL, "greenroom.toml": FILE}.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "begin"]):
        subprocess.run([*GIT, *words], cwd=repository, check=True)
    environment = {**os.environ, "GREENROOM_HOME": str(tmp_path / "box")}
    change = ""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*GREENROOM, *words], env=environment, capture_output=True, text=True, check=False)

    try:
        for line in [line for block in BLOCKS for line in block.splitlines()]:
            words = [
                word.replace("REPO", str(repository)).replace("ID", change)
                for word in shlex.split(line.removeprefix("$ greenroom "))
            ]
            if words[:2] == ["config", "approve"]:
                held = run("improve", str(repository))
                assert held.returncode == 4
                assert "test-command-not-allowed" in held.stdout
            if words[0] == "init" or "approve" in words:
                words.append("--no-input" if words[0] == "init" else "--yes")
            done = run(*words)
            assert done.returncode == 0, f"{line}: {done.stdout} {done.stderr}"
            if words[0] == "improve":
                assert "1 greenroom.toml" in done.stdout
                assert "1 proposal(s)" in done.stdout
            if words[0] == "list":
                change = json.loads(run("list", "--json").stdout)["changes"][0]["id"]
                card = json.loads(run("show", change, "--json").stdout)["card"]["environment"]
                assert card["test-command"] == "python -m pytest -q tests"
                assert card["day caps"] == "changes 5, lines 200"
        (repository / "greenroom.toml").write_text("propsers = []\n")
        subprocess.run([*GIT, "commit", "-qam", "mistyped"], cwd=repository, check=True)
        mistaken = run("improve", str(repository))
        assert mistaken.returncode == 2
        assert "greenroom.toml:1" in mistaken.stderr
        assert "did you mean `proposers`?" in mistaken.stderr
    finally:
        run("down")
    said = subprocess.run(
        [*GIT, "log", "-1", "--format=%an <%ae>%n%cn%n%B", "HEAD~1"], cwd=repository, capture_output=True, text=True
    ).stdout
    assert said.splitlines()[:2] == ["Ada Lovelace <ada@example.org>", "Greenroom"]
    assert "\nReviewed-by: Ada Lovelace <ada@example.org>\n" in said
