"""The one way in which git is started: no configuration but ours, no hooks, no transport, no shell."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from greenroom.domain.errors import NotFound, Unreachable, Unusable

TIMEOUT_SECONDS = 600
_COMMIT = re.compile(r"[0-9a-f]{40}")
ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "TZ": "UTC",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
    }
)
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.fsync=all",
    "core.fsyncMethod=fsync",
    "core.precomposeUnicode=false",
    "protocol.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "fetch.fsckObjects=true",
)
_COMMAND = ("git", *(part for setting in _SETTINGS for part in ("-c", setting)))


class GitFailed(Unusable):
    """git answered with an error; `message` is the end of what it said."""

    def __init__(self, verb: str, exit_code: int, said: bytes) -> None:
        text = "".join(c if c.isprintable() else " " for c in said[-1000:].decode("utf-8", "replace")).strip()
        super().__init__("git-failed", f"git {verb} ended with {exit_code}: {text}", where=verb)
        self.code = exit_code


def git(
    git_dir: Path,
    *words: str,
    data: bytes = b"",
    extra: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    keep_open: Sequence[int] = (),
) -> bytes:
    """Run git on `git_dir` with `words`; its standard output. Raises GitFailed, or Unreachable `no-git`.

    `keep_open` descriptors live on in git, so that a lock outlives a caller that is killed meanwhile.
    """
    folder = _folder(cwd or git_dir)
    try:
        ended = subprocess.run(
            [*_COMMAND, *words],
            input=data,
            capture_output=True,
            env=environment(git_dir, extra),
            cwd=folder,
            pass_fds=tuple(keep_open),
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise _no_git() from None
    except subprocess.TimeoutExpired:
        raise Unreachable("git-stuck", f"git {words[0]} did not end in {TIMEOUT_SECONDS} s") from None
    if ended.returncode != 0:
        raise GitFailed(words[0], ended.returncode, ended.stderr)
    return ended.stdout


def start(
    git_dir: Path, *words: str, extra: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """A git process to talk with; the caller ends it (use as a context manager)."""
    try:
        return subprocess.Popen(
            [*_COMMAND, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(git_dir, extra),
            cwd=_folder(cwd or git_dir),
        )
    except FileNotFoundError:
        raise _no_git() from None


def environment(git_dir: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment of a git process that works on `git_dir`."""
    return {**ENVIRONMENT, "GIT_DIR": os.fspath(git_dir), **(extra or {})}


def commit_id(text: str) -> str:
    """`text` as a SHA-1 commit id; raises Unusable `bad-commit`."""
    if _COMMIT.fullmatch(text) is None:
        raise Unusable("bad-commit", f"not a commit id: {text[:80]!r}", remedy="a commit id is 40 hex digits")
    return text


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise NotFound("not-a-repository", "there is no git repository here", where=os.fspath(path))
    return path


def _no_git() -> Unreachable:
    return Unreachable("no-git", "git is not installed", remedy="install git (Debian: apt-get install git)")
