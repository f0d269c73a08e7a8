"""Plays a branch flow as a maintainer would use it, and awkward repositories, in a throw-away box; prints Markdown.

Each command is printed with its exit code and the first lines of its answer, as a person sees them. Real processes,
real repositories, no --json; what has to be in an answer is checked, and the exit code is 1 where it is not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

GREENROOM = str(Path(sys.executable).parent / "greenroom")
LINES, WIDTH = 14, 160
RULES = {
    "ruff:E703": ("prices.py", '"""Prices."""\n\n\ndef total(prices):\n    """Sum."""\n    return sum(prices);\n'),
    "ruff:E713": ("names.py", '"""Names."""\n\n\ndef missing(one, all):\n    """No."""\n    return not one in all\n'),
    "ruff:E714": ("given.py", '"""Given."""\n\n\ndef given(value):\n    """Yes."""\n    return not value is None\n'),
    "ruff:F541": ("hello.py", '"""Hello."""\n\n\ndef hello():\n    """Hello."""\n    return f"hello"\n'),
}
"""One change each, in a file of its own."""
TESTS = (
    "import given, hello, names, prices\n\n\ndef test_all():\n    assert prices.total([1, 2]) == 3\n"
    "    assert names.missing(1, [2]) and given.given(1) and hello.hello() == 'hello'\n"
)
PROJECT = '[project]\nname = "shop"\nversion = "1"\n\n[tool.pytest.ini_options]\ntestpaths = ["tests"]\n'
FAILED: list[str] = []


def main() -> int:
    """Print it all; 0 when every answer was as it should be."""
    with tempfile.TemporaryDirectory(prefix="greenroom-repositories-") as scratch:
        os.chmod(scratch, 0o711)  # noqa: S103 - the sandbox user passes through, and reads nothing
        os.environ["COLUMNS"] = str(WIDTH)
        os.environ["GREENROOM_HOME"] = str(Path(scratch) / "box")
        subprocess.run([GREENROOM, "init", "--no-input"], check=True, capture_output=True)
        try:
            branches(Path(scratch))
            awkward(Path(scratch))
        finally:
            subprocess.run([GREENROOM, "down"], check=False)
    for each in FAILED:
        print(f"NOT AS IT SHOULD BE: {each}")
    return 1 if FAILED else 0


def branches(home: Path) -> None:
    """pr, --push, and what the next improve notices of four branches."""
    place = repository(home / "shop")
    bare = home / "shop.git"
    git(home, "clone", "-q", "--bare", str(place), str(bare))
    git(place, "remote", "add", "origin", str(bare))
    print("### A branch flow\n")
    say("four changes wait", 0, "4 wait for approval", home, "improve", str(place), "--only", "ruff")
    ids = {row["rule"]: row["id"] for row in rows(place)}
    merged, squashed, closed, diverged = (ids[rule] for rule in RULES)
    before = state(place)
    say("a branch, with a description", 0, "pushed", home, "pr", merged, "--push", "--remote", str(bare))
    say("a remote that the repository names may be no path", 3, "push-transport", home, "pr", squashed, "--push")
    check("no branch was made for it", not git(place, "branch", "--list", f"greenroom/{squashed}"))
    for change in (squashed, closed):
        say("another branch", 0, f"branch greenroom/{change} is at", home, "pr", change, "--out", str(home / "text.md"))
    theirs = git(place, "commit-tree", "HEAD^{tree}", "-m", "Somebody else's")
    git(place, "push", "-q", str(bare), f"{theirs}:refs/heads/greenroom/{diverged}")
    say(
        "a remote that diverged",
        4,
        "push-refused",
        home,
        "pr",
        diverged,
        "--out",
        str(home / "text.md"),
        "--push",
        "--remote",
        str(bare),
    )
    check("the remote's branch was not forced", git(bare, "rev-parse", f"greenroom/{diverged}") == theirs)
    check("worktree, index and HEAD are as they were", state(place) == before)
    git(place, "merge", "-q", "--no-ff", "-m", "Merge", f"greenroom/{merged}")
    git(place, "merge", "-q", "--squash", f"greenroom/{squashed}")
    git(place, "commit", "-qm", "Squashed")
    git(place, "branch", "-qD", f"greenroom/{closed}")
    print("The maintainer merges the first, squashes the second and deletes the third.\n")
    answer = say("the next improve", 0, f"greenroom/{merged} was merged", home, "improve", str(place), "--only", "ruff")
    check("squashed is noticed", f"greenroom/{squashed} was squashed" in answer)
    check("closed is noticed", f"greenroom/{closed} was closed" in answer)
    say("a closed branch is a no", 0, "closed", home, "list", "--all")


def awkward(home: Path) -> None:
    """Each repository that is not as most are, with its answer."""
    print("### Repositories that are not as most are\n")
    place = repository(home / "dirty")
    say("dirty: a scan reads what is committed", 0, "wait for approval", home, "improve", str(place), "--only", "ruff")
    change = rows(place)[0]["id"]
    (place / "prices.py").write_text("# under work\n")
    say("dirty: nothing is approved over it", 4, "worktree-dirty", home, "approve", change, "--yes")
    check("the edit is as it was", (place / "prices.py").read_text() == "# under work\n")
    place = repository(home / "detached")
    git(place, "checkout", "-q", "--detach")
    say("a detached HEAD", 2, "detached-head", home, "improve", str(place))
    say("a detached HEAD, with the branch named", 0, "proposal(s)", home, "improve", str(place), "--branch", "main",
        "--only", "ruff", "--max", "0")  # fmt: skip
    place = repository(home / "submodule")
    git(place, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub/module")
    git(place, "commit", "-qm", "A submodule")
    say("a submodule", 3, "submodule-in-tree", home, "improve", str(place))
    source = repository(home / "source")
    git(source, "commit", "-q", "--allow-empty", "-m", "More")
    git(home, "clone", "-q", "--bare", str(source), str(home / "bare.git"))
    git(home, "clone", "-q", "--depth", "1", f"file://{source}", str(home / "shallow"))
    for title, place in (("a bare repository", home / "bare.git"), ("a shallow clone", home / "shallow")):
        say(title, 0, "1 wait for approval", home, "improve", str(place), "--only", "ruff", "--max", "1")
        change = next(row["id"] for row in rows(place) if row["state"] == "verified")
        say(f"{title}: promoted and delivered", 0, "delivered to your branch", home, "approve", change, "--yes")
        check(f"{title}: the branch has it", change in git(place, "log", "-1", "--format=%B", "main"))
    (home / "empty").mkdir()
    git(home / "empty", "init", "-q", "-b", "main")
    say("a repository without commits", 5, "no-branch", home, "improve", str(home / "empty"))
    plain = repository(home / "plain")
    subprocess.run(["rm", "-rf", str(plain / ".git")], check=True)
    say(
        "a directory without git",
        0,
        "there is no git here",
        home,
        "improve",
        str(plain),
        "--only",
        "ruff",
        "--max",
        "1",
    )


def say(title: str, code: int, wanted: str, home: Path, *words: str) -> str:
    """Run a command as a person would, print what it answered, and check it; the whole answer."""
    done = subprocess.run([GREENROOM, *words], capture_output=True, text=True, check=False, env=dict(os.environ))
    answer = done.stdout + done.stderr
    aside = [line for line in done.stderr.splitlines() if not progress(line)]
    lines = [*done.stdout.splitlines(), *aside] if done.returncode in (0, 10) else [*aside, *done.stdout.splitlines()]
    kept = [line.rstrip()[:WIDTH] for line in lines if line.strip()][:LINES]
    typed = " ".join(("greenroom", *words))
    text = "\n".join((f"$ {typed}", *kept, f"[exit code {done.returncode}]")).replace(str(home), "~")
    print(f"{title}:\n\n```console\n{text}\n```\n", flush=True)
    check(f"{title}: exit code {code}, not {done.returncode}", done.returncode == code)
    check(f"{title}: {wanted!r} is in the answer", wanted in answer)
    check(f"{title}: no traceback", "Traceback" not in answer and "our mistake" not in answer)
    return answer


def progress(line: str) -> bool:
    """True for a line that tells of work under way."""
    return not line.startswith(("greenroom", "  remedy", "  where", "branch ", "not-", "delivery"))


def check(what: str, good: bool) -> None:
    """Remember what is not as it should be."""
    if not good:
        FAILED.append(what)


def rows(place: Path) -> list[dict[str, str]]:
    """The open changes of a repository."""
    done = subprocess.run([GREENROOM, "list", "--json"], check=True, capture_output=True)
    found: list[dict[str, str]] = json.loads(done.stdout)["changes"]
    return [row for row in found if f"{place}#" in row["subject"]]


def state(place: Path) -> tuple[str, str, str]:
    """HEAD, index and worktree."""
    return git(place, "rev-parse", "HEAD"), git(place, "ls-files", "-s"), git(place, "status", "--porcelain")


def repository(place: Path) -> Path:
    """A git repository with one commit."""
    (place / "tests").mkdir(parents=True)
    for path, text in RULES.values():
        (place / path).write_text(text)
    (place / "tests" / "test_shop.py").write_text(TESTS)
    (place / "pyproject.toml").write_text(PROJECT)
    git(place, "init", "-q", "-b", "main")
    git(place, "add", "-A")
    git(place, "commit", "-qm", "The shop")
    return place


def git(place: Path, *words: str) -> str:
    """Plain git, as the person runs it."""
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgSign=false")
    done = subprocess.run(["git", *who, *words], cwd=place, check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
