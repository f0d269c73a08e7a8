"""The metrics of a box in the Prometheus text exposition format, version 0.0.4, by the library of that project."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import generate_latest
from prometheus_client.core import CollectorRegistry, CounterMetricFamily, GaugeMetricFamily, Metric

from greenroom.domain.metrics import Metrics, Times

IN_CHANGE = "change"
NO_TIER = "none"


def expose(metrics: Metrics) -> bytes:
    """The exposition, as a scraper or the textfile collector of the node exporter reads it."""
    registry = CollectorRegistry()
    registry.register(_Families(metrics))
    return bytes(generate_latest(registry))


class _Families:
    """A collector over numbers that were counted already."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Each family with its samples."""
        metrics = self._metrics
        yield GaugeMetricFamily("greenroom_log_bytes", "Bytes of the log on disk.", metrics.log_bytes)
        yield GaugeMetricFamily("greenroom_backup_bytes", "Bytes of the newest backup.", metrics.backup_bytes)
        yield CounterMetricFamily("greenroom_log_entries", "Entries of the log.", metrics.entries)
        yield CounterMetricFamily("greenroom_changes", "Changes that a run began for.", metrics.changes)
        yield self._stages()
        yield self._times()
        yield from self._shares()
        yield self._reverts()
        yield from self._tools()
        yield self._acceptance()

    def _stages(self) -> Metric:
        family = CounterMetricFamily("greenroom_stage_results", "Results of each stage.", labels=("stage", "result"))
        for stage, results in self._metrics.stages.items():
            for result, count in results.items():
                family.add_metric((stage, result), count)
        return family

    def _times(self) -> Metric:
        text = "Seconds that stages took, and reverts."
        family = GaugeMetricFamily("greenroom_stage_seconds", text, labels=("stage", "quantile"))
        for stage, took in (*self._metrics.stage_times.items(), ("revert", self._metrics.revert_times)):
            for quantile, value in _quantiles(took):
                family.add_metric((stage, quantile), value)
        return family

    def _shares(self) -> Iterator[Metric]:
        metrics = self._metrics
        for name, text, share in (
            ("greenroom_plans_typed", "Plans that were typed.", metrics.plan_typeability),
            ("greenroom_debates_agreed", "Debates whose reviewers agreed at once.", metrics.debate_agreement),
            ("greenroom_verifies_passed", "Verify runs that passed.", metrics.verify_passes),
            ("greenroom_promotions_kept", "Promotions that were marked good.", metrics.promote_success),
        ):
            family = CounterMetricFamily(name, f"{text} By whether they did.", labels=("good",))
            family.add_metric(("yes",), share.good)
            family.add_metric(("no",), share.of - share.good)
            yield family

    def _reverts(self) -> Metric:
        family = CounterMetricFamily("greenroom_reverts", "Reverts, by who asked.", labels=("by",))
        family.add_metric(("person",), self._metrics.reverts_by_person)
        family.add_metric(("watch",), self._metrics.reverts_by_watch)
        return family

    def _tools(self) -> Iterator[Metric]:
        runs = CounterMetricFamily("greenroom_tool_runs", "Runs of tools in changes.", labels=("tool", "tier"))
        text = "Runs without a result, in changes and outside them."
        errors = CounterMetricFamily("greenroom_tool_errors", text, labels=("tool", "tier", "during"))
        for use in self._metrics.tools:
            runs.add_metric((use.tool, str(int(use.tier))), use.runs)
            errors.add_metric((use.tool, str(int(use.tier)), IN_CHANGE), use.errors)
        for found in self._metrics.outside:
            tier = NO_TIER if found.tier is None else str(int(found.tier))
            errors.add_metric((found.tool, tier, found.during), found.errors)
        yield runs
        yield errors

    def _acceptance(self) -> Metric:
        text = "Changes, by the proposer and rule that found them and what became of them."
        family = CounterMetricFamily("greenroom_findings", text, labels=("proposer", "rule", "answer"))
        for found in self._metrics.acceptance:
            proposer, _, rule = found.rule.partition(":")
            for answer in ("proposed", "approved", "rejected", "reverted"):
                family.add_metric((proposer, rule, answer), getattr(found, answer))
        return family


def _quantiles(took: Times) -> Iterator[tuple[str, float]]:
    if took.count:
        yield from (("0.5", took.median), ("0.95", took.p95), ("1", took.longest))
