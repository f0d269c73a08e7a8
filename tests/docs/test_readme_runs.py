"""The README's own commands, typed in order on a real repository in a real box."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GREENROOM = [sys.executable, "-c", "import sys; from greenroom.bootstrap import main; sys.exit(main())"]
GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"]


@pytest.mark.slow
@pytest.mark.sandbox
def test_the_readmes_block_runs_as_written(tmp_path: Path) -> None:
    """init, improve, list, show, approve, revert, log check: each ends with 0, and the branch is as it began."""
    block = re.search(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    tmp_path.chmod(0o711)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o711)
    repository = tmp_path / "tidywords"
    shutil.copytree(ROOT / "samples" / "tidywords", repository)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "begin"]):
        subprocess.run([*GIT, *words], cwd=repository, check=True)
    environment = {**os.environ, "GREENROOM_HOME": str(tmp_path / "box")}
    change = ""
    try:
        for line in block[1].splitlines():
            words = line.removeprefix("$ greenroom ").replace("REPO", str(repository)).replace("ID", change).split()
            if words[0] in ("init", "approve"):
                words.append("--no-input" if words[0] == "init" else "--yes")
            done = subprocess.run([*GREENROOM, *words], env=environment, capture_output=True, check=False)
            assert done.returncode == 0, f"{line}: {done.stdout.decode()} {done.stderr.decode()}"
            if words[0] == "list":
                listed = subprocess.run(
                    [*GREENROOM, "list", "--json"], env=environment, capture_output=True, check=True
                )
                change = json.loads(listed.stdout)["changes"][0]["id"]
    finally:
        subprocess.run([*GREENROOM, "down"], env=environment, capture_output=True, check=False)
    same = subprocess.run([*GIT, "diff", "--quiet", "HEAD~2", "HEAD"], cwd=repository, check=False)
    assert same.returncode == 0
