"""The golden of a plan, as far as the guard reads it: it must be of the plan's own base.

The keeper runs on no golden but its own, and its receipts name the one that it used. Which tree's metadata named the
dependencies in it is the golden's `tree`: a golden of another tree could lack a plug-in that base's tests need.
"""

from __future__ import annotations

from greenroom.domain import documents
from greenroom.domain.digest import Digest, prefix_of
from greenroom.domain.errors import Unusable
from greenroom.domain.plan import Plan
from greenroom.domain.ports import Store

MAX_GOLDEN_BYTES = 1024 * 1024


def check_golden(store: Store, plan: Plan) -> None:
    """Raise Unusable `golden-of-another-tree` unless the plan's golden was prepared from the plan's base.

    Raises NotFound or Tampered when the store does not hold the golden's document.
    """
    if prefix_of(plan.golden) == "golden":
        document = documents.load_json(store.get(plan.golden, MAX_GOLDEN_BYTES))
        if isinstance(document, dict) and document.get("tree") == plan.base:
            return
    raise Unusable(
        "golden-of-another-tree",
        "the toolchain of the plan was not prepared from the plan's base",
        where=plan.golden,
        remedy="propose the change again, so that it is made on base's own dependencies",
    )


def same_toolchain(store: Store, one: Digest, other: Digest) -> bool:
    """True when two goldens differ in nothing but the tree that they were prepared from."""
    documented = [documents.load_json(store.get(digest, MAX_GOLDEN_BYTES)) for digest in (one, other)]
    first, second = ({**each, "tree": None} if isinstance(each, dict) else {} for each in documented)
    return bool(first) and first == second
