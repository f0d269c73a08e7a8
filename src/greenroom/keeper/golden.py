"""Golden: the pinned toolchain that Green is built and tried on, as a document and as read-only mounts."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import platform
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from greenroom.clearing import removed
from greenroom.domain import documents
from greenroom.domain.digest import Digest, hex_of, prefix_of
from greenroom.domain.errors import Unusable
from greenroom.domain.ports import Mount, Store, Trees
from greenroom.keeper import toolbox, toolchain

INTERPRETER = "/usr/bin/python3"
PYTHON = "/golden/bin/python3"
"""The interpreter inside a cell."""
_VENV = "home = {}\ninclude-system-site-packages = false\n"
ENVIRONMENT: Mapping[str, str] = {
    "HOME": "/tmp",  # noqa: S108 - the cell's own
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "SOURCE_DATE_EPOCH": "315532800",
}
"""What a cell's processes find in their environment: seeds, time and words are the same in every run."""
_FIXED = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """What a run stands on besides the trees it is given; stored with the prefix `golden`.

    `toolchain` is the tree mounted at /golden (`site/`, `bin/`), `deps` the tree mounted at /deps with the
    subject's own dependencies, installed from the wheels that `lock` pins. `tree` is the tree whose metadata named
    them, also where it named none; None where no tree was asked. `helpers` are the modules beside every tool's body.
    `notes` are facts for the card, such as optional dependencies that could not be had.
    `environment` is what every run on this golden has in its environment, the seeds among it; ENVIRONMENT where it is
    empty, as in goldens that do not record it.
    `indexes` names, for each index that was asked, the dependencies that came from it.
    Hashes that are not of stored bytes (interpreter, launcher) are SHA-256 in hex.
    """

    interpreter: str
    interpreter_sha256: str
    python: str
    host: Mapping[str, str]
    toolchain: Digest
    packages: Mapping[str, str]
    helpers: Mapping[str, Digest]
    launcher_sha256: str
    deps: Digest | None = None
    lock: Digest | None = None
    notes: tuple[str, ...] = field(default=())
    tree: Digest | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    indexes: Mapping[str, str] = field(default_factory=dict)


