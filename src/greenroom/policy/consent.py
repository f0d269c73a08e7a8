"""Who must agree: the matrix of the design, and nothing else."""

from __future__ import annotations

from greenroom.domain.vocabulary import CONSENT, Agree, ConsentLevel, Mode

_FROM_LOW = (Mode.PROPOSE, Mode.SUPERVISED, Mode.AUTONOMOUS)


def agree(mode: Mode, level: ConsentLevel) -> Agree:
    """Who must agree to a change of consent `level` in `mode`."""
    return CONSENT[mode][level]


def lower(one: Mode, other: Mode) -> Mode:
    """The mode that leaves more to a person: a command can only lower the box's mode."""
    return min(one, other, key=_FROM_LOW.index)
