"""Fetch: wheels for a list of requirements, with a network and without running anything that was fetched.

The requirement list is the sole input: no file of the repository is read here. Wheels only; names and
versions only (PEP 508 without direct references); and pip itself runs under an audit hook that lets it start
no program, so that no metadata of a source release is ever built (PEP 578). What came is named, with its
SHA-256, in a lock.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from greenroom.brokers.indexes import Router, Sources, sources_of, with_own
from greenroom.brokers.leftovers import FOLDER, names_in, opened
from greenroom.brokers.process import Program
from greenroom.brokers.settings import pip_environment, read_settings, routed_environment
from greenroom.brokers.web import Web, shown, unreadable
from greenroom.clearing import emptied, removed
from greenroom.domain import documents
from greenroom.domain.errors import Unusable
from greenroom.domain.refusals import remedy_of
from greenroom.domain.settings import Values
from greenroom.domain.verdict import Held

MAX_REQUIREMENTS = 300
MAX_REQUIREMENT = 500
MAX_WHEELS = 500
MAX_TOTAL_BYTES = 768 * 1024 * 1024
WALL_SECONDS = 600
LOOK_SECONDS = 0.2
REMOVE_SECONDS = 60.0
MAX_SAID_BYTES = 1024 * 1024
Progress = Callable[[str], None]
Seclude = Callable[
    [Sequence[str], Mapping[str, str], Path, Path, Callable[[], int]], tuple[Sequence[str], Mapping[str, str]]
]
"""Where a program runs: its words and environment, with the two directories that it may write, and where it is told
which process is the first there (`brokers.process`). Raises OSError where a file of the settings cannot be read."""

_FAILED = "pip-failed"
_WHEEL_FILE = re.compile(r"[A-Za-z0-9._+!-]{1,250}\.whl")
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
    argv: Sequence[str], environment: Mapping[str, str], scratch: Path, into: Path, told: Callable[[], int]
) -> tuple[Sequence[str], Mapping[str, str]]:
    del into, told
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
        `fetch-too-large`, `fetch-timeout`, `fetch-failed`, `place-unreadable`, `stopped`; `where` names the requirement
        or the place where one is known. Nothing is left in `into` then.
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
        if sources.single is not None and not sources.single.local:
            place = shown(sources.single.url)
            fault = self._download(requirements, into, pip_environment(self._environment, settings))
            found = fault or lock_of(requirements, self._python, into, lambda _: place)
        else:
            found = self._routed(requirements, into, settings, sources)
        if isinstance(found, Held):
            emptied(into, seconds=REMOVE_SECONDS)
        return found

    def locked(self, requirements: Sequence[str], into: Path) -> bytes | Held:
        """As the call itself, with the lock as its stored bytes (RFC 8785): the form that the keeper takes."""
        answer = self(requirements, into)
        return answer if isinstance(answer, Held) else documents.encode(answer)

    def _routed(
        self, requirements: Sequence[str], into: Path, settings: Mapping[str, str], sources: Sources
    ) -> Lock | Held:
        """The same through a router: one index alone is asked for each name, and pip sees no place of this machine."""
        try:
            router = Router(Web(settings, self._environment), sources)
        except OSError as error:
            return _unreadable(error)
        with router.serving() as address:
            fault = self._download(requirements, into, routed_environment(self._environment, address))
        found = router.fault or fault
        owner = router.asked.get
        return found or lock_of(
            requirements, self._python, into, lambda name: shown(place.url) if (place := owner(name)) else None
        )

    def _download(self, requirements: Sequence[str], into: Path, environment: Mapping[str, str]) -> Held | None:
        # Whoever cleans up after a killed fetch finds all of it beside `into`.
        scratch = Path(tempfile.mkdtemp(prefix="fetch-", dir=into.parent))
        program = Program()
        # What pip says has no name that pip could give to another file.
        with tempfile.TemporaryFile(dir=into.parent, buffering=0) as said:
            try:
                fault = self._ran(program, requirements, environment, scratch, into, said)
            finally:
                ended = program.end()
                gone = ended and removed(scratch, seconds=REMOVE_SECONDS)
            if fault is not None:
                return fault if fault.rule != _FAILED else explain(_tail(said).decode("utf-8", "replace"))
        return None if gone else _held("fetch-failed", scratch.name, "what pip left cannot be removed; see what runs")

    def _ran(
        self,
        program: Program,
        requirements: Sequence[str],
        environment: Mapping[str, str],
        scratch: Path,
        into: Path,
        said: IO[bytes],
    ) -> Held | None:
        """pip's run; Held `_FAILED` where what it said tells why."""
        listed = scratch / "requirements.txt"
        listed.write_text("".join(f"{requirement}\n" for requirement in requirements), "utf-8")
        words = [sys.executable, "-I", "-B", "-c", _PIP, *self._arguments(listed, into)]
        try:
            argv, given = self._seclude(words, environment, scratch, into, program.told)
        except OSError as error:
            return _unreadable(error)
        program.start(argv, given, scratch, said)
        ends = time.monotonic() + WALL_SECONDS
        while time.monotonic() < ends:
            if self._cancelled():
                return _held("stopped", "", "a person lifts the stop with `greenroom lift`")
            status = program.wait(LOOK_SECONDS)
            if status is not None:
                return None if status == 0 else _held(_FAILED, "", "")
        return _held("fetch-timeout", "", "try again later; the package index answers too slowly")

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