class Goldens:
    """The goldens that this keeper made. It runs on no other: a foreign one could bring a forged test runner.

    `directory` holds `known/` (one file a golden), `trees/` (toolchains and dependencies as directories, readable by
    everybody) and `tools/` (what cells see at /tools). `launcher` is the sandbox's own program; `helpers` the bytes of
    the modules beside the tools' bodies by file name.
    """

    def __init__(
        self,
        directory: Path,
        *,
        store: Store,
        trees: Trees,
        launcher: Path | None,
        helpers: Mapping[str, bytes],
        interpreter: str = INTERPRETER,
        distributions: Sequence[str] = toolchain.DISTRIBUTIONS,
    ) -> None:
        self._directory = directory
        self._store = store
        self._trees = trees
        self._launcher = launcher
        self._helpers = helpers
        self._interpreter = interpreter
        self._distributions = tuple(distributions)
        self._lock = threading.Lock()
        self._current: Digest | None = None
        self._toolbox = toolbox.Toolbox(directory / "tools", store)
        for name in ("", "known", "trees"):
            (directory / name).mkdir(mode=0o755, parents=True, exist_ok=True)
            (directory / name).chmod(0o755)

    def current(self) -> Digest:
        """The golden of this installation, without dependencies; made once, then remembered.

        Raises Unusable `no-interpreter` or `toolchain-incomplete`.
        """
        with self._lock:
            if self._current is None:
                self._current = self.register(self._make())
            return self._current

    def register(self, golden: Golden) -> Digest:
        """Store `golden` and accept it from now on, also after a restart; its digest."""
        digest = self._store.put("golden", documents.encode(golden))
        self._marker(digest).touch(mode=0o644)
        return digest

    def of_tree(self, digest: Digest, tree: Digest) -> Digest:
        """The golden that `digest` names, as prepared from `tree`; what is mounted is the same for all trees."""
        return self.register(dataclasses.replace(self.open(digest), tree=tree))

    def open(self, digest: Digest) -> Golden:
        """The golden that `digest` names; raises Unusable `golden-unknown` for one that this keeper did not make."""
        if prefix_of(digest) != "golden" or not self._marker(digest).exists():
            raise Unusable(
                "golden-unknown",
                "this box did not make the toolchain that is asked for",
                where=str(digest)[:80],
                remedy="propose the change again, so that it is made on the toolchain of this installation",
            )
        return documents.decode(Golden, self._store.get(digest))

    def mounts(self, golden: Golden) -> tuple[Mount, ...]:
        """Toolchain at /golden, dependencies at /deps.

        PYTHON is the host's interpreter as a virtual environment (PEP 405): what it runs, and every process that
        starts `sys.executable` again, does not see the packages that the host happens to have.
        """
        found = [Mount(source=str(self._tree(golden.toolchain, golden.interpreter)), target="/golden")]
        if golden.deps is not None:
            found.append(Mount(source=str(self._tree(golden.deps, None)), target="/deps"))
        return tuple(found)

    def tools(self, golden: Golden, name: str, body: bytes) -> Mount:
        """The tool `name` with its helpers at /tools; raises NotFound or Tampered as `Toolbox.place` does."""
        return Mount(source=str(self._toolbox.place(golden.helpers, golden.python, name, body)), target=toolbox.TARGET)

    def _marker(self, digest: Digest) -> Path:
        return self._directory / "known" / hex_of(digest)

    def _make(self) -> Golden:
        interpreter = os.path.realpath(self._interpreter)
        tree = self._toolchain()
        return Golden(
            interpreter=interpreter,
            interpreter_sha256=_sha256(interpreter),
            python=_version(interpreter),
            host=_host(),
            toolchain=tree,
            packages=toolchain.versions(self._distributions),
            helpers={name: self._store.put("blob", data) for name, data in sorted(self._helpers.items())},
            launcher_sha256=_sha256(str(self._launcher)) if self._launcher is not None else "",
            environment=ENVIRONMENT,
        )

    def _toolchain(self) -> Digest:
        """The toolchain's tree; sealed anew only when the installed distributions are others than the last time."""
        key = toolchain.key(self._distributions)
        remembered = self._directory / f"toolchain-{key}"
        if remembered.exists():
            tree = Digest(remembered.read_text("ascii"))
            if self._store.has(tree):
                return tree
        scratch = self._directory / f"making-{key}"
        removed(scratch)
        try:
            toolchain.copy(self._distributions, scratch)
            tree = self._trees.seal(str(scratch))
        finally:
            removed(scratch)
        part = remembered.with_suffix(".part")
        part.write_text(tree, "ascii")
        part.replace(remembered)
        return tree

    def _tree(self, tree: Digest, interpreter: str | None) -> Path:
        """A directory with `tree`, made once; a toolchain when `interpreter` is given.

        Byte code and the interpreter's link are derived here: the cell may not write, a tree holds no such link.
        """
        final = self._directory / "trees" / hex_of(tree)
        with self._lock:
            if final.is_dir():
                return final
            part = final.with_name(f"{final.name}.part")
            removed(part)
            self._trees.materialise(tree, str(part))
            if interpreter is not None:
                _compile(interpreter, part / "site")
                (part / "bin").mkdir(exist_ok=True)
                (part / "bin" / "python3").symlink_to(interpreter)
                (part / "pyvenv.cfg").write_text(_VENV.format(os.path.dirname(interpreter)), "ascii")
                (part / "pyvenv.cfg").chmod(0o644)
            part.rename(final)
        return final


def _compile(interpreter: str, directory: Path) -> None:
    """Byte code for `directory` (PEP 552, unchecked: nothing else may write there). Files that do not compile stay."""
    argv = [interpreter, "-I", "-S", "-m", "compileall", "-qq", "--invalidation-mode", "unchecked-hash", "."]
    subprocess.run(argv, check=False, cwd=directory, env=_FIXED, stdin=subprocess.DEVNULL, timeout=600)


def _version(interpreter: str) -> str:
    code = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
    try:
        ran = subprocess.run(
            [interpreter, "-I", "-S", "-c", code], check=True, capture_output=True, env=_FIXED, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _no_interpreter(interpreter, str(error)) from None
    return ran.stdout.decode("ascii", "replace").strip()


def _host() -> Mapping[str, str]:
    known = platform.freedesktop_os_release()
    names = {name.lower(): known[name] for name in ("ID", "VERSION_ID", "PRETTY_NAME") if name in known}
    return names | {"machine": platform.machine()}


def _sha256(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _no_interpreter(path, str(error.strerror)) from None


def _no_interpreter(path: str, why: str) -> Unusable:
    return Unusable(
        "no-interpreter",
        f"a program of the toolchain cannot be used: {why[:200]}",
        where=path,
        remedy="install Debian's python3 package, then run `greenroom doctor`",
    )
