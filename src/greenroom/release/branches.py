"""A change as a branch of the person's repository: offered, pushed, and what became of it.

This runs as the person, like delivery. Worktree, index and HEAD are left alone: one ref is made, and an existing one
is never moved. The repository's configuration, hooks and filters are not used.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from greenroom.domain.digest import Digest
from greenroom.domain.errors import NotFound, Unreachable, Unusable
from greenroom.domain.ports import Store
from greenroom.domain.verdict import Held, Instant, Passed, Refused, Verdict
from greenroom.release.delivery import Coming, coming_between, coming_in
from greenroom.release.git import ENVIRONMENT, GitFailed, commit_id, git
from greenroom.release.objects import GitObject, TreeBuilder, commit, pack
from greenroom.release.refs import DEFAULT_AUTHOR
from greenroom.release.repository import Opened, opened
from greenroom.release.store import sync_file_system
from greenroom.release.trees import StoreTrees

Fate = Literal["open", "merged", "squashed", "closed"]
PREFIX = "greenroom/"
LOOKED_AT = 500
"""How many commits of a branch are looked at for a squashed change, from its end."""
PUSH_SECONDS = 300
_NOTE = "greenroom: offered as a branch"
_NO_COMMIT = "0" * 40
_PUSHED_OVER = ("https", "ssh")
"""The transports of a push to a remote that the repository names: others send secrets in the clear, or run programs.

