"""What the constitution forbids for good, at a real guard: a plan that does it is refused, and live stays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from e2e_box import CALM, CODES, Evidence, House

from greenroom.domain import documents
from greenroom.domain.digest import digest_of, parse_digest
from greenroom.domain.plan import Arg, Plan, Step
from greenroom.domain.ports import Dossier
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import ChangeId, Kind, Mode, Subject, Trust
from greenroom.entrypoints.cli.output import exit_of
from greenroom.pipeline.plain import verdict_plain
from greenroom.policy.bundle import load_policy

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

SETTING = {"file": "system/app.json", "key": "auth.enabled", "value": "false"}
BREACHES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "database-deletion-without-backup": ("run_tests_t1", {"only": "rm data/shop.sqlite3\n"}),
    "disable-authentication": ("config_update_t2", SETTING),
    "force-push": ("run_tests_t1", {"only": "git push --force origin main\n"}),
    "history-rewrite": ("run_tests_t1", {"only": "git rebase main\n"}),
}


@pytest.mark.parametrize("rule", BREACHES)
def test_e2e_never(house: House, evidence: Evidence, calm: Path, rule: str) -> None:
    """A hostile executor hands in a plan that does it: refused by its rule, at its step, before any paper counts."""
    name, values = BREACHES[rule]
    policy = house.guard.policy()
    assert policy is not None
    base = parse_digest(house.live(calm))
    plan = Plan(
        subject=Subject(kind=Kind.WORKSPACE, address=f"{calm}#main"),
        intent="Tidy up",
        base=base,
        golden=house.store.put("golden", documents.encode({"tree": base})),
        steps=(
            Step(
                id="one",
                tool=load_policy(house.store, policy).tools[name],
                args={key: Arg(value=value, trust=Trust.BOX) for key, value in values.items()},
            ),
        ),
        blobs=(),
    )
    dossier = Dossier(
        change=ChangeId("never1"),
        subject=plan.subject,
        mode=Mode.PROPOSE,
        plan=house.store.put("plan", documents.encode(plan)),
        base=base,
        green=digest_of("tree", b"another"),
        receipts=(),
        seals=(),
        consents=(),
    )
    with house.unmoved(calm):
        verdict = house.guard.warrant(dossier)
        assert isinstance(verdict, Refused)
        plain = verdict_plain(verdict)
        assert evidence.add(f"never: {rule} (at the guard's socket)", plain, exit_of(plain)) == rule
        assert "step 'one'" in verdict.where


UNCHECKED = """

def fetch(url):
    import ssl
    import urllib.request

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return urllib.request.urlopen(url, context=context).read()
"""


def test_e2e_never_in_a_patch(house: House, evidence: Evidence, calm: Path) -> None:
    """A patch that turns certificate checks off is refused by the policy, at its line, whoever would agree."""
    with house.unmoved(calm):
        change = house.edit(calm, {"calm.py": CALM["calm.py"] + UNCHECKED})
        assert change["verdict"]["is"] == "refused"
        rule = evidence.add("never: certificate checks off, in a patch", change["verdict"], CODES["refused"])
        assert rule == "disable-authentication"
        assert "calm.py:" in change["verdict"]["where"]
