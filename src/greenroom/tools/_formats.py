"""Readers of INI and TOML for files from hostile hands: the time they take grows with the size, not with its square."""

from __future__ import annotations

import configparser
import re
import tomllib
from typing import Any

MAX_PARTS = 100
"""How many parts a dotted name in TOML has at most."""
_PART = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+"""
_DOTTED = re.compile(f"(?<![A-Za-z0-9_-])(?:{_PART}){{{MAX_PARTS}}}")


class _Linear(configparser.RawConfigParser):
    """Splits a line at its first `=` or `:`.

    The standard pattern means the same, and tries each blank of a run as the last one of the name.
    """

    OPTCRE = re.compile(r"(?P<option>[^=:]*+)(?P<vi>[=:])(?P<value>.*)$")
    OPTCRE_NV = re.compile(r"(?P<option>[^=:]*+)(?:(?P<vi>[=:])(?P<value>.*))?$")


class Lenient(_Linear):
    """An INI reader without interpolation: names without a value are taken, and names given twice."""

    def __init__(self) -> None:
        super().__init__(strict=False, allow_no_value=True)


class Strict(_Linear, configparser.ConfigParser):
    """An INI reader without interpolation that takes no name twice."""

    def __init__(self) -> None:
        super().__init__(interpolation=None, strict=True)


class Beyond(ValueError):
    """It may be TOML, and it takes a name with more parts than anybody needs."""


def toml(text: str, **options: Any) -> dict[str, Any]:
    """`tomllib.loads`; ValueError also where a dotted name has more than MAX_PARTS parts, RecursionError as there."""
    if _DOTTED.search(text):
        raise Beyond(f"a dotted name has more than {MAX_PARTS} parts")
    return tomllib.loads(text, **options)