So does a push to another directory, by that directory's hooks: only an address that a person typed may be one."""
_PERSONAL = frozenset(
    {
        *("HOME", "PATH", "XDG_CONFIG_HOME", "LANG", "TERM", "DISPLAY", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSH_ASKPASS"),
        *("GIT_SSH_COMMAND", "GIT_SSH", "GIT_ASKPASS"),
    }
)
"""What a push takes from the person's environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a branch is made of: `green` over the commit `onto`, whose tree is `base`, in one commit with `message`."""

    change: str
    onto: str
    base: Digest
    green: Digest
    message: str
    at: Instant

    @property
    def branch(self) -> str:
        """The branch's name."""
        return f"{PREFIX}{self.change}"


def offer(repository: Path, store: Store, wanted: Offer) -> str | Held:
    """Make the branch; its commit. The same offer gives the same commit, so a second time changes nothing.

    Held `branch-exists` where the name leads elsewhere, `branch-name-taken` where git cannot have it. Raises what
    `repository.find` raises, NotFound `no-base-commit`, and GitFailed.
    """
    commit_id(wanted.onto)
    with opened(repository) as there:
        changed = coming_between(store, wanted.base, wanted.green)
        objects = _objects(store, wanted, changed)
        made = objects[-1].id
        found = head_of(there, wanted.branch)
        if found is not None:
            return made if found == made else _exists(wanted.branch, found)
        _require_commit(there, wanted.onto)
        there.git("unpack-objects", "-q", data=pack(objects))
        there.git("rev-list", "--objects", "--quiet", made, f"^{wanted.onto}")
        _require_same(there, wanted.onto, made, changed)
        try:
            there.git("update-ref", "-m", _NOTE, f"refs/heads/{wanted.branch}", made, _NO_COMMIT)
        except GitFailed as error:
            remedy = "rename or delete the branch that is in the way (`git branch --list 'greenroom*'`), then try again"
            return Held(rule="branch-name-taken", where=error.message[-200:], remedy=remedy)
        sync_file_system(there.repository.common)
        return made


def fate(repository: Path, branch: str, made: str, onto: str, target: str) -> Fate:
    """What became of `branch`, made as the commit `made` on `onto`, in the branch `target`.

    `merged`: `target` contains the commit. `squashed`: a commit of `target` does the same to the same files
    (git-patch-id(1)), or all of the files are in `target` as in `made`. `closed`: none of these, and the branch is
    gone. Reads only.
    """
    with opened(repository) as there:
        head = there.head_of(target)
        if not _has(there, made):
            return "closed" if head_of(there, branch) is None else "open"
        if _contains(there, head, made):
            return "merged"
        if _same_files(there, made, onto, head) or _same_patch(there, made, onto, head):
            return "squashed"
        return "closed" if head_of(there, branch) is None else "open"


def push(repository: Path, branch: str, made: str, remote: str, *, ask: bool) -> Verdict:
    """Push `made` as `branch` to `remote`, a remote of the repository or an address; never forced.

    Of the repository's configuration only the address is read, as data. Credentials and proxies are the person's own:
    their environment and personal git configuration, with hooks off. Without `ask` git asks nobody for a password.
    Refused `push-transport` for an address of another transport; Held `push-refused` when the remote says no.
    """
    commit_id(made)
    with opened(repository) as there:
        address = _pushed_to(there, remote)
        if isinstance(address, Refused):
            return address
        ended = _push(there, address, f"{made}:refs/heads/{branch}", ask=ask)
    if ended.returncode == 0:
        return Passed()
    said = "".join(c if c.isprintable() else " " for c in ended.stderr[-600:].decode("utf-8", "replace")).strip()
    remedy = f"mend what git says, then `greenroom pr {branch.removeprefix(PREFIX)} --push` again; nothing was forced"
    return Held(rule="push-refused", where=said or f"git push ended with {ended.returncode}", remedy=remedy)


def pushable(repository: Path, remote: str) -> Verdict:
    """Whether `push` would try: Refused `push-transport` as there, and NotFound `no-remote`. Asks no remote."""
    with opened(repository) as there:
        address = _pushed_to(there, remote)
    return address if isinstance(address, Refused) else Passed()


def _pushed_to(there: Opened, remote: str) -> str | Refused:
    typed = "/" in remote or ":" in remote
    address = remote if typed else address_of_remote(there, remote)
    transport = transport_of(address)
    if transport in ((*_PUSHED_OVER, "file") if typed else _PUSHED_OVER):
        return address
    here = "type its path (`--remote /PATH`: only a path that you type is pushed to), " if transport == "file" else ""
    remedy = f"{here}give an https or ssh address with --remote, or push the branch yourself with git"
    return Refused(rule="push-transport", where=f"{remote}: {address}"[:200], remedy=remedy)


def address_of_remote(there: Opened, remote: str) -> str:
    """The address that a push to `remote` goes to; NotFound `no-remote`."""
    for key in (f"remote.{remote}.pushurl", f"remote.{remote}.url"):
        try:
            words = ("config", "--no-includes", "-f", os.fspath(there.repository.common / "config"), "--get", key)
            found = git(Path("/nonexistent"), *words, cwd=Path("/")).decode("utf-8", "replace").rstrip("\n")
        except GitFailed:
            continue
        if found and not found.startswith("-"):
            return found
    raise NotFound("no-remote", "the repository has no such remote", where=remote, remedy="name one with --remote")


def transport_of(address: str) -> str:
    """The transport of an address as git-fetch(1) reads it: `ssh` for `host:path`, `file` for a path."""
    scheme, found, _ = address.partition("://")
    if found:
        return scheme.lower() if scheme.isalnum() else ""
    if "::" in address:
        return address.partition("::")[0]
    host, colon, _ = address.partition(":")
    return "ssh" if colon and "/" not in host else "file"


def head_of(there: Opened, branch: str) -> str | None:
    """The commit at the end of `branch`; None where there is no such branch."""
    try:
        return there.head_of(branch)
    except NotFound:
        return None


def _objects(store: Store, wanted: Offer, changed: Coming) -> list[GitObject]:
    """What the person's repository may lack: changed files, every tree, and the commit, last."""
    new = {entry[1].decode() for entry in changed.values() if entry is not None}
    builder = TreeBuilder(StoreTrees(store).manifest(wanted.green), store)
    kept = [item for item in builder.objects() if item.kind == "tree" or item.id in new]
    return [*kept, commit(builder.root, (wanted.onto,), DEFAULT_AUTHOR, wanted.at, wanted.message)]


def _exists(branch: str, found: str) -> Held:
    remedy = f"keep it under another name (`git branch -m {branch} NAME`) or delete it, then try again"
    return Held(rule="branch-exists", where=f"{branch} is at {found[:12]}, and not of this offer", remedy=remedy)


def _require_commit(there: Opened, name: str) -> None:
    if not _has(there, name):
        remedy = "greenroom improve takes the branch in as it is"
        raise NotFound("no-base-commit", "the commit that the change was made on is gone", where=name, remedy=remedy)


def _require_same(there: Opened, onto: str, made: str, changed: Coming) -> None:
    """Raise Unusable `base-differs` unless the commit changes these files and no other."""
    found = coming_in(there, onto, made)
    if found != changed:
        where = ", ".join(sorted(os.fsdecode(path) for path in found.keys() ^ changed.keys())[:3]) or made
        message = "the repository's commit has other files than what was taken in"
        raise Unusable("base-differs", message, where=where, remedy="greenroom improve takes the branch in as it is")


def _has(there: Opened, name: str) -> bool:
    try:
        there.git("cat-file", "-e", f"{name}^{{commit}}")
    except GitFailed:
        return False
    return True


def _contains(there: Opened, head: str, name: str) -> bool:
    try:
        there.git("merge-base", "--is-ancestor", name, head)
    except GitFailed as error:
        if error.code != 1:
            raise
        return False
    return True


def _same_files(there: Opened, made: str, onto: str, head: str) -> bool:
    """Every file that the branch changes is at `head` as the branch has it."""
    return not (coming_in(there, onto, made).keys() & coming_in(there, made, head).keys())


def _same_patch(there: Opened, made: str, onto: str, head: str) -> bool:
    wanted = _patch_ids(there.git("diff-tree", "-p", *_PLAIN, onto, made), there)
    words = ("log", "-p", *_PLAIN, "--no-merges", f"--max-count={LOOKED_AT}", "--format=commit %H", head, f"^{onto}")
    return bool(wanted & _patch_ids(there.git(*words), there))


_PLAIN = ("--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")


def _patch_ids(patches: bytes, there: Opened) -> set[bytes]:
    listed = there.git("patch-id", "--stable", data=patches)
    return {line.split(b" ")[0] for line in listed.splitlines()}


def _push(there: Opened, address: str, refspec: str, *, ask: bool) -> subprocess.CompletedProcess[bytes]:
    """git push as the person: their own git configuration counts, that of the repository does not."""
    settings = ("core.hooksPath=/dev/null", "protocol.allow=never", "submodule.recurse=false", "push.gpgSign=false",
                *(f"protocol.{name}.allow=always" for name in (*_PUSHED_OVER, "file")))  # fmt: skip
    argv = ["git", *(part for setting in settings for part in ("-c", setting))]
    mine: Mapping[str, str] = {name: value for name, value in os.environ.items() if name in _PERSONAL}
    kept = {name: ENVIRONMENT[name] for name in ("LC_ALL", "GIT_NO_REPLACE_OBJECTS", "GIT_OPTIONAL_LOCKS")}
    quiet = {} if ask else {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -oBatchMode=yes"}
    environment = {**quiet, **mine, **kept, "GIT_DIR": os.fspath(there.private)}
    environment["GIT_OBJECT_DIRECTORY"] = os.fspath(there.repository.common / "objects")
    try:
        return subprocess.run(
            [*argv, "push", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", "--", address, refspec],
            stdin=None if ask else subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            cwd=there.cwd,
            timeout=PUSH_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise Unreachable("no-git", "git is not installed", remedy="install git") from None
    except subprocess.TimeoutExpired:
        raise Unreachable("git-stuck", f"git push did not end in {PUSH_SECONDS} s", where=address) from None
