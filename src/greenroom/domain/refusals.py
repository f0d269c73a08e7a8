"""From an error to a refusal: the rule, the place, and always a remedy.

Where an error was raised without one, the remedy is the usual one of its reference, else of its class.
"""

from __future__ import annotations

from collections.abc import Mapping

from greenroom.domain.errors import Bug, GreenroomError, NoSandbox, NotFound, Tampered, TooLarge, Unreachable, Unusable
from greenroom.domain.verdict import Refused

_AGAIN = "`greenroom retry ID` makes the change's papers anew"
_IMPORT = "`greenroom improve REPO` reads the repository again"
_LOST = "`greenroom doctor` says what the box lacks; `greenroom restore` brings a backup of it back"
_SIGN = "sign it again with the key of this box; `greenroom doctor` checks the keys"
_UPDATE = "install one version of Greenroom for all of the box, then `greenroom down` and try again"

_BY_REFERENCE: Mapping[str, tuple[str, ...]] = {
    _AGAIN: (
        "bad-dossier",
        "base-moved",
        "change-of-another-subject",
        "debate-differs",
        "dossier-malformed",
        "no-card",
        "not-a-statement",
        "plan-differs",
        "plan-of-another-subject",
        "receipt-unknown-role",
        "receipt-without-request",
        "seal-repeated",
        "too-many-receipts",
        "too-many-seals",
        "undo-stale",
        "unknown-check",
    ),
    _IMPORT: ("bad-commit", "bad-origin", "no-subject", "not-a-repository", "unknown-subject", "unreadable"),
    _LOST: ("green-differs", "live-broken", "not-stored", "undo-differs", "undo-lost", "wrong-bytes", "wrong-size"),
    _SIGN: (
        "bad-envelope",
        "bad-statement",
        "consent-too-large",
        "envelope-too-large",
        "order-too-large",
        "statement-forged",
        "wrong-predicate",
        "wrong-subject",
    ),
    _UPDATE: ("bad-answer", "bad-call", "hello-malformed", "unknown-call"),
    "`greenroom init` signs the tools of this installation": ("unknown-tool",),
    "`greenroom log` shows what moved live; `greenroom resume` goes on": ("live-moved",),
    "`greenroom constitution edit` signs what is to hold": ("policy-differs",),
    "leave `.git` out of what is taken in": ("git-directory-in-tree",),
    "run the command as the user who owns the box": ("not-allowed", "not-your-box"),
    "type the passphrase that `init` was given": ("passphrase-wrong",),
    "`greenroom resume` goes on, and reserves anew": ("no-reservation",),
}
_REMEDIES: Mapping[str, str] = {
    reference: remedy for remedy, references in _BY_REFERENCE.items() for reference in references
}
_BY_CLASS: Mapping[type[GreenroomError], str] = {
    NotFound: "`greenroom list --all` and `greenroom status` show what there is",
    Tampered: "`greenroom log check` and `greenroom doctor` say what is not as it was; `greenroom restore` helps",
    TooLarge: "make it smaller, below the bound that is named",
    NoSandbox: "`greenroom doctor` says what this machine lacks and how to get it",
    Unreachable: "try again; the box's `run/processes.log` says why nothing answered",
    Bug: "this is a fault of Greenroom's own: report it, with the box's `run/processes.log`",
    Unusable: "mend what is named, then try again",
}


def remedy_of(error: GreenroomError, otherwise: str = "") -> str:
    """What would help against `error`, never empty: what it says itself, else what the caller knows to help
    `otherwise`, else what usually helps against its reference or its class.
    """
    said = error.remedy or otherwise or _REMEDIES.get(error.reference, "")
    if said:
        return said
    return next((_BY_CLASS[kind] for kind in type(error).__mro__ if kind in _BY_CLASS), _BY_CLASS[Bug])


def refused_by(error: GreenroomError) -> Refused:
    """The refusal that stands for `error`, with a place and a remedy."""
    return Refused(rule=error.reference, where=error.where or error.message, remedy=remedy_of(error))
