"""The commands about settings: what holds and where it is from, one key set, a repository's test command allowed."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenroom.domain.settings import KEYS, REPOSITORY_FILE, framework_of, shown
from greenroom.entrypoints.cli import consent, output, render
from greenroom.entrypoints.cli.safe import safe

if TYPE_CHECKING:
    from greenroom.entrypoints.cli.app import Context

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Branch = Annotated[str | None, typer.Option(help="The branch; the checked-out one unless named.")]
NOT_ALLOWED = "test-command-not-allowed"

_CONFIG = """Show or change settings: those of the box, and what a repository's greenroom.toml makes of them.

Examples:
  greenroom config show
  greenroom config show --json
  greenroom config set commit.author "Ada Lovelace <ada@example.org>"
"""


def register(app: typer.Typer, context: Context) -> None:
    """Add the commands to `app`."""
    config = typer.Typer(no_args_is_help=True, help=_CONFIG)
    app.add_typer(config, name="config")
    _showing(config, context)
    _setting(config, context)
    _allowing(config, context)


def _showing(config: typer.Typer, context: Context) -> None:
    @config.command("show")
    def show(
        repo: Annotated[str | None, typer.Argument(metavar="REPO", help="Also what its greenroom.toml says.")] = None,
        branch: Branch = None,
        json: Json = False,
    ) -> None:
        """Print each setting, its value, and where the value is from.

        Examples:
          greenroom config show
          greenroom config show . --json
        """
        del json
        said = _own(context) if repo is None else _of(context, repo, branch)
        context.answer(said, lambda: _show(said))
        code = output.exit_of(said["verdict"])
        if code:
            raise typer.Exit(code)


def _setting(config: typer.Typer, context: Context) -> None:
    @config.command("set")
    def set_(
        key: Annotated[str, typer.Argument(metavar="KEY", help="A key, as `greenroom config show` prints it.")],
        value: Annotated[str, typer.Argument(metavar="VALUE", help="Text, or a TOML value.")],
        json: Json = False,
    ) -> None:
        """Set one key in the box's own file; comments and other keys stay.

        Examples:
          greenroom config set test-command "python -m pytest -q tests"
          greenroom config set proposers '["ruff", "codespell"]'
          greenroom config set caps.changes 5
        """
        del json
        kept = context.services.set_setting(key, value)
        answer = {"key": key, "value": kept, "file": str(context.services.box.settings)}
        context.answer(answer, lambda: _show_set(answer))

    @config.command("unset")
    def unset(
        key: Annotated[str, typer.Argument(metavar="KEY", help="A key, as `greenroom config show` prints it.")],
        json: Json = False,
    ) -> None:
        """Take one key out of the box's own file: what holds without it holds again. Comments and other keys stay.

        Example:
          greenroom config unset caps.changes
        """
        del json
        was_set = context.services.unset_setting(key)
        answer = {"key": key, "was_set": was_set, "file": str(context.services.box.settings)}
        said = "is set no more" if was_set else "was not set"
        context.answer(answer, lambda: print(f"{key} {said}  ({safe(str(answer['file']))})"))


def _allowing(config: typer.Typer, context: Context) -> None:
    @config.command("approve")
    def approve(
        repo: Annotated[str, typer.Argument(metavar="REPO", help="The repository whose test command it is.")],
        branch: Branch = None,
        yes: Annotated[bool, typer.Option("--yes", help="Agree beforehand; the command is still shown.")] = False,
        no_input: Annotated[bool, typer.Option("--no-input", help="Never ask; fail where a person is needed.")] = False,
        json: Json = False,
    ) -> None:
        """Show the test command of a repository's greenroom.toml and sign that it may run; asked once a command.

        Examples:
          greenroom config approve .
          greenroom config approve . --yes
        """
        del json
        found = _of(context, repo, branch)
        command = next((row["value"] for row in found.get("settings", ()) if row["key"] == "test-command"), None)
        verdict = found["verdict"]
        if verdict["is"] == "passed" and command is not None and not found["allowed"]:
            verdict = allow(context, found["subject"], command, yes=yes, no_input=no_input or context.as_json)
        answer = {"subject": found["subject"], "command": command, "verdict": verdict}
        context.answer(answer, lambda: _show_allowed(answer))
        code = output.exit_of(verdict)
        if code:
            raise typer.Exit(code)


def allow(context: Context, subject: str, command: str, *, yes: bool, no_input: bool) -> Mapping[str, Any]:
    """Show a repository's test command, ask, and have the owner's key sign for it; a verdict."""
    print(f"{REPOSITORY_FILE} of {safe(subject)} says that its tests run as:\n\n  {safe(command)}\n", file=sys.stderr)
    if not consent.ask("May it run (in the sandbox, as the command of this repository)?", yes=yes, no_input=no_input):
        print("not allowed; nothing was changed", file=sys.stderr)
        return {
            "is": "held",
            "rule": NOT_ALLOWED,
            "where": command,
            "remedy": "greenroom config approve REPO asks again; --test-command sets one of your own",
        }
    return context.services.allow_command(subject, command, consent.actor(), consent.passphrase)


def allowed_at_once(context: Context, answer: Mapping[str, Any]) -> bool:
    """Whether a scan that waits for a repository's test command may be asked for again: a person just allowed it."""
    verdict = answer["verdict"]
    if verdict.get("rule") != NOT_ALLOWED or context.as_json or not sys.stdin.isatty():
        return False
    said = allow(context, answer["subject"], verdict["where"], yes=False, no_input=False)
    return bool(said["is"] == "passed")


