"""What the log tells of a run outside changes that gave nothing is read as it was written, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain import documents, failures
from greenroom.domain.digest import digest_of
from greenroom.domain.failures import FAILED, FETCH, OUTSIDE, Failure
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import Tier
from greenroom.guard.journal import check_event

SCAN = Failure(during="scan", tool="codegen_t0", tier=Tier.COMPUTE, rule="tool-crash")


@given(
    st.builds(
        Failure,
        during=st.sampled_from(sorted(OUTSIDE.values())),
        tool=st.from_regex(r"[a-z0-9_]{1,64}", fullmatch=True),
        tier=st.none() | st.sampled_from(Tier),
        rule=st.from_regex(r"[a-z0-9-]{1,60}", fullmatch=True),
    )
)
def test_a_failure_is_read_as_it_was_told(failure: Failure) -> None:
    """Also as the log stores it; and the guard takes such an entry from a caller."""
    event = failures.told(failure, "0" * 32, Instant(7), None)
    check_event(event)
    assert len(event.about) <= 200
    assert failures.read(documents.load_json(documents.encode(event))) == failure


def test_an_entry_names_the_keeper_s_record_of_the_run() -> None:
    """Whoever doubts the entry opens the receipt. A fetch has none, and no tier."""
    receipt = digest_of("statement", b"signed")
    event = failures.told(SCAN, "1" * 32, Instant(7), receipt)
    assert (event.name, event.actor, event.about) == (FAILED, "scan", "codegen_t0 T0 tool-crash")
    assert event.digests == {"receipt": receipt}
    fetch = failures.told(Failure(during="prepare", tool=FETCH, tier=None, rule="no-wheel"), "2" * 32, Instant(7), None)
    assert (fetch.about, dict(fetch.digests)) == ("fetch - no-wheel", {})
    assert event.key != fetch.key


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "tool.mended"},
        {"actor": "executor"},
        {"about": "codegen_t0 T4 tool-crash"},
        {"about": "codegen_t0 T0"},
        {"about": "codegen_t0 T0 tool-crash\n"},
        {"about": f"{'t' * 65} T0 tool-crash"},
        {"about": 'x",tier="9 T0 tool-crash'},
    ],
)
def test_an_entry_of_another_form_tells_of_no_failure(changed: dict[str, str]) -> None:
    """Whoever may write entries can write these; they make no row and no label."""
    entry = documents.load_json(documents.encode(failures.told(SCAN, "1" * 32, Instant(7), None)))
    assert failures.read(entry) == SCAN
    assert failures.read({**entry, **changed}) is None
