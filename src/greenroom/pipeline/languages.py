"""Which languages of a tree no proposer reads, so that a person is told instead of left with an empty table."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from greenroom.domain.digest import Digest
from greenroom.domain.trees import File, Manifest

LANGUAGES: Mapping[str, str] = {
    ".bash": "shell",
    ".c": "C",
    ".cc": "C++",
    ".clj": "Clojure",
    ".cpp": "C++",
    ".cs": "C#",
    ".css": "CSS",
    ".dart": "Dart",
    ".dockerfile": "Dockerfile",
    ".erl": "Erlang",
    ".ex": "Elixir",
    ".exs": "Elixir",
    ".fish": "fish",
    ".f90": "Fortran",
    ".go": "Go",
    ".h": "C",
    ".hpp": "C++",
    ".hs": "Haskell",
    ".html": "HTML",
    ".ipynb": "notebooks",
    ".java": "Java",
    ".jl": "Julia",
    ".js": "JavaScript",
    ".jsx": "JavaScript",
    ".kt": "Kotlin",
    ".lua": "Lua",
    ".m": "Objective-C or MATLAB",
    ".ml": "OCaml",
    ".mjs": "JavaScript",
    ".php": "PHP",
    ".pl": "Perl",
    ".pm": "Perl",
    ".ps1": "PowerShell",
    ".py": "Python",
    ".pyi": "Python",
    ".pyx": "Cython",
    ".r": "R",
    ".rb": "Ruby",
    ".rs": "Rust",
    ".scala": "Scala",
    ".scss": "CSS",
    ".sh": "shell",
    ".sql": "SQL",
    ".swift": "Swift",
    ".ts": "TypeScript",
    ".tsx": "TypeScript",
    ".vue": "Vue",
    ".zig": "Zig",
    ".zsh": "zsh",
}
"""Languages by the suffix of their files, in lower case."""
NAMES: Mapping[str, str] = {"containerfile": ".dockerfile", "dockerfile": ".dockerfile"}
"""Suffixes that stand for files without one, by their names in lower case."""
INTERPRETERS: Mapping[str, str] = {
    **dict.fromkeys(("bash", "dash", "ksh", "sh"), ".sh"),
    "fish": ".fish",
    "lua": ".lua",
    "node": ".js",
    "perl": ".pl",
    "php": ".php",
    "Rscript": ".r",
    "ruby": ".rb",
    "zsh": ".zsh",
}
"""Suffixes that stand for scripts without one, by the programs that their first lines name."""
MAX_SCRIPTS = 200
MAX_SCRIPT_BYTES = 256 * 1024
_SHEBANG = re.compile(rb"#![ \t]*/(?:[\w.-]+/)*(?:env[ \t]+(?:-S[ \t]+)?)?([\w-]+)")
NO_PROPOSER = (
    "nothing is proposed there; a plug-in that reads it is a Python package with an entry point in the group"
    " `greenroom.proposers`, installed beside Greenroom (docs/proposers.md)"
)


def unread(
    tree: Manifest,
    reading: Mapping[str, Iterable[str]],
    chosen: Iterable[str],
    content: Callable[[Digest], bytes] | None = None,
) -> list[dict[str, Any]]:
    """Languages of `tree` with the number of their files that none of the `chosen` proposers says it reads.

    `reading` has the suffixes that each installed proposer says it reads; `content` gives a file's bytes, for the first
    lines of scripts without a suffix. Most files first.
    """
    asked = {suffix for name in chosen for suffix in reading.get(name, ())}
    suffixes = Counter(_suffixes(tree, content))
    files: Counter[str] = Counter()
    others: dict[str, set[str]] = {}
    for suffix, count in suffixes.items():
        language = LANGUAGES.get(suffix)
        if language is not None and suffix not in asked:
            files[language] += count
            others.setdefault(language, set()).update(name for name, known in reading.items() if suffix in known)
    return [
        {"language": language, "files": count, "remedy": _remedy(sorted(others[language]))}
        for language, count in files.most_common()
    ]


def _suffixes(tree: Manifest, content: Callable[[Digest], bytes] | None) -> Iterator[str]:
    """The suffix of each file, or the one that its name or its first line stands for."""
    scripts = 0
    for entry in tree.entries:
        if not isinstance(entry, File):
            continue
        name = posixpath.basename(entry.path.decode("utf-8", "replace"))
        stem, suffix = posixpath.splitext(name)
        if stem.lower() in NAMES and suffix.lower() not in LANGUAGES:
            yield NAMES[stem.lower()]
        elif suffix:
            yield suffix.lower()
        elif entry.executable and entry.size <= MAX_SCRIPT_BYTES and content is not None and scripts < MAX_SCRIPTS:
            scripts += 1
            found = _SHEBANG.match(content(entry.blob)[:200])
            yield INTERPRETERS.get(found[1].decode("ascii", "replace"), "") if found else ""


def suffixes_of(proposer: object) -> frozenset[str]:
    """The suffixes that a proposer says it reads, in its member `reads`; none where it says nothing of the kind."""
    said = getattr(proposer, "reads", ())
    return frozenset(str(each) for each in said) if isinstance(said, tuple | frozenset) else frozenset()


def _remedy(others: list[str]) -> str:
    return " or ".join(f"`--only {name}`" for name in others) + " reads it" if others else NO_PROPOSER