def _own(context: Context) -> dict[str, Any]:
    services = context.services
    own, file = services.settings(), str(services.box.settings)
    rows = [
        _row(name, own[name], "box file") if name in own else _row(name, *services.default_setting(name))
        for name in KEYS
    ]
    return {"settings": rows, "notes": [], "file": file, "verdict": {"is": "passed"}}


def _of(context: Context, repo: str, branch: str | None) -> dict[str, Any]:
    """What holds for a repository, each row with its source."""
    services = context.services
    own = services.settings()
    place = services.repository(repo, branch)
    wish = {"path": place["path"], "branch": place["branch"], "settings": own}
    said = services.desk(
        "settings", {**wish, "ticket": services.present(place["path"], place["branch"])}, progress=render.tell
    )
    if said["verdict"]["is"] != "passed":
        return {"subject": said["subject"], "settings": [], "notes": [], "verdict": said["verdict"], "allowed": False}
    rows = []
    for name in KEYS:
        value, source = said["values"].get(name), said["sources"].get(name, "default")
        if value is None:
            rows.append(_row(name, *services.default_setting(name)))
        else:
            rows.append(_row(name, value, _source(source, same=_same(own.get(name), value))))
    kept = {"notes": said["notes"], "file": str(services.box.settings), "allowed": said["allowed"]}
    return {"subject": said["subject"], "settings": rows, "verdict": said["verdict"], **kept}


def _source(source: str, *, same: bool) -> str:
    if source == "repository":
        return f"repository file ({REPOSITORY_FILE})"
    return "box file" if source == "box" and same else "default" if source == "box" else source


def _same(one: Any, other: Any) -> bool:
    return one is not None and _plain(one) == _plain(other)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _row(key: str, value: Any, source: str) -> dict[str, Any]:
    return {"key": key, "value": _plain(value), "source": source, "about": KEYS[key].about}


def _show_set(answer: Mapping[str, Any]) -> None:
    print(f"{answer['key']} = {safe(shown(answer['value']))}  ({safe(str(answer['file']))})")
    if answer["key"] == "test-command":
        print(f"the tests run in the sandbox, by {framework_of(answer['value'])}; no shell is started")


def _show(said: Mapping[str, Any]) -> None:
    if said["verdict"]["is"] != "passed":
        render.console().print(render.verdict_line(said["verdict"]))
        return
    rows: Sequence[Mapping[str, Any]] = said["settings"]
    width = max(len(row["key"]) for row in rows)
    for row in rows:
        value = "-" if row["value"] is None else safe(shown(_frozen(row["value"])))
        print(f"{row['key']:<{width}}  {value}  ({row['source']})")
    for note in said["notes"]:
        print(f"note: {safe(note)}")
    if said.get("allowed") is False:
        print("the test command waits for your word: greenroom config approve REPO")
    print(f"box file: {safe(said['file'])}")


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _show_allowed(answer: Mapping[str, Any]) -> None:
    if answer["verdict"]["is"] != "passed":
        render.console().print(render.verdict_line(answer["verdict"]))
    elif answer["command"] is None:
        print(f"no {REPOSITORY_FILE} there sets a test command; nothing to allow")
    else:
        print(f"allowed: {safe(answer['command'])}")
