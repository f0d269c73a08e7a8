from __future__ import annotations

import policy_cases as cases
import pytest

from greenroom.domain.vocabulary import CONSENT, Agree, ConsentLevel, Mode
from greenroom.policy.consent import agree, lower


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("level", list(ConsentLevel))
def test_who_must_agree_is_the_matrix(mode: Mode, level: ConsentLevel) -> None:
    """The policy answers what the matrix says; in propose always a person, at level 3 always a person."""
    answer = cases.make_policy().agree(mode, level)
    assert answer is agree(mode, level) is CONSENT[mode][level]
    if mode is Mode.PROPOSE or level is ConsentLevel.PERSON:
        assert answer is Agree.PERSON


def test_a_command_only_lowers_the_mode() -> None:
    """Of two modes the one that leaves more to a person counts."""
    assert lower(Mode.AUTONOMOUS, Mode.PROPOSE) is Mode.PROPOSE
    assert lower(Mode.SUPERVISED, Mode.AUTONOMOUS) is Mode.SUPERVISED
