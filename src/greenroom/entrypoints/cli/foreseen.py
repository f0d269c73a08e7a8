"""What `improve --dry-run` prints: what would be read, fetched, run and stored."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from greenroom.entrypoints.cli import render
from greenroom.entrypoints.cli.safe import safe


def show(plan: Mapping[str, Any]) -> None:
    """Print the plan, or why `improve` would refuse. Nothing of it has happened."""
    if plan["verdict"]["is"] != "passed":
        render.console().print(render.verdict_line(plan["verdict"]))
        return
    print("nothing was read from the tree, fetched, run or stored; improve would")
    _head("read")
    for item in plan["reads"]:
        _line(f"{item['where']}: {item['what']}")
    _fetches(plan["fetches"])
    _head("run, each in a sandbox without a network")
    for run in plan["runs"]:
        what = f" ({run['what']})" if run["what"] else ""
        _line(f"{run['tool']}{what}, {run['often']}: {shlex.join(run['argv'])}")
    _head("store")
    for item in plan["stores"]:
        _line(f"{item['where']}: {item['what']}")
    if not plan["box"]["there"]:
        print(f"there is no box at {safe(plan['box']['path'])} yet: greenroom init")
    if not plan["sandbox"]["available"]:
        print(f"no sandbox can be made here: {safe(plan['sandbox']['setting'])}; {safe(plan['sandbox']['remedy'])}")


def _fetches(fetches: Mapping[str, Any]) -> None:
    _head("fetch, outside the sandbox")
    _line(fetches["what"])
    for host, what in fetches["hosts"].items():
        _line(f"from {host} ({what})")
    for proxy in fetches["proxies"]:
        _line(f"through the proxy {proxy}")
    for directory in fetches["directories"]:
        _line(f"from the directory {directory}")
    if fetches["problem"]:
        _line(f"from hosts that cannot be told: {fetches['problem']}")
    elif not fetches["hosts"]:
        _line("from no host: the index is on this machine, or there is none")
    _line(f"by: {shlex.join(fetches['argv'])}")


def _head(what: str) -> None:
    print(f"\n{what}:")


def _line(text: str) -> None:
    print(f"  {safe(text)}")
