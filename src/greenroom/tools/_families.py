"""Families of lint rules: which of ruff's rules each generator of fixes owns, and what a card says of them.

No rule has two owners. Unused imports and names (F401, F811, F841) are `ruff`'s; `unused` has code that does nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The rules of one generator.

    `supported` are the rules that it proposes, `default` those selected where the repository selects none, `known` the
    selectors that concern it. `flake8` is True where flake8's selection speaks of these rules. `modern` families write
    newer code: they leave alone what the lowest Python cannot parse, and projects whose lowest Python ruff does not
    know.
    """

    generator: str
    supported: re.Pattern[str]
    default: tuple[str, ...]
    known: re.Pattern[str]
    flake8: bool = False
    modern: bool = False


RUFF = Family(
    generator="ruff",
    supported=re.compile(r"(?:F\d{3}|E7\d{2}|W\d{3}|I001)"),
    default=("F", "E7", "W"),
    known=re.compile(r"(?:ALL|F|E|W|I)(?:[0-9]{0,4})"),
    flake8=True,
)
MODERNISE = Family(
    generator="modernise",
    supported=re.compile(r"UP\d{3}"),
    default=("UP",),
    known=re.compile(r"(?:ALL|UP[0-9]{0,3})"),
    modern=True,
)
UNUSED = Family(
    generator="unused",
    supported=re.compile(r"PIE790|PLR1711|TC005|B033"),
    default=("PIE790", "PLR1711", "TC005", "B033"),
    known=re.compile(r"(?:ALL|(?:PIE|PLR?|TC|B)[0-9]{0,4})"),
)
FAMILIES: Mapping[str, Family] = {family.generator: family for family in (RUFF, MODERNISE, UNUSED)}

WORDS: Mapping[str, tuple[str, str]] = {
    "F401": ("Remove unused imports", "An import that nothing uses costs start-up time and hides what a module needs."),
    "F541": ("Drop the f from strings without placeholders", "An f-string without placeholders is an ordinary string."),
    "F632": (
        "Compare literals with ==",
        "`is` compares identity; with a literal the answer depends on the interpreter.",
    ),
    "F811": ("Remove redefinitions of unused names", "The first definition is never used: the second one replaces it."),
    "F901": ("Raise NotImplementedError", "NotImplemented is a value, not an exception; raising it is a TypeError."),
    "E703": ("Remove useless semicolons", "A semicolon at the end of a statement does nothing."),
    "E713": ("Write `not in` for membership", "`x not in y` says what `not x in y` means and cannot be misread."),
    "E714": ("Write `is not` for identity", "`x is not y` says what `not x is y` means and cannot be misread."),
    "W291": ("Remove trailing whitespace", "Whitespace at line ends is invisible and makes diffs noisy."),
    "W292": ("End files with a newline", "A last line without its newline makes diffs and tools stumble."),
    "W293": ("Remove whitespace on blank lines", "Whitespace on blank lines is invisible and makes diffs noisy."),
    "W605": ("Mend invalid escape sequences", "Python warns about invalid escapes, and will refuse them one day."),
    "I001": ("Sort imports", "The project's own lint settings ask for sorted imports."),
    "UP004": ("Drop `object` from base classes", "Every class is an object; naming it says nothing."),
    "UP005": ("Call unittest's assertions by their names", "The old names are gone from Python 3.12."),
    "UP006": ("Annotate with built-in collections", "The lowest supported Python takes list[int] for List[int]."),
    "UP007": ("Write unions as X | Y", "The lowest supported Python takes X | Y for Union[X, Y]."),
    "UP008": ("Call super() without arguments", "Inside a method super() finds the class and the instance itself."),
    "UP009": ("Drop the UTF-8 declaration", "UTF-8 is Python's default encoding of source files."),
    "UP010": ("Remove future imports that are the present", "The lowest supported Python has these features anyway."),
    "UP012": ("Encode to UTF-8 plainly", "UTF-8 is what encode() does; a literal can be bytes from the start."),
    "UP015": ("Drop default modes of open()", "Reading text is what open() does by default."),
    "UP018": ("Write literals for str(), int() and the like", "A call that only makes a literal can be the literal."),
    "UP024": ("Name OSError by its name", "IOError, EnvironmentError and others are aliases of OSError."),
    "UP025": ("Drop the u from strings", "All strings are Unicode; the prefix says nothing."),
    "UP032": ("Write f-strings for str.format()", "An f-string shows each value where it stands."),
    "UP034": ("Drop doubled parentheses", "One pair of parentheses is enough."),
    "UP035": ("Import from where names live", "Names moved; the places that they are imported from are deprecated."),
    "UP037": ("Unquote annotations", "Where annotations are not evaluated, quotes around them say nothing."),
    "UP045": ("Write optional types as X | None", "The lowest supported Python takes X | None for Optional[X]."),
    "PIE790": ("Remove placeholders", "A `pass` or `...` beside other statements does nothing."),
    "PLR1711": ("Remove a last `return None`", "A function that ends returns None by itself."),
    "TC005": ("Remove empty type-checking blocks", "A block that holds only `pass` does nothing."),
    "B033": ("Remove doubled values from sets", "A set holds each value once."),
}


def words(rule: str) -> tuple[str, str]:
    """What is done and why, for a card."""
    return WORDS.get(rule, (f"Apply ruff's safe fix of {rule}", f"Ruff reports {rule} and knows a safe fix."))
