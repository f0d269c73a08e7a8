"""The commands about the box itself: init, status, doctor, stop, lift, mode, constitution, down."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenroom.domain.errors import Exit, Unusable
from greenroom.domain.vocabulary import Mode
from greenroom.entrypoints.cli import consent, editor, output, rebuilt, render, windows
from greenroom.entrypoints.cli.change_commands import deliver_waiting
from greenroom.entrypoints.cli.safe import safe
from greenroom.entrypoints.cli.standing_commands import of_propose, say_of_propose

if TYPE_CHECKING:
    from greenroom.entrypoints.cli.app import Context

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

MOST = 20
"""How many changes `status` shows; it counts all of them."""

BACKUP = """The owner's key is what says yes in your name: {key}
Keep a copy of it and of its passphrase somewhere else. Without it nothing can be approved or lifted in this box
any more; what is live stays live, and the log can still be checked with the public keys in {public}."""

BACKUP_AGENT = """The owner's key is what says yes in your name. Your SSH agent holds it; its public half: {public}.
Keep a copy of the key and of its passphrase somewhere else. Without it nothing can be approved or lifted in this box
any more, and no other key can take its place; what is live stays live, and the log can still be checked with the
public keys in {public}."""

_CONSTITUTION = """Show or edit the constitution.

Examples:
  greenroom constitution show
  greenroom constitution show --json
  greenroom constitution edit my-rules.yaml"""


def register(app: typer.Typer, context: Context) -> None:
    """Add the commands to `app`."""
    _making(app, context)
    _stopping(app, context)
    _ruling(app, context)


def _making(app: typer.Typer, context: Context) -> None:
    @app.command()
    def init(
        directory: Annotated[str | None, typer.Argument(metavar="DIR", help="Where; else GREENROOM_HOME.")] = None,
        no_input: Annotated[bool, typer.Option("--no-input", help="Never ask; the key is unprotected.")] = False,
        ssh_agent: Annotated[
            bool, typer.Option("--ssh-agent", help="The owner's key is one of your SSH agent.")
        ] = False,
        json: Json = False,
    ) -> None:
        """Make a box: keys, signed constitution and log; the databases follow at the first start. Safe to run twice.

        Examples:
          greenroom init
          greenroom init /srv/greenroom
          greenroom init --ssh-agent
        """
        del json
        if directory:
            context.box = directory
        services = context.services
        asked = None if no_input or ssh_agent or not sys.stdin.isatty() else _fresh_passphrase
        try:
            made = services.init(asked or (lambda: None), ssh_agent=ssh_agent)
        except OSError as error:
            where, remedy = str(error.filename or services.box.root), "name a directory that you may make and write to"
            raise Unusable(
                "bad-place", f"no box can be made there: {error.strerror}", where=where, remedy=remedy
            ) from None
        context.answer(made, lambda: _show_made(services.box.keys, services.box.public, made))

    @app.command()
    def status(json: Json = False) -> None:
        """Say what runs, what is live, what waits, and whether a stop is set.

        Example:
          greenroom status --json
        """
        del json
        services = context.services
        said = dict(services.guard("status"))
        deliver_waiting(context)
        said["pending"] = services.desk("pending")
        said["counts"] = services.tally()
        said["changes"] = list(services.board(everything=False, most=MOST))
        context.answer(said, lambda: _show_status(said, services.now()))

    @app.command()
    def doctor(
        rebuild: Annotated[
            bool, typer.Option("--rebuild", help="Say what the box database lacks of what log and documents tell.")
        ] = False,
        yes: Annotated[bool, typer.Option("--yes", help="With --rebuild: write it; what was there is kept.")] = False,
        json: Json = False,
    ) -> None:
        """Say what this machine and this box can give, and what is missing.

        With --rebuild: bring the box database in line with pointers, log and the guard's records, processes down.

        Examples:
          greenroom doctor
          greenroom down && greenroom doctor --rebuild
          greenroom doctor --rebuild --yes
        """
        del json
        if yes and not rebuild:
            raise Unusable("bad-option", "--yes belongs to --rebuild", remedy="greenroom doctor --rebuild --yes")
        if rebuild:
            made = context.services.rebuild(act=yes)
            context.answer(made, lambda: rebuilt.show(made))
            return
        found = context.services.doctor()
        context.answer(found, lambda: _show_doctor(found))
        if not found["ok"]:
            raise typer.Exit(Exit.SANDBOX if found["box"] else Exit.NOT_FOUND)

    @app.command()
    def down(json: Json = False) -> None:
        """End the box's processes; the next command starts them again.

        Example:
          greenroom down
        """
        del json
        context.services.down()
        context.answer({"down": True}, lambda: None)


def _stopping(app: typer.Typer, context: Context) -> None:
    @app.command()
    def stop(json: Json = False) -> None:
        """Stop everything: nothing starts, what runs is killed within two seconds. Anyone may.

        Example:
          greenroom stop
        """
        del json
        context.services.guard("stop", {"actor": consent.actor()})
        context.answer({"stopped": True}, lambda: print("stopped; only the owner's key lifts it: `greenroom lift`"))

    @app.command()
    def lift(json: Json = False) -> None:
        """Lift a stop, with the owner's key; then go on where it cut.

        Example:
          greenroom lift
        """
        del json
        services = context.services
        stopped = bool(services.guard("status")["stopped"])
        answer = services.lift(consent.actor(), consent.passphrase)
        if answer["is"] == "passed":
            services.desk("resume", progress=render.tell)
        said = {"verdict": answer, "stopped_before": stopped}
        if not stopped and answer["is"] == "passed":
            context.answer(said, lambda: print("no stop was set: nothing was lifted or signed"))
            return
        _finish(context, said)


def _ruling(app: typer.Typer, context: Context) -> None:
    @app.command()
    def mode(
        wanted: Annotated[Mode | None, typer.Argument(metavar="MODE", help="propose, supervised, autonomous.")] = None,
        json: Json = False,
    ) -> None:
        """Show or set how much the box may do by itself; setting is signed with the owner's key.

        Examples:
          greenroom mode
          greenroom mode supervised
        """
        del json
        services = context.services
        if wanted is None:
            said = services.guard("status")["mode"]
            context.answer({"mode": said}, lambda: print(said))
            return
        verdict = services.set_mode(wanted, consent.actor(), consent.passphrase)
        waiting = of_propose(context) if wanted is not Mode.PROPOSE and verdict["is"] == "passed" else []
        _finish(context, {"verdict": verdict, "of_propose": waiting})

    rules = typer.Typer(no_args_is_help=True, help=_CONSTITUTION)
    app.add_typer(rules, name="constitution")

    @rules.command("show")
    def show(json: Json = False) -> None:
        """Print the constitution in force.

        Example:
          greenroom constitution show
        """
        del json
        text = context.services.guard("constitution")["text"]
        context.answer({"text": text}, lambda: print(text, end=""))

    @rules.command("edit")
    def edit(
        file: Annotated[str | None, typer.Argument(metavar="FILE", help="The text; else an editor opens.")] = None,
        json: Json = False,
    ) -> None:
        """Change the constitution, signed with the owner's key.

        Examples:
          greenroom constitution edit
          greenroom constitution edit my-rules.yaml
        """
        del json
        services = context.services
        text = _rules(file, services.guard("constitution")["text"])
        try:
            verdict = services.constitute(text, consent.actor(), consent.passphrase)
        except Unusable as error:
            if error.reference != "bad-constitution":
                raise
            member = "" if error.where in ("", "$") else f": {error.where.removeprefix('$.')}"
            place, remedy = f"{file or 'the edited text'}{member}", "mend it, then sign it again; nothing was changed"
            raise Unusable(error.reference, error.message, where=place, remedy=remedy) from None
        _finish(context, {"verdict": verdict})


def _finish(context: Context, answer: Mapping[str, Any]) -> None:
    def show() -> None:
        render.console().print(render.verdict_line(answer["verdict"]))
        say_of_propose(answer.get("of_propose", ()))

    context.answer(answer, show)
    code = output.exit_of(answer["verdict"])
    if code:
        raise typer.Exit(code)


def _fresh_passphrase() -> bytes | None:
    print("A passphrase for the owner's key (empty: none, the key file is then unprotected).", file=sys.stderr)
    if os.environ.get("SSH_AUTH_SOCK"):
        print(
            "An SSH agent is there: `greenroom init --ssh-agent` takes its key instead (Ctrl-C first).", file=sys.stderr
        )
    first = getpass.getpass("passphrase: ")
    if first and getpass.getpass("once more:  ") != first:
        raise Unusable("passphrases-differ", "the two passphrases differ", remedy="run `greenroom init` again")
    return first.encode() or None


def _show_made(keys: Any, public: Any, made: Mapping[str, Any]) -> None:
    print(f"{'made' if made['made'] else 'there already'}: box {made['box']} at {made['path']}")
    if made["made"]:
        in_agent = made["owner_key"] == "in an SSH agent"
        print((BACKUP_AGENT if in_agent else BACKUP).format(key=keys / "owner.key", public=public))
    print(f"owner key: {made['owner_key']}")
    print("next: greenroom improve REPO")


def _show_status(said: Mapping[str, Any], now: int) -> None:
    print(f"stop: {'SET by ' + safe(said['stopped_by'] or '?') if said['stopped'] else 'not set'}")
    print(f"mode: {said['mode']}; log entries: {said['log_size']}; policy {said['policy'][:19]}")
    for subject, digest in said["live"].items():
        print(f"live: {safe(subject)} {digest[:21]}")
    for delivery in said["pending"]:
        print(f"delivery-pending: {safe(delivery['repository'])} ({safe(delivery['branch'])}): {delivery['pending']}")
    if said["windows"]:
        print(f"in apply windows: {len(said['windows'])}; `greenroom cancel ID` keeps one from being applied")
    for each in said["windows"]:
        print(f"  {each['change']}: {windows.until({'window': each['ends']}, now)}")
    waiting = [row for row in said["changes"] if row["held"]]
    count = sum(said["counts"]["held"].values())
    held = sorted(said["counts"]["held"].items(), key=lambda each: (-each[1], each[0]))
    print(f"waiting: {count}" + (f" ({', '.join(f'{safe(rule)} {n}' for rule, n in held)})" if len(held) > 1 else ""))
    for row in waiting:
        print(f"  {row['id']} {safe(row['summary'])}: {row['held']['rule']}")
    if count > len(waiting):
        print(f"  {count - len(waiting)} older ones; `greenroom list --limit N` shows them")


def _show_doctor(found: Mapping[str, Any]) -> None:
    for name, value in found["facts"].items():
        print(f"{name}: {safe(str(value))}")
    for problem in found["problems"]:
        print(f"problem: {safe(problem['message'])}\n  remedy: {safe(problem['remedy'])}")


def _rules(file: str | None, before: str) -> str:
    return (editor.read(file) if file else editor.edited(before.encode(), ".yaml")).decode("utf-8", "strict")
