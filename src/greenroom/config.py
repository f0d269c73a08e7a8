"""Where a box keeps things, and the few settings that come from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from greenroom.domain.errors import NotFound, Unusable

IDLE_SECONDS = 600.0
SHORTEST_IDLE_SECONDS = 1.0
MAX_SOCKET_BYTES = 107
"""Bytes of a Unix socket's path that Linux takes, without the zero that ends it (unix(7), sun_path)."""
PROCESSES = ("guard", "keeper", "desk")
"""Those with a socket; the executor answers at the desk."""


@dataclass(frozen=True, slots=True)
class Box:
    """The directories and files of one box; `root` is the box's directory."""

    root: Path

    @property
    def identity(self) -> Path:
        """The box's public description."""
        return self.root / "box.json"

    @property
    def constitution(self) -> Path:
        """A readable copy of the constitution in force; the guard holds the signed one."""
        return self.root / "CONSTITUTION.yaml"

    @property
    def settings(self) -> Path:
        """The box's own settings, written by its owner; there may be none."""
        return self.root / "config.toml"

    @property
    def keys(self) -> Path:
        """Private keys, mode 0600."""
        return self.root / "keys"

    @property
    def public(self) -> Path:
        """Public keys: all that another machine needs to check a copy of the log."""
        return self.root / "public"

    @property
    def log(self) -> Path:
        """The log's tiles and checkpoint; written by the guard."""
        return self.root / "log"

    @property
    def live(self) -> Path:
        """Pointers and what they point to; written by the guard."""
        return self.root / "live"

    @property
    def guard(self) -> Path:
        """The guard's own database and last checkpoint."""
        return self.root / "guard"

    @property
    def store(self) -> Path:
        """Bytes by digest."""
        return self.root / "store"

    @property
    def db(self) -> Path:
        """The executor's databases."""
        return self.root / "db"

    @property
    def keeper(self) -> Path:
        """Golden toolchains, mirrors and scratch directories of the keeper."""
        return self.root / "keeper"

    @property
    def run(self) -> Path:
        """Sockets and locks."""
        return self.root / "run"

    def socket(self, process: str) -> Path:
        """Where `guard`, `keeper` or `desk` answers: alone in a directory of its own, which only its user may fill."""
        return self.run / process / "sock"

    def directories(self) -> tuple[Path, ...]:
        """Every directory that `init` makes."""
        named = (self.keys, self.public, self.log, self.live, self.guard, self.store, self.db, self.keeper, self.run)
        return (self.root, *named, *(self.socket(process).parent for process in PROCESSES))

    def require_short(self) -> Box:
        """This box; raises Unusable `box-path-too-long` where its sockets could not be named: a limit of unix(7)."""
        longest = max(len(os.fsencode(self.socket(process))) for process in PROCESSES)
        if longest > MAX_SOCKET_BYTES:
            raise Unusable(
                "box-path-too-long",
                f"the path of a socket in it has {longest} bytes, the system takes {MAX_SOCKET_BYTES}",
                where=str(self.root),
                remedy="name a shorter directory: greenroom --box DIR, or GREENROOM_HOME",
            )
        return self

    def require(self) -> Box:
        """This box; raises NotFound `no-box` when it was not made, `only-a-log`, Unusable `box-path-too-long`."""
        if self.require_log().only_log:
            raise NotFound(
                "only-a-log",
                "only the log of a box is left here",
                where=str(self.root),
                remedy="`greenroom log check` checks it; `greenroom init DIR` makes a box in another directory",
            )
        return self.require_short()

    def require_log(self) -> Box:
        """This box, or what `uninstall --keep-log` left of it; raises NotFound `no-box`."""
        if not self.identity.is_file():
            raise NotFound(
                "no-box", "there is no box here", where=str(self.root), remedy="make one with `greenroom init`"
            )
        return self

    @property
    def only_log(self) -> bool:
        """True where a box was taken away but for its log."""
        gone = not any(path.exists() for path in (self.keys, self.db, self.run))
        return gone and self.identity.is_file() and self.log.is_dir()


def idle_seconds(asked: str) -> float:
    """Seconds without a call after which the processes leave: `asked` (a setting), ten minutes for what is no time."""
    try:
        seconds = float(asked)
    except ValueError:
        return IDLE_SECONDS
    return max(SHORTEST_IDLE_SECONDS, seconds) if 0 < seconds < float("inf") else IDLE_SECONDS


def box_from(environment: Mapping[str, str], directory: str | None = None) -> Box:
    """The box that `directory`, else GREENROOM_HOME, else the XDG state directory names."""
    if directory:
        return Box(Path(os.path.abspath(directory)))
    if environment.get("GREENROOM_HOME"):
        return Box(Path(os.path.abspath(environment["GREENROOM_HOME"])))
    state = environment.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Box(Path(state) / "greenroom")
