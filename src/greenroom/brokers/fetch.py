"""Fetch: wheels for a list of requirements, with a network and without running anything that was fetched.

The requirement list is the sole input: no file of the repository is read here. Wheels only; names and
versions only (PEP 508 without direct references); and pip itself runs under an audit hook that lets it start
no program, so that no metadata of a source release is ever built (PEP 578). What came is named, with its
SHA-256, in a lock.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from greenroom.brokers.indexes import Router, Sources, sources_of, with_own
from greenroom.brokers.settings import pip_environment, read_settings, routed_environment
from greenroom.brokers.web import Web, shown
from greenroom.domain import documents
from greenroom.domain.errors import Unusable
from greenroom.domain.settings import Values
from greenroom.domain.verdict import Held

MAX_REQUIREMENTS = 300
MAX_REQUIREMENT = 500
MAX_WHEELS = 500
MAX_TOTAL_BYTES = 768 * 1024 * 1024
WALL_SECONDS = 600
LOOK_SECONDS = 0.2
MAX_SAID_BYTES = 1024 * 1024
Progress = Callable[[str], None]
Seclude = Callable[[Sequence[str], Mapping[str, str], Path, Path], tuple[Sequence[str], Mapping[str, str]]]
"""Where a program runs: its words and environment, with the two directories that it may write."""

_REACH = "check the network, the proxy and pip's index settings, then try again"

# prctl(PR_SET_PDEATHSIG, SIGKILL): the fetch ends with the keeper, also when that is killed.
_PIP = """
import ctypes, sys
ctypes.CDLL(None).prctl(1, 9)
def refuse(event, arguments):
    if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "os.spawn"):
        raise PermissionError("fetching starts no program")
