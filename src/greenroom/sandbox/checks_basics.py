"""Checks that a cell runs a command faithfully: input, output, environment, exit, mounts."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading

from greenroom.domain.ports import Mount, Outcome
from greenroom.sandbox.checking import MIB, PYTHON, Bench, Collection, expect

check = Collection()
_WORK = "/mnt/work"


@check("the exit code of the command is passed on")
def exit_code(bench: Bench) -> None:  # noqa: D103
    for code in (0, 1, 42, 255):
        outcome = bench.shell(f"exit {code}")
        expect((outcome.exit, outcome.ended_by), (code, "exit"), "ending")


@check("death by a signal is told apart from an exit code above 128")
def signal_or_exit(bench: Bench) -> None:  # noqa: D103
    killed, left = bench.shell("kill -9 $$"), bench.shell("exit 137")
    expect((killed.exit, killed.ended_by), (137, "signal"), "killed")
    expect((left.exit, left.ended_by), (137, "exit"), "exit 137")


@check("a command that is not there ends with 127, one that may not be executed with 126")
def no_command(bench: Bench) -> None:  # noqa: D103
    expect(bench.run("/usr/bin/no-such-command").exit, 127, "missing")
    expect(bench.run("/etc/passwd").exit, 126, "not executable")


@check("arguments reach the command as they are; no shell reads them")
def arguments(bench: Bench) -> None:  # noqa: D103
    words = ["a b", "$HOME;`id`", "line\nbreak", "'\"\\", "--", "ünïcödé 日本", ""]
    outcome = bench.run(PYTHON, "-I", "-c", "import sys,json; print(json.dumps(sys.argv[1:]))", *words)
    expect(json.loads(outcome.stdout), words, "arguments")


@check("UTF-8 passes through arguments, environment, input and output")
def utf8(bench: Bench) -> None:  # noqa: D103
    text = "żółw 日本語 🌿"
    outcome = bench.run("/bin/sh", "-c", 'printf %s "$0$WORD"; cat', text, env={"WORD": text}, stdin=text.encode())
    expect(outcome.stdout.decode(), text * 3, "output")


@check("every byte of input and output passes unchanged")
def binary(bench: Bench) -> None:  # noqa: D103
    data = bytes(range(256)) * 64
    expect(bench.run("/bin/cat", stdin=data).stdout, data, "output")


@check("eight megabytes of input arrive complete")
def large_input(bench: Bench) -> None:  # noqa: D103
    data = os.urandom(MIB) * 8
    outcome = bench.run("/usr/bin/sha256sum", stdin=data)
    expect(outcome.stdout[:64].decode(), hashlib.sha256(data).hexdigest(), "digest")


@check("output below the bound is complete and not called truncated")
def large_output(bench: Bench) -> None:  # noqa: D103
    outcome = bench.shell("head -c 3000000 /dev/zero; echo end >&2")
    expect((len(outcome.stdout), outcome.stderr, outcome.truncated), (3000000, b"end\n", False), "output")


@check("without input the command reads end of file")
def no_input(bench: Bench) -> None:  # noqa: D103
    expect(bench.shell("cat", wall_s=5).ended_by, "exit", "ending")


@check("output that was written before the end is kept, also of a killed command")
def output_before_death(bench: Bench) -> None:  # noqa: D103
    expect(bench.shell("echo out; echo err >&2; kill -9 $$").stdout, b"out\n", "output")


@check("the environment is the fixed one and the cell's, nothing of ours")
def environment(bench: Bench) -> None:  # noqa: D103
    outcome = bench.run("/usr/bin/env", env={"NAME": "value = x"})
    seen = dict(line.split("=", 1) for line in outcome.stdout.decode().splitlines())
    expect(seen.pop("NAME", None), "value = x", "the cell's variable")
    expect(seen.pop("TZ", None), "UTC", "time zone")
    allowed = {"HOME", "LANG", "LC_ALL", "PATH", "PWD", "TMPDIR", "USER"}
    expect(set(seen) - allowed, set(), "variables of the host")


@check("the command starts in the directory that was named")
def directory(bench: Bench) -> None:  # noqa: D103
    expect(bench.run("/bin/pwd", cwd="/usr/lib").stdout, b"/usr/lib\n", "directory")


@check("a read-only mount can be read and not written")
def mount_read_only(bench: Bench) -> None:  # noqa: D103
    with bench.folder() as folder:
        (folder / "file").write_text("kept")
        bench.give(folder / "file")
        mount = Mount(source=str(folder), target=_WORK)
        outcome = bench.shell(
            f"cd {_WORK}; cat file; echo x >file; echo x >other; rm -f file; chmod 777 file", (mount,)
        )
        expect(outcome.stdout, b"kept", "content")
        expect((os.listdir(folder), (folder / "file").read_text()), (["file"], "kept"), "folder")


@check("a writable mount takes files, modes and moves between its directories")
def mount_writable(bench: Bench) -> None:  # noqa: D103
    with bench.folder() as folder:
        mount = Mount(source=str(folder), target=_WORK, writable=True)
        script = f"cd {_WORK} && mkdir a b && echo hi >a/x && chmod 755 a/x && mv a/x b/y && ln -s y b/l"
        outcome = bench.shell(script, (mount,))
        expect((outcome.exit, outcome.stderr), (0, b""), "script")
        expect((folder / "b/y").read_text(), "hi\n", "content")
        expect(stat.S_IMODE((folder / "b/y").stat().st_mode), 0o755, "mode")
        owner = os.geteuid() if bench.uid is None else bench.uid
        expect((folder / "b/y").stat().st_uid, owner, "owner")


@check("a link in a mount leads into the cell, never to the host")
def links(bench: Bench) -> None:  # noqa: D103
    with bench.folder() as folder, bench.folder() as other:
        (other / "secret").write_text("secret")
        (folder / "link").symlink_to(other / "secret")
        mount = Mount(source=str(folder), target=_WORK, writable=True)
        outcome = bench.shell(f"cat {_WORK}/link; echo changed >{_WORK}/link", (mount,))
        expect(outcome.stdout, b"", "read through the link")
        expect((other / "secret").read_text(), "secret", "the file outside")


@check("a missing or linked source is refused, and nothing is made on the host")
def mount_missing(bench: Bench) -> None:  # noqa: D103
    with bench.folder() as folder:
        (folder / "link").symlink_to("/etc")
        expect(bench.refused(Mount(source=str(folder / "no"), target=_WORK)).rule, "mount-missing", "rule")
        expect(bench.refused(Mount(source=str(folder / "link"), target=_WORK)).rule, "mount-source", "rule")
        expect(os.listdir(folder), ["link"], "folder")


@check("a mount inside a mount covers it; where there is no place for it, it is refused and none is made")
def mount_nested(bench: Bench) -> None:  # noqa: D103
    with bench.folder() as folder, bench.folder() as tests:
        (tests / "t").write_text("base")
        outer = Mount(source=str(folder), target=_WORK, writable=True)
        inner = Mount(source=str(tests), target=f"{_WORK}/tests")
        expect(bench.refused(inner, outer).rule, "mount-target", "rule")
        (folder / "tests").symlink_to("/tmp")  # noqa: S108 - a link to refuse
        expect(bench.refused(outer, inner).rule, "mount-target", "rule for a link")
        (folder / "tests").unlink()
        (folder / "tests").mkdir()
        bench.give(folder / "tests")
        outcome = bench.shell(f"cat {_WORK}/tests/t; rm -rf {_WORK}/tests; touch {_WORK}/tests/u", (inner, outer))
        expect((outcome.stdout, os.listdir(folder / "tests")), (b"base", []), "nested mount")


@check("mounts over the system, outside plain paths or twice are refused")
def mount_targets(bench: Bench) -> None:  # noqa: D103
    with bench.folder() as folder:
        for target in ("/", "/usr/lib/x", "/etc", "/proc/1", "/dev/shm", "/tmp", "mnt", "/mnt/../usr", "/mnt//x"):  # noqa: S108
            expect(bench.refused(Mount(source=str(folder), target=target)).rule, "mount-target", target)
        twice = Mount(source=str(folder), target=_WORK)
        expect(bench.refused(twice, twice).rule, "mount-target", "twice")


@check("`.git` in a writable mount is read-only")
def git_read_only(bench: Bench) -> None:  # noqa: D103
    with bench.folder() as folder:
        (folder / ".git").mkdir()
        (folder / ".git/config").write_text("kept")
        for path in (folder / ".git", folder / ".git/config"):
            bench.give(path)
        mount = Mount(source=str(folder), target=_WORK, writable=True)
        script = f"cd {_WORK}; echo x >.git/config; touch .git/new; mv .git other; rm -rf .git; touch free"
        bench.shell(script, (mount,))
        expect(sorted(os.listdir(folder)), [".git", "free"], "folder")
        expect((os.listdir(folder / ".git"), (folder / ".git/config").read_text()), (["config"], "kept"), ".git")


@check("cells that run at the same time keep apart, and share no /tmp")
def concurrency(bench: Bench) -> None:  # noqa: D103
    outcomes: dict[int, Outcome] = {}

    def one(number: int) -> None:
        script = f"echo {number} >/tmp/x; sleep 0.2; cat /tmp/x; ls /tmp; exit {number}"
        outcomes[number] = bench.shell(script)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = {number: (outcome.exit, outcome.stdout) for number, outcome in outcomes.items()}
    expect(seen, {number: (number, f"{number}\nx\n".encode()) for number in range(4)}, "outcomes")


@check("time is measured: wall and CPU, also of processes that are killed")
def usage(bench: Bench) -> None:  # noqa: D103
    busy = "end = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"
    outcome = bench.python("import time\ntime.sleep(0.2)\n" + busy)
    expect(outcome.usage.cpu_ms >= 250 and outcome.usage.wall_ms >= 450, True, f"usage {outcome.usage}")
    killed = bench.python("import time\n" + busy + "time.sleep(60)", wall_s=1)
    expect(killed.usage.cpu_ms >= 250, True, f"usage of a killed cell {killed.usage}")
