"""The command `greenroom`: its verbs, their options and their help with examples."""

import errno
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenroom.domain.errors import Bug, Exit, GreenroomError, NotFound, Unusable
from greenroom.entrypoints.cli import completion, output

if TYPE_CHECKING:
    from greenroom.entrypoints.services import Services

INTERRUPTED = "greenroom: interrupted; nothing is half done"
WORK = frozenset({"approve", "ask", "edit", "promote", "reopen", "restack", "resume", "retry", "revert"})
"""Commands that carry a change, which the box goes on with when nobody waits for it."""


COMMANDS: Mapping[str, tuple[str, ...]] = {
    "improve_command": ("improve",),
    "ask_command": ("ask",),
    "change_commands": ("list", "show", "diff", "promote", "restack", "revert", "resume"),
    "approve_commands": ("approve",),
    "branch_commands": ("pr",),
    "decision_commands": ("reject", "defer", "reopen", "cancel", "edit", "retry"),
    "house_commands": ("init", "status", "doctor", "down", "stop", "lift", "mode", "constitution"),
    "config_commands": ("config",),
    "owner_commands": ("looked", "floor"),
    "standing_commands": ("opt-in",),
    "log_commands": ("log",),
    "metrics_commands": ("metrics",),
    "briefing_command": ("briefing",),
    "box_commands": ("backup", "restore", "uninstall"),
    "completion": ("completion",),
    "manual": ("manual",),
}
"""The modules of this package that add commands, in the order in which the help lists them, each with its commands."""


_OF_ALL = ("manual",)
"""Commands about all commands."""


class Context:
    """What every command gets: the services, and how to answer."""

    def __init__(self, services: "Callable[[str | None], Services]", version: str) -> None:
        self._make = services
        self.version = version
        self.box: str | None = None
        self.as_json = "--json" in sys.argv

    @property
    def services(self) -> "Services":
        """The services of the chosen box."""
        return self._make(self.box)

    def answer(self, value: Any, show: Callable[[], None]) -> None:
        """JSON when asked for, else what `show` prints."""
        try:
            if self.as_json:
                output.print_json(value)
            else:
                show()
            sys.stdout.flush()
        except (BrokenPipeError, SystemExit):
            # The reader of the answer is gone; how the command ended is still to be told by its exit code.
            output.silence()


def build(
    services: "Callable[[str | None], Services]", version: str, words: Sequence[str] | None = None
) -> typer.Typer:
    """The application over `services`; with the command line's `words` only the commands that those can mean.

    Making the options of a command takes longer than most commands do, so the others are left alone.
    """
    context = Context(services, version)
    app = typer.Typer(
        name="greenroom",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"obj": context},
        help="A box in which software agents change things, and nothing breaks.\n\n"
        "Start: greenroom init; greenroom improve REPO; greenroom approve ID; greenroom revert ID.",
    )

    def _version(wanted: bool) -> None:
        if wanted:
            context.answer({"version": version}, lambda: print(f"greenroom {version}"))
            raise typer.Exit

    @app.callback()
    def _main(
        box: Annotated[str | None, typer.Option("--box", metavar="DIR", help="The box (else GREENROOM_HOME).")] = None,
        version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say it.")] = False,
        json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    ) -> None:
        del version, json
        context.box = box

    for name in COMMANDS if words is None else _modules(words):
        importlib.import_module(f"greenroom.entrypoints.cli.{name}").register(app, context)
    _keep_examples(app)
    return app


def _modules(words: Sequence[str]) -> Iterable[str]:
    """The modules that a command line needs: that of the command it names, every one where that cannot be told."""
    if completion.VARIABLE in os.environ:
        return COMMANDS
    waiting = iter(words)
    for word in waiting:
        if word == "--version":
            return ()
        if word == "--box":
            next(waiting, None)
        elif word != "--json" and not word.startswith("--box="):
            named = [name for name, commands in COMMANDS.items() if word in commands]
            return COMMANDS if not named or word in _OF_ALL else named
    return COMMANDS