sys.addaudithook(refuse)
from pip._internal.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """One fetched wheel; `file` is its name in the directory, `sha256` 64 hex digits, `index` what was asked."""

    name: str
    version: str
    file: str
    sha256: str
    size: int
    index: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What was fetched for which requirements and which Python (`3.11`); wheels sorted by name. Its own document."""

    requirements: tuple[str, ...]
    python: str
    wheels: tuple[Wheel, ...]


def _quiet(line: str) -> None:
    del line


def _never() -> bool:
    return False


def _in_the_open(
    argv: Sequence[str], environment: Mapping[str, str], scratch: Path, into: Path
) -> tuple[Sequence[str], Mapping[str, str]]:
    del into
    return argv, {**environment, "TMPDIR": str(scratch)}


class Fetcher:
    """Fetches for one Python version, with the settings of the person in whose `environment` it runs.

    `own` gives the box's own settings, of which those of the index count. `cancelled` is asked five times a second;
    when it turns true the fetch is killed. `seclude` says where pip runs (`brokers.view`); without it, in the open.
    """

    def __init__(
        self,
        *,
        python: str,
        environment: Mapping[str, str],
        progress: Progress = _quiet,
        cancelled: Callable[[], bool] = _never,
        own: Callable[[], Values] = dict,
        seclude: Seclude = _in_the_open,
    ) -> None:
        self._python = ".".join(python.split(".")[:2])
        self._environment = environment
        self._progress = progress
        self._cancelled = cancelled
        self._own = own
        self._seclude = seclude
        self._settings: Mapping[str, str] | None = None

    def __call__(self, requirements: Sequence[str], into: Path) -> Lock | Held:
        """Wheels for `requirements` and all that they need, in `into` (made here, must be empty).

        What is on its way lies in a directory beside `into`, gone when the call ends.

        Held: `direct-reference`, `bad-requirement`, `no-wheel`, `index-unreachable`, `conflicting-requirements`,
        `fetch-too-large`, `fetch-timeout`, `fetch-failed`, `stopped`; `where` names the requirement where one is known.
        """
        into.mkdir(mode=0o755, parents=True, exist_ok=True)
        if any(into.iterdir()):
            raise Unusable("directory-not-empty", "wheels are fetched into an empty directory", where=str(into))
        for requirement in requirements:
            fault = check_requirement(requirement)
            if fault is not None:
                return fault
        if len(requirements) > MAX_REQUIREMENTS:
            return _held("bad-requirement", "", f"at most {MAX_REQUIREMENTS} requirements are fetched at once")
        if not requirements:
            return Lock(requirements=(), python=self._python, wheels=())
        self._progress(f"fetching wheels for {len(requirements)} requirements")
        own = self._own()
        if self._settings is None:
            self._settings = read_settings(self._environment)
        settings = with_own(self._settings, own)
        sources = sources_of(settings, own)
        if sources.single is not None:
            place = shown(sources.single.url)
            fault = self._download(requirements, into, pip_environment(self._environment, settings))
            return fault or lock_of(requirements, self._python, into, lambda _: place)
        return self._routed(requirements, into, settings, sources)

    def locked(self, requirements: Sequence[str], into: Path) -> bytes | Held:
        """As the call itself, with the lock as its stored bytes (RFC 8785): the form that the keeper takes."""
        answer = self(requirements, into)
        return answer if isinstance(answer, Held) else documents.encode(answer)

    def _routed(
        self, requirements: Sequence[str], into: Path, settings: Mapping[str, str], sources: Sources
    ) -> Lock | Held:
        """The same through a router, so that one index alone is asked for each name."""
        router = Router(Web(settings, self._environment), sources)
        with router.serving() as address:
            fault = self._download(requirements, into, routed_environment(self._environment, address))
        found = router.fault or fault
        return found or lock_of(requirements, self._python, into, lambda name: shown(router.asked[name].url))

    def _download(self, requirements: Sequence[str], into: Path, environment: Mapping[str, str]) -> Held | None:
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=into.parent) as scratch:
            listed, said = Path(scratch) / "requirements.txt", Path(scratch) / "said"
            listed.write_text("".join(f"{requirement}\n" for requirement in requirements), "utf-8")
            words = [sys.executable, "-I", "-B", "-c", _PIP, *self._arguments(listed, into)]
            # Whoever cleans up after a killed fetch finds all of it beside `into`.
            argv, given = self._seclude(words, environment, Path(scratch), into)
            with said.open("wb") as output:
                process = subprocess.Popen(
                    list(argv),
                    env=dict(given),
                    cwd=scratch,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )
                fault = self._wait(process)
            if fault is not None or process.returncode == 0:
                return fault
            return explain(_tail(said).decode("utf-8", "replace"))

    def _wait(self, process: subprocess.Popen[bytes]) -> Held | None:
        ends = time.monotonic() + WALL_SECONDS
        try:
            while time.monotonic() < ends:
                if self._cancelled():
                    return _held("stopped", "", "a person lifts the stop with `greenroom lift`")
                try:
                    process.wait(LOOK_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
                return None
            return _held("fetch-timeout", "", "try again later; the package index answers too slowly")
        finally:
            process.kill()
            process.wait()

    def words(self, listed: Path, into: Path) -> list[str]:
        """What pip is told for the requirements in the file `listed`; it is run under an audit hook."""
        return ["pip", *self._arguments(listed, into)]

    def _arguments(self, listed: Path, into: Path) -> list[str]:
        fixed = ["download", "--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
        own = f"{sys.version_info.major}.{sys.version_info.minor}"
        target = [] if self._python == own else [f"--python-version={self._python}"]
        return [*fixed, "--keyring-provider=disabled", *target, f"--dest={into}", f"--requirement={listed}"]


def check_requirement(requirement: str) -> Held | None:
    """None for a plain PEP 508 name with version and marker; else why it is not fetched."""
    # pip expands ${NAME} in requirement files from its environment, which holds the person's settings.
    if len(requirement) > MAX_REQUIREMENT or not requirement.isprintable() or "$" in requirement:
        return _held("bad-requirement", requirement[:80], "a requirement is one short printable line (PEP 508)")
    try:
        parsed = Requirement(requirement)
    except InvalidRequirement:
        return _held("bad-requirement", requirement, "write it as PEP 508 does: name, version, marker")
    if parsed.url is not None:
        remedy = "require a released version by name; what a link points to is not fetched"
        return _held("direct-reference", requirement, remedy)
    return None


def explain(text: str) -> Held:
    """Why pip gave up, from what it printed; URLs and whatever credentials they hold are left out."""
    if "confirming the ssl certificate" in text:
        return _held(
            "index-unreachable", "", "the index's certificate is not trusted: name the authority's file as pip's `cert`"
        )
    if "Retry(total=0" in text:
        # pip says no more of an index that never answered than of one without the name.
        return _held("index-unreachable", "", _REACH)
    for line in text.splitlines():
        if "No matching distribution found for " in line:
            where = line.rpartition("found for ")[2].strip()[:200]
            remedy = "there is no wheel of it for this Python: pin a version that has one, or leave it out"
            return _held("no-wheel", where, remedy)
    if "ResolutionImpossible" in text or "conflicting dependencies" in text:
        return _held("conflicting-requirements", _conflict(text), "loosen one of the conflicting requirements")
    if "fetching starts no program" in text:
        return _held("no-wheel", "a dependency exists as source only", "require a version that has wheels")
    if any(word in text for word in ("ConnectionError", "NewConnectionError", "ProxyError", "SSLError", "Max retries")):
        return _held("index-unreachable", "", _REACH)
    return _held("fetch-failed", "", "run `pip download --only-binary=:all:` with the listed requirements to see why")


def _nowhere(name: str) -> str:
    del name
    return ""


def lock_of(
    requirements: Sequence[str], python: str, directory: Path, index: Callable[[str], str] = _nowhere
) -> Lock | Held:
    """The lock of the wheels in `directory`, each hashed; Held when they are too many, too large, or no wheels.

    `index` says which index was asked for a normalised name.
    """
    wheels: list[Wheel] = []
    total = 0
    for entry in sorted(os.scandir(directory), key=lambda item: item.name):
        if not entry.is_file(follow_symlinks=False) or not entry.name.endswith(".whl"):
            return _held("no-wheel", entry.name[:200], "require a version that has wheels")
        size = entry.stat(follow_symlinks=False).st_size
        total += size
        if total > MAX_TOTAL_BYTES or len(wheels) >= MAX_WHEELS:
            remedy = f"at most {MAX_WHEELS} wheels and {MAX_TOTAL_BYTES} bytes are fetched; require less"
            return _held("fetch-too-large", entry.name[:200], remedy)
        try:
            name, version, _, _ = parse_wheel_filename(entry.name)
        except InvalidWheelFilename:
            return _held("no-wheel", entry.name[:200], "the index gave a file that is not named like a wheel")
        with open(entry.path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        wheels.append(
            Wheel(
                name=str(name),
                version=str(version),
                file=entry.name,
                sha256=digest,
                size=size,
                index=index(str(name)),
            )
        )
    return Lock(requirements=tuple(requirements), python=python, wheels=tuple(wheels))


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - MAX_SAID_BYTES))
        return file.read()


def _conflict(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if "depends on" in line or "requested" in line]
    return "; ".join(lines[:4])[:300]


def _held(rule: str, where: str, remedy: str) -> Held:
    return Held(rule=rule, where=where, remedy=remedy)
