"""Which languages of a tree no proposer reads, so that a person is told instead of left with an empty table."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

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
    ".erl": "Erlang",
    ".ex": "Elixir",
    ".exs": "Elixir",
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
}
"""Languages by the suffix of their files, in lower case."""
NO_PROPOSER = "install a plug-in that reads it (entry point `greenroom.proposers`); nothing is proposed there"


def unread(tree: Manifest, reading: Mapping[str, Iterable[str]], chosen: Iterable[str]) -> list[dict[str, Any]]:
    """Languages of `tree` with the number of their files that none of the `chosen` proposers says it reads.

    `reading` has the suffixes that each installed proposer says it reads. Most files first.
    """
    asked = {suffix for name in chosen for suffix in reading.get(name, ())}
    names = (entry.path.decode("utf-8", "replace") for entry in tree.entries if isinstance(entry, File))
    suffixes = Counter(posixpath.splitext(name)[1].lower() for name in names)
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


def suffixes_of(proposer: object) -> frozenset[str]:
    """The suffixes that a proposer says it reads, in its member `reads`; none where it says nothing of the kind."""
    said = getattr(proposer, "reads", ())
    return frozenset(str(each) for each in said) if isinstance(said, tuple | frozenset) else frozenset()


def _remedy(others: list[str]) -> str:
    return " or ".join(f"`--only {name}`" for name in others) + " reads it" if others else NO_PROPOSER
