"""The command `metrics`: what the box did, in numbers."""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from greenroom.domain import documents
from greenroom.domain.errors import Unusable
from greenroom.domain.metrics import Metrics, Share, Times
from greenroom.entrypoints.cli import render
from greenroom.entrypoints.cli.safe import safe

if TYPE_CHECKING:
    from greenroom.entrypoints.cli.app import Context

_SPANS = {"h": 3600, "d": 86400, "w": 7 * 86400}
_NS = 1_000_000_000


def register(app: typer.Typer, context: Context) -> None:
    """Add the command to `app`."""

    @app.command()
    def metrics(
        since: Annotated[str, typer.Option(metavar="SPAN", help="Only the last 12h, 7d or 4w; all unless named.")] = "",
        prometheus: Annotated[bool, typer.Option("--prometheus", help="The Prometheus text format.")] = False,
        json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    ) -> None:
        """Say what the box did, in numbers counted from its log and papers. Starts nothing.

        Examples:
          greenroom metrics
          greenroom metrics --since 7d --json
          greenroom metrics --prometheus > /var/lib/node_exporter/greenroom.prom
        """
        del json
        if prometheus and context.as_json:
            raise Unusable("usage", "--json and --prometheus are two formats", remedy="choose one of them")
        found = context.services.metrics(_instant(since))
        if prometheus:
            from greenroom.entrypoints.cli.exposition import expose

            sys.stdout.write(expose(found).decode())
            return
        context.answer(plain(found), lambda: _show(found))


def plain(metrics: Metrics) -> dict[str, Any]:
    """As JSON values; each share with its ratio."""
    found: dict[str, Any] = documents.to_plain(metrics)
    for name in ("plan_typeability", "debate_agreement", "verify_passes", "promote_success"):
        found[name]["ratio"] = getattr(metrics, name).ratio
    return found


def _instant(since: str) -> int:
    """Where the span begins, UTC nanoseconds; raises Unusable `bad-span`."""
    if not since:
        return 0
    found = re.fullmatch(r"([1-9][0-9]{0,4})([hdw])", since)
    if found is None:
        message = "this is no span of time"
        raise Unusable("bad-span", message, where=ascii(since)[:80], remedy="a number and h, d or w, such as 7d")
    return time.time_ns() - int(found[1]) * _SPANS[found[2]] * _NS


def _show(metrics: Metrics) -> None:
    console = render.console()
    console.print(_summary(metrics))
    console.print(_stages(metrics))
    if metrics.tools:
        console.print(_tools(metrics))
    if metrics.outside:
        console.print(_outside(metrics))
    if metrics.acceptance:
        console.print(_acceptance(metrics))
    for warning in metrics.warnings:
        console.print(safe(warning))


def _summary(metrics: Metrics) -> Table:
    table = Table(show_header=False, box=None)
    for name, value in (
        ("changes", str(metrics.changes)),
        ("plan typeability", _share(metrics.plan_typeability)),
        ("debate agreement", _share(metrics.debate_agreement)),
        ("simulate latency", _times(metrics.stage_times["simulate"])),
        ("verify pass rate", _share(metrics.verify_passes)),
        ("promote success", _share(metrics.promote_success)),
        ("reverts", f"{metrics.reverts_by_person} by a person, {metrics.reverts_by_watch} by the watch"),
        ("revert time", _times(metrics.revert_times)),
        ("log", f"{metrics.entries} entries, {metrics.log_bytes} bytes"),
        ("newest backup", f"{metrics.backup_bytes} bytes" if metrics.backup_bytes else "none"),
    ):
        table.add_row(name, value)
    return table


def _stages(metrics: Metrics) -> Table:
    table = Table("stage", "answers", "median", "95 %", "longest", box=None, title="stages", title_justify="left")
    for stage, results in metrics.stages.items():
        took = metrics.stage_times[stage]
        said = ", ".join(f"{count} {safe(rule)}" for rule, count in sorted(results.items(), key=lambda item: -item[1]))
        table.add_row(stage, said or "-", f"{took.median:.2f} s", f"{took.p95:.2f} s", f"{took.longest:.2f} s")
    return table


def _tools(metrics: Metrics) -> Table:
    table = Table("tool", "tier", "runs", "errors", box=None, title="runs", title_justify="left")
    for use in metrics.tools:
        table.add_row(safe(use.tool), f"T{int(use.tier)}", str(use.runs), str(use.errors))
    return table


def _outside(metrics: Metrics) -> Table:
    table = Table("during", "tool", "tier", "errors", box=None, title="errors outside changes", title_justify="left")
    for found in metrics.outside:
        tier = "-" if found.tier is None else f"T{int(found.tier)}"
        table.add_row(safe(found.during), safe(found.tool), tier, str(found.errors))
    return table


def _acceptance(metrics: Metrics) -> Table:
    table = Table(
        "rule", "proposed", "approved", "rejected", "reverted", box=None, title="answers", title_justify="left"
    )
    for found in metrics.acceptance:
        counts = (found.proposed, found.approved, found.rejected, found.reverted)
        table.add_row(safe(found.rule), *(str(count) for count in counts))
    return table


def _share(share: Share) -> str:
    return f"{share.good} of {share.of}" + (f" ({share.ratio:.0%})" if share.ratio is not None else "")


def _times(took: Times) -> str:
    if not took.count:
        return "-"
    return f"median {took.median:.2f} s, 95 % {took.p95:.2f} s, longest {took.longest:.2f} s ({took.count})"
