"""Manual pages, made from the same help that `--help` prints: one for the command and one for each of its verbs.

The format is man(7), as groff's manual describes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenroom.domain.errors import Exit, Unusable
from greenroom.entrypoints.cli.safe import safe

if TYPE_CHECKING:
    from greenroom.entrypoints.cli.app import Context

_HEADER = '.\\" Made by `greenroom manual` from the help of the command.\n'


def register(app: typer.Typer, context: Context) -> None:
    """Add the command to `app`, whose every command gets a page."""

    @app.command()
    def manual(
        directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where; made when it is not there.")],
        json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    ) -> None:
        """Write the manual pages into DIR; `man greenroom` finds them below a directory of MANPATH.

        Examples:
          greenroom manual ~/.local/share/man/man1
          man ~/.local/share/man/man1/greenroom-improve.1
        """
        del json
        made = write(app, directory, context.version)
        context.answer({"pages": [str(path) for path in made]}, lambda: print(f"{len(made)} pages in {directory}"))


def write(app: typer.Typer, directory: Path, version: str) -> list[Path]:
    """Write every page; a page that is there is replaced, another file of that name is not.

    Raises Unusable `not-a-directory` and `not-a-manual-page` before anything is written.
    """
    if directory.exists() and not directory.is_dir():
        remedy = "name a directory, such as ~/.local/share/man/man1"
        raise Unusable(
            "not-a-directory", "manual pages are written into a directory", where=str(directory), remedy=remedy
        )
    made = {directory / f"{name}.1": text for name, text in pages(app, version)}
    for path in made:
        if path.is_symlink() or (path.exists() and not path.read_bytes().startswith(_HEADER.encode())):
            remedy = "name another directory, or move that file away"
            raise Unusable("not-a-manual-page", "a file that is not ours has that name", where=str(path), remedy=remedy)
    directory.mkdir(parents=True, exist_ok=True)
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")
    return list(made)


def pages(app: typer.Typer, version: str) -> Iterator[tuple[str, str]]:
    """(name, text) of each page, as `greenroom-log-check` and man(7)."""
    root: Any = typer.main.get_command(app)
    yield from _pages(("greenroom",), root, version)


def _pages(words: tuple[str, ...], command: Any, version: str) -> Iterator[tuple[str, str]]:
    below = getattr(command, "commands", {})
    yield "-".join(words), _page(words, command, below, version)
    for name, each in sorted(below.items()):
        yield from _pages((*words, name), each, version)


def _page(words: tuple[str, ...], command: Any, below: dict[str, Any], version: str) -> str:
    about, examples = _parts(command.help or "")
    options = [each for each in command.params if each.param_type_name == "option"]
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    title = "-".join(words).upper()
    lines = [
        f'.TH "{_text(title)}" "1" "" "Greenroom {_text(version)}" "Greenroom"',
        ".SH NAME",
        f"{_text('-'.join(words))} \\- {_text(_brief(about))}",
        ".SH SYNOPSIS",
        f".B {_text(' '.join(words))}",
        _text(" ".join(_synopsis(options, arguments, below))),
        ".SH DESCRIPTION",
        *_paragraphs(about),
    ]
    if arguments:
        lines += [".SH ARGUMENTS", *(line for each in arguments for line in _entry(_named(each), each.help))]
    if options:
        lines += [".SH OPTIONS", *(line for each in options for line in _entry(_spelled(each), each.help))]
    if below:
        lines += [".SH COMMANDS"]
        lines += [line for name, each in sorted(below.items()) for line in _entry(name, _parts(each.help or "")[0])]
    if examples:
        lines += [".SH EXAMPLES", ".nf", *(_text(line) for line in examples), ".fi"]
    lines += [
        ".SH EXIT STATUS",
        _text(", ".join(f"{code.value} {code.name}" for code in Exit)),
        *_see_also(words, below),
    ]
    return _HEADER + "\n".join(lines) + "\n"


def _brief(about: str) -> str:
    """The first sentence of the first paragraph."""
    return " ".join(about.split("\n\n")[0].split()).split(". ")[0].rstrip(".")


def _parts(text: str) -> tuple[str, list[str]]:
    """The words about a command, and its example lines."""
    about, _, examples = text.replace("\b\n", "").partition("\n\nExample")
    return about.strip(), [line.strip() for line in examples.splitlines()[1:] if line.strip()]


def _paragraphs(about: str) -> Iterator[str]:
    for paragraph in about.split("\n\n"):
        yield from (".PP", _text(" ".join(paragraph.split())))


def _synopsis(options: list[Any], arguments: list[Any], below: dict[str, Any]) -> Iterator[str]:
    if options:
        yield "[OPTIONS]"
    yield from (_named(each) if each.required else f"[{_named(each)}]" for each in arguments)
    if below:
        yield "COMMAND [ARGS]..."


def _named(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _spelled(option: Any) -> str:
    value = "" if option.is_flag else f" {option.metavar or option.name.upper()}"
    return ", ".join(option.opts) + value


def _entry(term: str, about: str | None) -> tuple[str, ...]:
    return (".TP", f".B {_text(term)}", _text(" ".join((about or "").split())) or "\\&")


def _see_also(words: tuple[str, ...], below: dict[str, Any]) -> Iterator[str]:
    others = [*(f"{'-'.join(words)}-{name}" for name in sorted(below)), *(["-".join(words[:-1])] if words[1:] else [])]
    if others:
        yield ".SH SEE ALSO"
        yield ", ".join(f"\\fB{_text(name)}\\fR(1)" for name in others)


def _text(words: str) -> str:
    """Escaped for groff: no request, no escape and no hyphenation comes from the words."""
    escaped = safe(words).replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return re.sub(r"^(?=[.'])", "\\\\&", escaped)
