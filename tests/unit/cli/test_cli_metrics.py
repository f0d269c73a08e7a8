"""`greenroom metrics` over a house in memory."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families
from test_cli_commands import Door, door

from greenroom.domain.errors import Exit
from greenroom.domain.failures import FETCH, Failure, told
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import Tier

pytestmark = pytest.mark.slow

__all__ = ["door"]


def test_cli_metrics_counts_no_change_that_was_only_queued(door: Door) -> None:
    """A person's no to what nothing was tried of is in the log, and is no change that was carried."""
    (row,) = door.json("improve", door.repo, "--max", "0")["left"]
    assert door("reject", row["id"]) == Exit.OK
    assert door.json("metrics")["changes"] == 0


def test_cli_metrics_counts_what_happened(door: Door) -> None:
    """One change approved, promoted and taken back is one of each, in every format."""
    change = door.waiting()
    assert door("approve", change, "--yes") == Exit.OK
    assert door("revert", change) == Exit.OK
    found = door.json("metrics")
    assert door.code == Exit.OK
    assert found["changes"] == 1
    assert found["promote_success"] == {"good": 1, "of": 1, "ratio": 1.0}
    assert (found["reverts_by_person"], found["reverts_by_watch"]) == (1, 0)
    (row,) = found["acceptance"]
    assert (row["proposed"], row["approved"], row["reverted"]) == (1, 1, 1)
    assert door("metrics") == Exit.OK
    assert "1 of 1 (100%)" in door.out
    assert row["rule"] in door.out
    assert door("metrics", "--prometheus") == Exit.OK
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(door.out)
        for sample in family.samples
    }
    assert samples["greenroom_changes_total",] == 1
    assert samples["greenroom_promotions_kept_total", "yes"] == 1
    assert samples["greenroom_reverts_total", "person"] == 1


def test_cli_metrics_counts_errors_outside_changes_in_every_format(door: Door) -> None:
    """A scan that crashed and a dependency that could not be had belong to no change, and are told all the same."""
    for number, failure in enumerate(
        (
            Failure(during="scan", tool="codegen_t0", tier=Tier.COMPUTE, rule="tool-crash"),
            Failure(during="prepare", tool=FETCH, tier=None, rule="no-wheel"),
        )
    ):
        door.services.house.guard.append(told(failure, str(number), Instant(0), None))
    assert door.json("metrics")["outside"] == [
        {"during": "prepare", "tool": "fetch", "tier": None, "errors": 1},
        {"during": "scan", "tool": "codegen_t0", "tier": 0, "errors": 1},
    ]
    assert door("metrics") == Exit.OK
    assert "errors outside changes" in door.out
    assert ["prepare", "fetch", "-", "1"] in [line.split() for line in door.out.splitlines()]
    assert ["scan", "codegen_t0", "T0", "1"] in [line.split() for line in door.out.splitlines()]
    assert door("metrics", "--prometheus") == Exit.OK
    (family,) = (f for f in text_string_to_metric_families(door.out) if f.name == "greenroom_tool_errors")
    assert [(sample.labels, sample.value) for sample in family.samples] == [
        ({"tool": "fetch", "tier": "none", "during": "prepare"}, 1),
        ({"tool": "codegen_t0", "tier": "0", "during": "scan"}, 1),
    ]


def test_cli_metrics_of_a_span_leave_out_what_is_older(door: Door) -> None:
    """The clock of the house in memory stands long ago: nothing is of the last hour."""
    door.waiting()
    assert door.json("metrics")["changes"] == 1
    assert door.json("metrics", "--since", "1h")["changes"] == 0


@pytest.mark.parametrize("span", ["7", "0d", "d", "-1d", "7 d", "1e3d", "999999d", "7d\n"])
def test_cli_metrics_names_a_span_that_is_none(door: Door, span: str) -> None:
    """Anything but a number and a unit is `bad-span`, with what would help."""
    assert door("metrics", "--since", span) == Exit.USAGE
    assert "bad-span" in door.err
    assert "7d" in door.err


def test_cli_metrics_has_one_format_at_a_time(door: Door) -> None:
    """Two formats in one answer would be neither."""
    assert door("metrics", "--prometheus", "--json") == Exit.USAGE