def _nowhere(name: str) -> str | None:
    del name
    return ""


def lock_of(
    requirements: Sequence[str], python: str, directory: Path, index: Callable[[str], str | None] = _nowhere
) -> Lock | Held:
    """The lock of the wheels in `directory`, each hashed; Held when they are too many, too large, or no wheels.

    `index` says which index was asked for a normalised name; None where none was. Nothing in `directory` is trusted.
    """
    try:
        folder = os.open(directory, FOLDER)
    except OSError as error:
        return _unreadable(error)
    try:
        wheels: list[Wheel] = []
        for name in names_in(folder, MAX_WHEELS + 1):
            left = MAX_TOTAL_BYTES - sum(wheel.size for wheel in wheels)
            found = _wheel(name, folder, left if len(wheels) < MAX_WHEELS else -1, index)
            if isinstance(found, Held):
                return found
            wheels.append(found)
    finally:
        os.close(folder)
    return Lock(requirements=tuple(requirements), python=python, wheels=tuple(wheels))


def _wheel(file: str, folder: int, left: int, index: Callable[[str], str | None]) -> Wheel | Held:
    """The wheel `file` of at most `left` bytes."""
    where = ascii(file)[1:-1][:200]
    opened_file = opened(file, folder) if file.endswith(".whl") else None
    if opened_file is None:
        return _held("no-wheel", where, "require a version that has wheels")
    with opened_file:
        size = os.fstat(opened_file.fileno()).st_size
        if size > left:
            remedy = f"at most {MAX_WHEELS} wheels and {MAX_TOTAL_BYTES} bytes are fetched; require less"
            return _held("fetch-too-large", where, remedy)
        try:
            name, version, _, _ = parse_wheel_filename(file)
        except InvalidWheelFilename:
            name, version = None, None
        if name is None or _WHEEL_FILE.fullmatch(file) is None:
            return _held("no-wheel", where, "the index gave a file that is not named like a wheel")
        asked = index(str(name))
        if asked is None:
            return _held("no-wheel", where, "no index was asked for it; see what the required packages do")
        digest = hashlib.file_digest(opened_file, "sha256").hexdigest()
    return Wheel(name=str(name), version=str(version), file=file, sha256=digest, size=size, index=asked)


def _tail(said: IO[bytes]) -> bytes:
    size = os.fstat(said.fileno()).st_size
    return os.pread(said.fileno(), MAX_SAID_BYTES, max(0, size - MAX_SAID_BYTES))


def _unreadable(error: OSError) -> Held:
    fault = unreadable(str(error.filename or ""))
    return _held(fault.reference, fault.where, remedy_of(fault))


def _conflict(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if "depends on" in line or "requested" in line]
    return "; ".join(lines[:4])[:300]


def _held(rule: str, where: str, remedy: str) -> Held:
    return Held(rule=rule, where=where, remedy=remedy)
