"""What a local door needs from the house; bootstrap provides it, a fake stands in for tests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from greenroom.config import Box
from greenroom.domain.metrics import Metrics
from greenroom.domain.settings import Value, Values
from greenroom.domain.vocabulary import Mode

if TYPE_CHECKING:
    from greenroom.domain.briefing import Briefing
    from greenroom.domain.requests import Request

Progress = Callable[[Any], None]
CARRYING = frozenset({"approve", "edit", "promote", "reopen", "restack", "resume", "retry"})
"""Calls of the desk that may carry a change onto another base: the box's own settings go with them."""
Passphrase = Callable[[str], bytes]
"""Asks a person for the passphrase of the owner's key; the text says why."""


class Services(Protocol):
    """The house as seen from a door on the same machine."""

    @property
    def box(self) -> Box:
        """The box this door opens on."""
        ...

    def init(self, passphrase: Callable[[], bytes | None], *, ssh_agent: bool = False) -> Mapping[str, Any]:
        """Make the box, or say what is there; `passphrase` is asked only when an owner key is made.

        With `ssh_agent` the owner's key is the first Ed25519 key of the person's SSH agent.
        """
        ...

    def desk(
        self,
        call: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        progress: Progress | None = None,
    ) -> Any:
        """Ask the executor; starts the processes when they do not run. `CARRYING` calls bring the own settings."""
        ...

    def present(self, path: str, branch: str) -> str:
        """Show the keeper itself the directory at `path`; the ticket that lets `branch` of it be read, once.

        No descriptor of the person's reaches the executor. Unusable `directory-differs` where the keeper finds another
        directory there.
        """
        ...

    def guard(self, call: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Ask the guard directly: stop, lift, status, mode, constitution, floors, unseen."""
        ...

    def now(self) -> int:
        """The time in nanoseconds since the epoch, UTC."""
        ...

    def consents(self, offers: Sequence[Mapping[str, Any]], actor: str, passphrase: Passphrase) -> Sequence[bytes]:
        """The owner's signed consents, each to exactly what its offer names, as envelopes; the key is unlocked once."""
        ...

    def card(self, change: str, offer: Mapping[str, Any]) -> Mapping[str, Any]:
        """The card that a consent to `offer` is signed over, read by its digest; Tampered when of another change."""
        ...

    def withdraw(self, change: str, actor: str) -> Mapping[str, Any]:
        """Have the guard void every unspent yes to `change`; a verdict. Asked of the guard itself, without a key."""
        ...

    def cancel_window(self, change: str, actor: str) -> Mapping[str, Any]:
        """Have the guard apply nothing of what waits in a window as `change`; a verdict. Asked of the guard itself."""
        ...

    def lift(self, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """Lift the stop with the owner's key; a verdict."""
        ...

    def set_mode(self, mode: Mode, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """Set the box's mode with the owner's key; a verdict."""
        ...

    def opt_in(
        self, rule: str, repository: str, until: int | None, actor: str, passphrase: Passphrase
    ) -> Mapping[str, Any]:
        """Agree beforehand to level 1 changes of `rule` with the owner's key; a verdict.

        `repository` is a directory, empty for every one; `until` is in nanoseconds since the epoch, None for no end.
        """
        ...

    def opt_out(self, opt_ins: Sequence[str], actor: str, passphrase: Passphrase) -> Sequence[Mapping[str, Any]]:
        """Take opt-ins back by their ids, the key unlocked once; a verdict each."""
        ...

    def constitute(self, text: str, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """Put a constitution in force with the owner's key; a verdict. Raises Unusable when it cannot be read."""
        ...

    def set_floor(self, change: str, holds: bool, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """Set the floor of a subject at `change`, or take it away from there, with the owner's key; a verdict."""
        ...

    def looked(self, subject: str, through: str, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """Say with the owner's key that a person looked, up to the promotion with the warrant `through`; a verdict."""
        ...

    def settings(self) -> Values:
        """The settings of the box's own file; Unusable, with the line, when it cannot be understood."""
        ...

    def default_setting(self, key: str) -> tuple[Value | None, str]:
        """The value of a key that no file sets, None where there is none to name; and where it is from."""
        ...

    def set_setting(self, key: str, words: str) -> Value:
        """Set a key in the box's own file; the value as it stands there."""
        ...

    def unset_setting(self, key: str) -> bool:
        """Take a key out of the box's own file; False where it was not set."""
        ...

    def allow_command(self, subject: str, command: str, actor: str, passphrase: Passphrase) -> Mapping[str, Any]:
        """Sign with the owner's key that a repository's test command may run for `subject`; a verdict."""
        ...

    def read(self, digest: str) -> bytes:
        """Bytes of the box's store by digest, rehashed."""
        ...

    def keep(self, data: bytes) -> str:
        """Put bytes that a person wrote into the box's store; their digest."""
        ...

    def board(
        self, *, everything: bool, most: int | None = None, begins: str = "", held: Collection[str] = ()
    ) -> Sequence[Mapping[str, Any]]:
        """The board, oldest first, read without starting anything: what is open or live, or `everything`.

        At most `most` rows: the newest of what is open, then the newest of what is live. Only ids that begin with
        `begins`; with `held` only what is held by one of these rules.
        """
        ...

    def tally(self) -> Mapping[str, Any]:
        """How many changes are held, by rule, and how many are moving, live and ended; starts nothing."""
        ...

    def summaries(self, changes: Collection[str]) -> Mapping[str, str]:
        """The summaries of those of `changes` that there are, by id; starts nothing."""
        ...

    def repository(self, path: str, branch: str | None, trees: tuple[str, str] | None = None) -> Mapping[str, Any]:
        """Where the person's repository stands: path, branch, head, dirty, release.

        With `trees`, base and Green of a change, files that the change would write over are in the way, too.
        """
        ...

    def deliver(self, delivery: Mapping[str, Any]) -> Mapping[str, Any]:
        """Fast-forward the person's branch; a verdict."""
        ...

    def offer_branch(self, offer: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make the branch of a change in the person's repository; a verdict, with the commit `made` where it passed.

        Worktree, index and HEAD are left alone, and a branch that is there is never moved.
        """
        ...

    def fates(self, path: str, branch: str, waiting: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
        """What became of the branches `waiting` in `branch` of the repository: open, merged, squashed or closed."""
        ...

    def pushable(self, offer: Mapping[str, Any], remote: str) -> Mapping[str, Any]:
        """Whether a push to `remote` would be tried; a verdict. Nothing is asked of the remote."""
        ...

    def push_branch(self, offer: Mapping[str, Any], made: str, remote: str, *, ask: bool) -> Mapping[str, Any]:
        """Push the branch of a change as the person, never forced; a verdict. Without `ask` nobody is asked."""
        ...

    def log_entries(self, start: int, count: int) -> Sequence[Mapping[str, Any]]:
        """Entries of the box's log, read from its files."""
        ...

    def log_export(self) -> Iterable[bytes]:
        """The log as JSON lines, each entry byte for byte as it was signed."""
        ...

    def log_check(self, log: str | None, keys: str | None, checkpoint: bytes | None) -> Mapping[str, Any]:
        """Check a log, the box's own or a copy; `foreign` in the answer: nothing in it is signed with these keys."""
        ...

    def log_checkpoint(self) -> bytes:
        """The newest signed checkpoint."""
        ...

    def metrics(self, since: int) -> Metrics:
        """What the box did from the instant `since` on, counted from its files; starts nothing."""
        ...

    def understand(self, words: str) -> Request:
        """The request that a person's words make, as the planner reads them; starts nothing and needs no box.

        Raises TooLarge `request-too-long`, Unusable `bad-request` and `url-not-taken`, and `domain.requests.Unclear`.
        """
        ...

    def briefing(self, begins: int, ends: int) -> Briefing:
        """What the box did between two instants, and what waits for a person; from its files, starts nothing."""
        ...

    def backup(self, target: Path, progress: Progress) -> Mapping[str, Any]:
        """Write the whole box, at rest, to the file `target`, and read it back."""
        ...

    def restore(self, source: Path, sha256: str | None, progress: Progress) -> Mapping[str, Any]:
        """Make this box, which must not be there yet, from a backup; nothing is left of one that does not check."""
        ...

    def uninstall(self, *, keep_log: bool) -> Mapping[str, Any]:
        """Take the box away, but for its log where asked; says what stays."""
        ...

    def doctor(self) -> Mapping[str, Any]:
        """What this machine and box can give, and what they lack."""
        ...

    def rebuild(self, *, act: bool) -> Mapping[str, Any]:
        """What the box database lacks of what log, ledger and documents tell; written, too, where `act`.

        Raises Unusable `processes-up`, Tampered where what stands above the database cannot be believed.
        """
        ...

    def require_sandbox(self) -> None:
        """Return where this machine lets a sandbox be made; raises NoSandbox `no-sandbox` within a second otherwise."""
        ...

    def foresee(self, place: Mapping[str, Any], wish: Mapping[str, Any], out: str | None) -> Mapping[str, Any]:
        """What an `improve` of `place`, a repository's standing, would read, fetch, run and store; does none of it."""
        ...

    def down(self) -> None:
        """End the box's processes; raises Unreachable `processes-do-not-end`."""
        ...