def _keep_examples(app: typer.Typer) -> None:
    """Mark the examples in the help of every command as lines that are not to be joined to one paragraph."""
    for each in (*app.registered_commands, app.registered_callback):
        if each is None:
            continue
        text = inspect.cleandoc((each.callback and each.callback.__doc__) or "")
        if "\n\nExample" in text:
            each.help = _marked(text)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            about = group.typer_instance.info
            about.help = _marked(about.help) if isinstance(about.help, str) else about.help
            _keep_examples(group.typer_instance)


def _marked(text: str) -> str:
    return text.replace("\n\nExample", "\n\n\b\nExample")


def run(app: typer.Typer) -> int:
    """Run the command line; every error becomes a message with a reference and a documented exit code."""
    as_json = "--json" in sys.argv
    try:
        code = _run(app, as_json=as_json)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        output.silence()
        return code
    except OSError as error:
        return output.report(_unwritten(error), as_json=False)


def _run(app: typer.Typer, *, as_json: bool) -> int:
    try:
        _check_words(sys.argv[1:])
        result = app(standalone_mode=False)
        code = int(result) if isinstance(result, int) else 0
        if code == Exit.INTERRUPTED:
            print(_interrupted(sys.argv[1:]), file=sys.stderr)
        return code
    except typer.Exit as error:
        return error.exit_code
    except SystemExit as error:
        # Typer ends so when whoever reads the output went away.
        if isinstance(error.__context__, BrokenPipeError):
            output.silence()
            return Exit.OK
        raise
    except GreenroomError as error:
        return output.report(error, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        print(_interrupted(sys.argv[1:]), file=sys.stderr)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        output.silence()
        return Exit.OK
    except Exception as error:
        return _usage_or_bug(error, as_json=as_json)


def _interrupted(words: Sequence[str]) -> str:
    """What Ctrl-C left of the command that `words` name."""
    known = {command for commands in COMMANDS.values() for command in commands}
    command = next((word for word in words if word in known), "")
    if command == "improve":
        return f"{INTERRUPTED}. The change under way is finished in the box; `greenroom improve` again carries the rest"
    if command in WORK:
        return f"{INTERRUPTED}. What has begun is finished in the box; `greenroom list` shows it"
    return INTERRUPTED


def _check_words(words: list[str]) -> None:
    """Raise Unusable `not-utf8` for a word that no answer, log entry or document could repeat."""
    for word in words:
        if any("\udc80" <= char <= "\udcff" for char in word):
            remedy = "give it in UTF-8"
            raise Unusable(
                "not-utf8", "a word of the command is not UTF-8 text", where=ascii(word)[:200], remedy=remedy
            )


def _unwritten(error: OSError) -> Unusable:
    remedy = "free some space, then run the command again; nothing is half done"
    return Unusable("disk-full", f"the answer or the box cannot be written: {error.strerror}", remedy=remedy)


def _usage_or_bug(error: Exception, *, as_json: bool) -> int:
    show = getattr(error, "format_message", None)
    if callable(show) and hasattr(error, "exit_code"):
        remedy = "see `greenroom --help`, or --help after a command"
        return output.report(Unusable("usage", str(show()), remedy=remedy), as_json=as_json)
    if isinstance(error, OSError) and error.filename is not None:
        kind = NotFound if isinstance(error, FileNotFoundError) else Unusable
        problem = f"the file cannot be used: {error.strerror}"
        remedy = "name a file that is there and that you may use"
        return output.report(kind("bad-file", problem, where=str(error.filename), remedy=remedy), as_json=as_json)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return output.report(_unwritten(error), as_json=as_json)
    if isinstance(error, UnicodeDecodeError):
        remedy = "save it as UTF-8"
        return output.report(Unusable("bad-file", f"the file is not text: {error}", remedy=remedy), as_json=as_json)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    bug = Bug(
        "bug",
        f"this is our mistake, not yours: {type(error).__name__}: {error}",
        where=f"{Path(frame.filename).name}:{frame.lineno}, in {frame.name}",
        remedy="please report it with these lines; nothing is half done, `greenroom resume` goes on",
    )
    return output.report(bug, as_json=as_json)


def finish(context: Context, answer: Mapping[str, Any], show: Callable[[], None]) -> None:
    """Answer, and leave with the exit code of the answer's verdict."""
    context.answer(answer, show)
    code = output.exit_of(answer.get("verdict", {"is": "passed"}))
    if code is not Exit.OK:
        raise typer.Exit(code)
