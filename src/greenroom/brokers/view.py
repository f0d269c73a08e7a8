"""What pip sees while it fetches: the system, this installation, and the two directories that it writes.

pip reads index pages and the metadata of wheels that a repository names by its requirements. So it has neither the box
nor a home directory before it, nor any local place that wheels come from: those are read for it (`brokers.indexes`).
Of the person's own files it gets copies of those that reach an index: certificates and `.netrc`. As root it runs as an
unprivileged user, without any capability. It keeps the network.
"""

from __future__ import annotations

import itertools
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from greenroom.brokers.settings import at_home
from greenroom.domain.errors import Unusable

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc")
_CERTIFICATES = (
    "PIP_CERT",
    "PIP_CLIENT_CERT",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)
_MAX_CERTIFICATES = 2000
_MAX_CERTIFICATE_BYTES = 4 * 1024 * 1024
_DROP = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A view for one pip. `uid` and `gid` name whom it runs as where root starts it; None leaves it who starts it.

    Bubblewrap lays it out. Raises Unusable `no-bubblewrap` or `no-setpriv`.
    """

    uid: int | None = None
    gid: int | None = None

    def __call__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        scratch: Path,
        into: Path,
        told: Callable[[], int] | None = None,
    ) -> tuple[list[str], dict[str, str]]:
        """`argv` and its environment in the view; of this machine it may write `scratch` and `into` alone.

        Both are handed over to the user that it runs as. The copies lie in `scratch`, and go with it. On the descriptor
        that `told` gives, bubblewrap names the view's first process. Raises OSError where a file that the settings name
        cannot be read.
        """
        home = scratch / "home"
        home.mkdir(mode=0o700)
        given = _settings(environment, home)
        self._hand_over(scratch, into)
        bound = [*_installation(), *_resolver()]
        view = [word for place in _SYSTEM for word in ("--ro-bind-try", place, place)]
        view += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/var/tmp"]  # noqa: S108 - the view's own
        view += [word for path in [*bound, scratch, into] for word in _way(path)]
        view += [word for path in bound for word in ("--ro-bind-try", str(path), str(path))]
        view += ["--bind", str(scratch), str(scratch), "--bind", str(into), str(into), "--chdir", str(scratch)]
        named = [] if told is None else ["--info-fd", str(told())]
        return [_program("bwrap", "bubblewrap"), *named, *self._powers(), *view, "--", *self._dropped(argv)], given

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


def _settings(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """The environment, with copies in `home` in place of the person's own files."""
    given = {**environment, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "TMPDIR": str(home.parent)}
    for name in [name for name in given if name.upper() in _CERTIFICATES]:
        path = Path(at_home(given[name], environment))
        if stat.S_ISDIR(mode := _mode(path)):
            given[name] = str(_certificates(path, home / f"{len(list(home.iterdir()))}.d"))
        elif stat.S_ISREG(mode):
            given[name] = str(_copied(path, home / f"{len(list(home.iterdir()))}.pem"))
    netrc = at_home(environment.get("NETRC") or "~/.netrc", environment)
    if stat.S_ISREG(_mode(Path(netrc))):
        given["NETRC"] = str(_copied(Path(netrc), home / ".netrc"))
    return given


def _mode(path: Path) -> int:
    """Its type and mode; 0 where there is nothing. Raises OSError where that cannot be known."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _certificates(source: Path, target: Path) -> Path:
    """A directory with what `source` has of certificates and revocations: any directory may be named as one."""
    if source.resolve().is_relative_to("/etc") or source.resolve().is_relative_to("/usr"):
        return source
    target.mkdir(mode=0o700)
    for path in itertools.islice(sorted(source.iterdir()), _MAX_CERTIFICATES):
        if path.is_file() and path.stat().st_size <= _MAX_CERTIFICATE_BYTES:
            data = path.read_bytes()
            if b"-----BEGIN " in data and b"PRIVATE KEY" not in data:
                _written(data, target / path.name)
    return target


def _resolver() -> Iterator[Path]:
    """Where the file that names the resolvers lies, if not in the system's own place."""
    resolver = Path(os.path.realpath("/etc/resolv.conf"))
    yield from [resolver] if resolver.exists() and not resolver.is_relative_to("/etc") else []


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
    return _written(source.read_bytes(), target)


def _written(data: bytes, target: Path) -> Path:
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as file:
        file.write(data)
    return target


def _program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        reference = "no-bubblewrap" if name == "bwrap" else f"no-{name}"
        raise Unusable(reference, f"{name} is not installed", remedy=f"apt-get install {package}")
    return found
