"""What pip sees while it fetches: the system, this installation, the places it gets wheels from, and one directory.

pip reads index pages and the metadata of wheels that a repository names by its requirements. So it has neither the box
nor a home directory before it; of the person's own files it gets copies of those that reach an index: certificates and
`.netrc`. As root it runs as an unprivileged user, without any capability. It keeps the network.
"""

from __future__ import annotations

import os
import shutil
import sys
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from greenroom.domain.errors import Unusable

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc")
_PLACES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS")
_CERTIFICATES = (
    "PIP_CERT",
    "PIP_CLIENT_CERT",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)
_DROP = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A view for one pip. `uid` and `gid` name whom it runs as where root starts it; None leaves it who starts it.

    Bubblewrap lays it out. Raises Unusable `no-bubblewrap` or `no-setpriv`.
    """

    uid: int | None = None
    gid: int | None = None

    def __call__(
        self, argv: Sequence[str], environment: Mapping[str, str], scratch: Path, into: Path
    ) -> tuple[list[str], dict[str, str]]:
        """`argv` and its environment in the view; of this machine it may write `scratch` and `into` alone.

        Both are handed over to the user that it runs as. The copies lie in `scratch`, and go with it.
        """
        home = scratch / "home"
        home.mkdir(mode=0o700)
        given, shown = self._settings(environment, home)
        self._hand_over(scratch, into)
        bound = [*_installation(), *shown]
        view = [word for place in _SYSTEM for word in ("--ro-bind-try", place, place)]
        view += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/var/tmp"]  # noqa: S108
        view += [word for path in [*bound, scratch, into] for word in _way(path)]
        view += [word for path in bound for word in ("--ro-bind-try", str(path), str(path))]
        view += ["--bind", str(scratch), str(scratch), "--bind", str(into), str(into), "--chdir", str(scratch)]
        return [_program("bwrap", "bubblewrap"), *self._powers(), *view, "--", *self._dropped(argv)], given

    def _settings(self, environment: Mapping[str, str], home: Path) -> tuple[dict[str, str], list[Path]]:
        """The environment with the copies in it, and what else of the machine it names."""
        given = {**environment, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "TMPDIR": str(home.parent)}
        shown = [path for name in _PLACES for word in given.get(name, "").split() if (path := _local(word))]
        for name in [name for name in given if name.upper() in _CERTIFICATES]:
            path = Path(given[name])
            if path.is_dir():
                shown.append(path.absolute())
            elif path.is_file():
                given[name] = str(_copied(path, home / f"{len(list(home.iterdir()))}.pem"))
        netrc = Path(environment.get("NETRC") or Path(environment.get("HOME", "/nonexistent")) / ".netrc")
        if netrc.is_file():
            given["NETRC"] = str(_copied(netrc, home / ".netrc"))
        resolver = Path(os.path.realpath("/etc/resolv.conf"))
        return given, [*shown, *([resolver] if resolver.exists() and not resolver.is_relative_to("/etc") else [])]

    def _hand_over(self, scratch: Path, into: Path) -> None:
        if self.uid is None or self.gid is None:
            return
        # Bubblewrap goes there as a root without capabilities, which passes no directory that is another user's alone.
        scratch.chmod(0o711)
        for path in (scratch, *scratch.rglob("*"), into):
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def _powers(self) -> list[str]:
        apart = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--new-session"]
        kept = [] if self.uid is None else [word for name in _DROP for word in ("--cap-add", name)]
        own = ["--unshare-user"] if os.geteuid() != 0 else []
        return [*own, *apart, "--cap-drop", "ALL", *kept]

    def _dropped(self, argv: Sequence[str]) -> list[str]:
        if self.uid is None or self.gid is None:
            return list(argv)
        who = ["--reuid", str(self.uid), "--regid", str(self.gid), "--clear-groups"]
        powers = ["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs"]
        return [_program("setpriv", "util-linux"), *who, *powers, "--", *argv]


def _local(word: str) -> Path | None:
    """The directory of this machine that a setting names; of an index, the one that holds its pages and its files."""
    path = urllib.parse.unquote(word.removeprefix("file://")) if word.startswith("file://") else word
    if not os.path.isabs(path) or not os.path.exists(path):
        return None
    found = Path(os.path.normpath(path))
    return found.parent if found.name == "simple" and found.parent != Path("/") else found


def _installation() -> Iterator[Path]:
    """What this Python and pip are read from."""
    named = {sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable))}
    reached = [Path(name) for name in sorted(named) if os.access(name, os.R_OK | os.X_OK)]
    yield from (path for path in reached if not path.is_relative_to("/usr"))


def _way(path: Path) -> list[str]:
    """What leads to `path`, passable for the user that pip runs as."""
    parents = [parent for parent in reversed(path.parents) if parent != Path("/")]
    system = tuple(f"{place}/" for place in _SYSTEM)
    return [
        word
        for parent in parents
        if not f"{parent}/".startswith(system)
        for word in ("--perms", "0755", "--dir", str(parent))
    ]


def _copied(source: Path, target: Path) -> Path:
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as file:
        file.write(source.read_bytes())
    return target


def _program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        reference = "no-bubblewrap" if name == "bwrap" else f"no-{name}"
        raise Unusable(reference, f"{name} is not installed", remedy=f"apt-get install {package}")
    return found
