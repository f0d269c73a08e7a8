"""An executor given over to an attacker, in the executor's own view of the machine: what it tries, one function each.

Run as `python hostile_executor.py BOX ATTACK WISH`, where WISH is JSON: the changes by name, a foreign directory, and
whatever else the attack needs. It speaks to guard and keeper on their sockets, writes the store and the databases as
the executor may, and prints what it got as a list of JSON values: a rule for each refusal, `promoted` where it won.
"""

from __future__ import annotations

import base64
import ctypes
import dataclasses
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import greenroom
from greenroom.audit import keys
from greenroom.audit.attest import KeyAttestor, sign_statement
from greenroom.audit.keepers import sign_certificate
from greenroom.bootstrap import parts
from greenroom.config import Box
from greenroom.domain import documents, trees
from greenroom.domain.card import Card
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest, parse_digest
from greenroom.domain.errors import GreenroomError
from greenroom.domain.events import GUARD_ONLY, Event
from greenroom.domain.plan import Plan
from greenroom.domain.ports import CheckRun, Dossier
from greenroom.domain.proof import Carry, Consent, Import, KeeperCertificate, Predicate, Receipt, Role, Seal, Warrant
from greenroom.domain.verdict import Held, Instant, Passed, Refused
from greenroom.domain.vocabulary import ChangeId, ConsentLevel, Kind, Mode, Subject, address_of, subject_of
from greenroom.guard.client import GuardClient
from greenroom.guard.papers import ConstitutionOrder, Lift, ModeOrder, OptInOrder, OptOutOrder, sign
from greenroom.keeper import suites
from greenroom.keeper.server import RemoteKeeper
from greenroom.pipeline import tables
from greenroom.pipeline.changes import DatabaseChanges, Deliveries
from greenroom.pipeline.stages.promote import PromoteStage
from greenroom.policy.bundle import load_policy
from greenroom.release.store import FileStore
from greenroom.testing.log import attestors
from greenroom.wire.rpc import Client

FAR = 60 * 1_000_000_000
DRAWS = 24
OVER = ("base", "work")
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000


class Hostile:
    """Everything that an executor has, and keys of its own making."""

    def __init__(self, box: Box, wish: Mapping[str, Any]) -> None:
        self.box = box
        self.wish = wish
        self.guard = GuardClient(Client(str(box.socket("guard")), patience_s=5.0).call)
        self.keeper = RemoteKeeper(Client(str(box.socket("keeper")), patience_s=5.0).call)
        self.store = FileStore(box.store)
        self.forger: Mapping[Role, KeyAttestor] = attestors()
        self.opener = parts.opener_of(box, self.guard.keeper_key)
        self._changes = DatabaseChanges(tables.open_database(box.db / "box.db"), parts.SystemClock())
        self.tools = load_policy(self.store, parse_digest(str(self.guard.policy()))).tools

    def change(self, name: str) -> Change:
        """The change that the wish calls `name`."""
        return self._changes.get(ChangeId(self.wish[name]))

    def dossier(self, name: str, **bent: Any) -> Dossier:
        """A change's true papers, and what is bent in them."""
        true = PromoteStage(store=self.store, guard=self.guard).dossier(self.change(name))
        return dataclasses.replace(true, **bent)

    def body(self, kind: Any, digest: Digest, predicate: Predicate, role: Role) -> Any:
        """The document inside a stored envelope."""
        return documents.decode(kind, self.opener.open(self.store.get(digest), predicate, role).body)

    def receipts(self, name: str) -> Iterator[tuple[Digest, Receipt]]:
        """The change's true receipts."""
        for digest in self.dossier(name).receipts:
            yield digest, self.body(Receipt, digest, Predicate.RECEIPT, "keeper")

    def forged(self, role: Role, predicate: Predicate, about: Digest, document: Any) -> Digest:
        """A stored envelope by a key that is nobody's."""
        return self.store.put("statement", self.forger[role].sign(predicate, about, documents.encode(document)))

    def instead(self, name: str, check: str, role: str, receipt: Digest | Refused) -> Dossier | Refused:
        """The dossier with another receipt in the place of the true one."""
        if isinstance(receipt, Refused):
            return receipt
        kept = [d for d, true in self.receipts(name) if (true.check, true.role) != (check, role)]
        return self.dossier(name, receipts=(*kept, receipt))

    def promote(self, dossier: Dossier | Refused) -> str:
        """All the way: warrant and swap. The rule where it ended, or `promoted`."""
        if isinstance(dossier, Refused):
            return f"keeper: {dossier.rule}"
        warrant = self.guard.warrant(dossier)
        return rule(self.guard.promote(warrant)) if isinstance(warrant, str) else rule(warrant)


def rule(answer: object) -> str:
    """A verdict as one word."""
    return answer.rule if isinstance(answer, Refused | Held) else "promoted" if isinstance(answer, Passed) else "taken"


def wrongly(call: Callable[[], object]) -> str:
    """The verdict or error of a call as one word."""
    try:
        return rule(call())
    except GreenroomError as error:
        return error.reference


# Without the consent of a person: `open` is verified and waits; `agreed` is another change, which has a consent.


def no_consent(me: Hostile) -> Sequence[str]:
    return [me.promote(me.dossier("open", consents=()))]


def another_consent(me: Hostile) -> Sequence[str]:
    other = me.dossier("agreed")
    return [
        me.promote(me.dossier("open", consents=other.consents)),
        me.promote(me.dossier("open", consents=other.consents, card=other.card)),
        me.promote(me.dossier("open", consents=other.consents, card=other.card, change=other.change)),
        me.promote(me.dossier("open", consents=other.consents, card=other.card, plan=other.plan)),
        me.promote(dataclasses.replace(other, change=ChangeId(me.wish["open"]))),
    ]


def another_carry(me: Hostile) -> Sequence[str]:
    """A yes that was given to one change, carried onto another: asked of the guard, and in a statement of its own."""
    mine, given = me.dossier("open"), me.dossier("agreed")
    asked = [
        me.guard.carry(given, mine),
        me.guard.carry(dataclasses.replace(given, card=mine.card), mine),
        me.guard.carry(dataclasses.replace(given, plan=mine.plan, green=mine.green), mine),
        me.guard.carry(dataclasses.replace(mine, consents=given.consents), mine),
    ]
    said = Carry(
        change=mine.change,
        plan=mine.plan,
        green=mine.green,
        shown=mine.card or mine.plan,
        risk=0,
        consent=given.consents[0],
        given=given.change,
        given_plan=given.plan,
        given_green=given.green,
        given_shown=given.card or given.plan,
        given_risk=100,
        given_level=ConsentLevel.PERSON,
        patch=mine.plan,
        expires=Instant(parts.SystemClock().now() + FAR),
    )
    forged = [me.forged(role, Predicate.CARRY, said.green, said) for role in ("guard", "keeper", "owner")]
    tried = [dataclasses.replace(mine, consents=given.consents, carry=digest) for digest in forged]
    return [*(rule(answer) for answer in asked), *(me.promote(dossier) for dossier in tried)]


def another_green(me: Hostile) -> Sequence[str]:
    return [me.promote(me.dossier("agreed", green=me.dossier("open").green))]


def another_plan(me: Hostile) -> Sequence[str]:
    return [me.promote(me.dossier("agreed", plan=me.dossier("open").plan))]


def another_card(me: Hostile) -> Sequence[str]:
    return [me.promote(me.dossier("agreed", card=me.dossier("open").card)), me.promote(me.dossier("agreed", card=None))]


def bent_cards(me: Hostile) -> Sequence[str]:
    """Every member of the card that a person agreed to, shown otherwise; and a card of the attacker's for `open`."""
    mine, other = me.dossier("agreed"), me.dossier("open")
    assert mine.card is not None
    assert other.card is not None
    card, foreign = (documents.decode(Card, me.store.get(digest)) for digest in (mine.card, other.card))
    found = []
    for field in dataclasses.fields(Card):
        bent = dataclasses.replace(card, **{field.name: getattr(foreign, field.name)})
        bent = dataclasses.replace(bent, rationale=bent.rationale + ".")
        shown = me.store.put("card", documents.encode(bent))
        found.append(me.promote(me.dossier("agreed", card=shown)))
    return found


def forged_consent(me: Hostile) -> Sequence[str]:
    change = me.change("open")
    assert change.plan is not None
    assert change.green is not None
    assert change.card is not None
    yes = Consent(
        change=change.id,
        plan=change.plan,
        green=change.green,
        shown=change.card,
        actor="person:ada",
        expires=Instant(parts.SystemClock().now() + FAR),
        nonce="0" * 32,
    )
    envelope = sign(me.forger["owner"], yes)
    stored = me.store.put("statement", envelope)
    by_keeper = me.forged("keeper", Predicate.CONSENT, change.green, yes)
    return [
        rule(me.guard.consent(envelope)),
        me.promote(me.dossier("open", consents=(stored,))),
        me.promote(me.dossier("open", consents=(by_keeper,))),
    ]


def edited_consent(me: Hostile) -> Sequence[str]:
    true = json.loads(me.store.get(me.dossier("agreed").consents[0]))
    text = base64.b64decode(true["payload"]).replace(me.wish["agreed"].encode(), me.wish["open"].encode())
    true["payload"] = base64.b64encode(text).decode()
    envelope = documents.encode(true)
    stored = me.store.put("statement", envelope)
    return [wrongly(lambda: me.guard.consent(envelope)), me.promote(me.dossier("open", consents=(stored,)))]


def higher_mode(me: Hostile) -> Sequence[str]:
    return [me.promote(me.dossier("open", consents=(), mode=mode)) for mode in (Mode.SUPERVISED, Mode.AUTONOMOUS)]


def other_papers_as_consent(me: Hostile) -> Sequence[str]:
    mine = me.dossier("open")
    return [me.promote(me.dossier("open", consents=(digest,))) for digest in (mine.receipts[0], mine.seals[0])]


def forged_opt_ins(me: Hostile) -> Sequence[str]:
    """Opt-ins and their ends by keys that are nobody's, and as bytes in the store; then the change itself."""
    now = parts.SystemClock().now()
    usual: dict[str, Any] = {"actor": "owner", "expires": Instant(now + FAR), "nonce": "0" * 32}
    opt_in = OptInOrder(rule="codespell", repository="", until=None, **usual)
    found = []
    for role in ("owner", "guard", "keeper"):
        envelope = sign(me.forger[role], opt_in)
        stored = me.store.put("statement", envelope)
        opt_out = sign(me.forger[role], OptOutOrder(opt_in=stored, **usual))
        found += [rule(me.guard.opt_in(envelope)), rule(me.guard.opt_out(opt_out))]
        found.append(me.promote(me.dossier("open", mode=Mode.AUTONOMOUS, consents=(stored,))))
    return [*found, me.promote(me.dossier("open", mode=Mode.AUTONOMOUS))]


def another_rule_than_opted_in_to(me: Hostile) -> Sequence[str]:
    """The owner opted in to ruff:F401: a finding of codespell, classified once more under that name, and under none."""
    mine, found = me.dossier("open"), []
    for args in ({"reproduce": "ruff:F401"}, {}):
        run = CheckRun(
            check="classify",
            role="diff",
            tool=me.tools["classify_diff_t0"],
            golden=me.change("open").golden,
            args=args,
            trees={"base": mine.base, "green": mine.green},
        )
        dossier = me.instead("open", "classify", "diff", me.keeper.check(run))
        assert isinstance(dossier, Dossier)
        found += [me.promote(dataclasses.replace(dossier, mode=mode)) for mode in (Mode.SUPERVISED, Mode.AUTONOMOUS)]
    return [*found, me.promote(me.dossier("open", mode=Mode.SUPERVISED))]


def before_its_window_ends(me: Hostile) -> Sequence[str]:
    """The owner opted in to codespell, mode supervised: asked again and again, under other names and modes."""
    mine = me.dossier("open", mode=Mode.SUPERVISED)
    found = [me.promote(mine) for _ in range(3)]
    found.append(me.promote(dataclasses.replace(mine, mode=Mode.AUTONOMOUS)))
    found.append(me.promote(dataclasses.replace(mine, change=ChangeId("another"))))
    found += [wrongly(partial(me.guard.append, _entry(name, mine.green))) for name in ("window.opened", "opt-in.added")]
    cancelled = me.guard.cancel_window(ChangeId("another"), "person:ada")
    return [*found, "cancelled" if isinstance(cancelled, Passed) else "kept", me.promote(mine)]


# With a true consent, and without what should stand behind it.


def no_receipts(me: Hostile) -> Sequence[str]:
    true = list(me.receipts("agreed"))
    fewer = [me.promote(me.dossier("agreed", receipts=tuple(d for d, _ in true if d != left))) for left, _ in true]
    return [me.promote(me.dossier("agreed", receipts=())), *fewer]


def no_seals(me: Hostile) -> Sequence[str]:
    first = me.dossier("agreed").seals[0]
    return [me.promote(me.dossier("agreed", seals=seals)) for seals in ((), (first,), (first, first))]


def forged_receipts(me: Hostile) -> Sequence[str]:
    forged = tuple(me.forged("keeper", Predicate.RECEIPT, true.output, true) for _, true in me.receipts("agreed"))
    return [me.promote(me.dossier("agreed", receipts=forged))]


def forged_seals(me: Hostile) -> Sequence[str]:
    seals = [me.body(Seal, digest, Predicate.SEAL, "keeper") for digest in me.dossier("agreed").seals]
    forged = tuple(me.forged("keeper", Predicate.SEAL, seal.green, seal) for seal in seals)
    return [me.promote(me.dossier("agreed", seals=forged))]


def an_earlier_key_of_the_keeper(me: Hostile) -> Sequence[str]:
    """A stolen key of an epoch that is over: it signs papers like the true ones, of runs that never were."""
    stolen = keys.PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(me.wish["stolen"])))
    runs = [(true.output, dataclasses.replace(true, run=secrets.token_hex(16))) for _, true in me.receipts("agreed")]
    true = me.dossier("agreed")
    seals = [me.body(Seal, digest, Predicate.SEAL, "keeper") for digest in true.seals]
    builds = [(seal.green, dataclasses.replace(seal, build=secrets.token_hex(16))) for seal in seals]
    receipts, again = (
        tuple(
            me.store.put("statement", sign_statement(stolen, predicate, about, documents.encode(made)))
            for about, made in papers
        )
        for predicate, papers in ((Predicate.RECEIPT, runs), (Predicate.SEAL, builds))
    )
    record = _import_of(me)
    brought = me.store.put("statement", sign_statement(stolen, Predicate.IMPORT, record.tree, documents.encode(record)))
    present = me.guard.keeper_epoch().number
    mine = KeeperCertificate(log="", epoch=present + 1, key=keys.generate().public)
    got = [
        me.promote(me.dossier("agreed", receipts=receipts)),
        me.promote(me.dossier("agreed", receipts=(*true.receipts[1:], receipts[0]))),
        me.promote(me.dossier("agreed", seals=again)),
        wrongly(lambda: me.guard.adopt(brought)),
        *(wrongly(partial(me.guard.shown, receipts[0], epoch)) for epoch in (0, present)),
        wrongly(lambda: me.guard.certify_keeper(sign_certificate(stolen, mine))),
    ]
    # Its signature holds, and other attacks go through every import of the store.
    me.store.erase(brought)
    return [*got, "long over" if present else "still present"]


def receipts_of_another_change(me: Hostile) -> Sequence[str]:
    other = me.dossier("open")
    return [me.promote(me.dossier("agreed", receipts=other.receipts, seals=seals)) for seals in (other.seals, ())]


def receipts_of_other_trees(me: Hostile) -> Sequence[str]:
    """True runs of the keeper, on base in the place of Green, and on the other change's Green."""
    mine, found = me.dossier("agreed"), []
    for tree in (mine.base, me.dossier("open").green):
        run = _tests(me, trees={"work": tree, "base": mine.base}, overlay=OVER)
        found.append(me.promote(me.instead("agreed", "tests", "base-on-green", _over(me, run))))
    return found


def receipts_without_overlay(me: Hostile) -> Sequence[str]:
    mine = me.dossier("agreed")
    run = _tests(me, trees={"work": mine.green, "base": mine.base}, overlay=None)
    return [me.promote(me.instead("agreed", "tests", "base-on-green", me.keeper.check(run)))]


def receipts_with_other_args(me: Hostile) -> Sequence[str]:
    mine, found = me.dossier("agreed"), []
    for args in ({"argv": "true"}, {"argv": '["true"]'}, {"only": "none"}):
        run = _tests(me, trees={"work": mine.green, "base": mine.base}, overlay=OVER, args=args)
        found.append(me.promote(me.instead("agreed", "tests", "base-on-green", _over(me, run))))
    return found


def receipts_until_one_passes(me: Hostile) -> Sequence[str]:
    """`flaky` was refused for a test that seldom passes on its Green; ask for that very run again and again."""
    first = {true.role: (digest, true) for digest, true in me.receipts("flaky") if true.check == "tests"}
    digest, true = first["base-on-green"]
    change = me.change("flaky")
    run = CheckRun(
        check=true.check, role=true.role, tool=true.tool, golden=true.golden, args={}, trees=true.mounted, overlay=OVER
    )
    drawn = [_over(me, run) for _ in range(DRAWS)]
    found = ["same" if set(drawn) == {digest} else "another"]
    others = (None, digest, *(d for d, of in me.receipts("flaky") if of.role == "base-again"))
    found += [rule(me.keeper.check(dataclasses.replace(run, suite=suite))) for suite in others]
    occasions = [change.seals[0], change.seals[1]]
    fresh = [_over(me, dataclasses.replace(run, occasion=occasion)) for occasion in occasions]
    found += [me.promote(me.instead("flaky", "tests", "base-on-green", receipt)) for receipt in (digest, *fresh)]
    both = me.instead("flaky", "tests", "none", fresh[0])
    again = [d for d, true in me.receipts("flaky") if (true.check, true.role) != ("tests", "base-on-green")]
    return [*found, me.promote(both), me.promote(me.dossier("flaky", receipts=tuple(again)))]


def live_tests_of_another_promotion(me: Hostile) -> Sequence[str]:
    """Runs of the live trees that were made for nothing, or for a paper that is no warrant of theirs."""
    mine, found = me.dossier("agreed"), []
    for occasion in (None, mine.seals[0]):
        run = dataclasses.replace(
            _tests(me, trees={"work": mine.green, "base": mine.base}, overlay=OVER), check="live-tests"
        )
        receipt = _over(me, dataclasses.replace(run, occasion=occasion))
        assert isinstance(receipt, str)
        found.append(me.promote(me.instead("agreed", "tests", "base-on-green", receipt)))
        found.append(rule(me.guard.mark_good(mine.change, (receipt,))))
    return found


def golden_of_another_tree(me: Hostile) -> Sequence[str]:
    """Dependencies that another tree asked for, or none at all: all papers true but for that."""
    mine = me.dossier("agreed")
    plan = documents.decode(Plan, me.store.get(mine.plan))
    found = []
    for golden in (me.keeper.golden(), me.keeper.prepare(mine.green)):
        assert isinstance(golden, str)
        other = dataclasses.replace(plan, golden=golden)
        digest = me.store.put("plan", documents.encode(other))
        seals = tuple(seal for seal in (me.keeper.build(digest), me.keeper.build(digest)) if isinstance(seal, str))
        receipts = []
        for _, true in me.receipts("agreed"):
            asked = documents.load_json(me.store.get(true.args))
            overlay = OVER if asked["overlay"] else None
            run = CheckRun(
                check=true.check,
                role=true.role,
                tool=true.tool,
                golden=golden,
                args=asked["args"],
                trees=true.mounted,
                overlay=overlay,
            )
            receipts.append(_over(me, run) if overlay else me.keeper.check(run))
        found.append(me.promote(dataclasses.replace(mine, plan=digest, seals=seals, receipts=tuple(receipts))))
    return found


def receipts_of_other_tools(me: Hostile) -> Sequence[str]:
    mine = me.dossier("agreed")
    run = CheckRun(
        check="scan",
        role="diff",
        tool=me.tools["classify_diff_t0"],
        golden=me.change("agreed").golden,
        args={},
        trees={"base": mine.base, "green": mine.green},
    )
    return [me.promote(me.instead("agreed", "scan", "diff", me.keeper.check(run)))]


def runs_of_its_own_making(me: Hostile) -> Sequence[str]:
    """Names that only the keeper itself may give a run."""
    mine, found = me.dossier("agreed"), []
    for check in ("build", "import", "prepare"):
        run = dataclasses.replace(_tests(me, trees={"work": mine.green}, overlay=None), check=check)
        found.append(rule(me.keeper.check(run)))
    return found


def a_green_of_its_own(me: Hostile) -> Sequence[str]:
    """All papers true but one: the keeper built and tried an evil Green, and a person said yes to another."""
    agreed, other = me.dossier("agreed"), me.dossier("open")
    plan = documents.decode(Plan, me.store.get(other.plan))
    evil = dataclasses.replace(plan, intent=documents.decode(Plan, me.store.get(agreed.plan)).intent)
    digest = me.store.put("plan", documents.encode(evil))
    seals = tuple(seal for seal in (me.keeper.build(digest), me.keeper.build(digest)) if isinstance(seal, str))
    bent = dataclasses.replace(agreed, plan=digest, green=other.green, seals=seals, receipts=other.receipts)
    card = documents.decode(Card, me.store.get(str(other.card)))  # type: ignore[arg-type]
    forged = dataclasses.replace(card, change=agreed.change, plan=digest, green=other.green)
    shown = me.store.put("card", documents.encode(forged))
    return [me.promote(bent), me.promote(dataclasses.replace(bent, card=shown))]


def _over(me: Hostile, run: CheckRun) -> Digest | Refused:
    """The receipt of `run`, with the answer of its own run on base as the suite; base's refusal where it has none."""
    before = suites.telling(run)
    assert before is not None
    base = me.keeper.check(before)
    return base if isinstance(base, Refused) else me.keeper.check(dataclasses.replace(run, suite=base))


def _tests(
    me: Hostile,
    *,
    trees: Mapping[str, Digest],
    overlay: tuple[str, str] | None,
    args: Mapping[str, str] | None = None,
) -> CheckRun:
    return CheckRun(
        check="tests",
        role="base-on-green",
        tool=me.tools["run_tests_t1"],
        golden=me.change("agreed").golden,
        args=args or {},
        trees=trees,
        overlay=overlay,
    )


# Past the warrant.


def forged_warrant(me: Hostile) -> Sequence[str]:
    dossier = me.dossier("agreed")
    policy = me.guard.policy()
    assert policy is not None
    warrant = Warrant(
        change=dossier.change,
        subject=dossier.subject,
        base=dossier.base,
        green=dossier.green,
        plan=dossier.plan,
        policy=policy,
        evidence=(),
        consents=dossier.consents,
        undo=dossier.seals[0],
        expires=Instant(parts.SystemClock().now() + FAR),
        nonce="0" * 32,
    )
    forged = [me.forged(role, Predicate.WARRANT, warrant.green, warrant) for role in ("guard", "keeper", "owner")]
    return [rule(me.guard.promote(digest)) for digest in (*forged, dossier.consents[0], dossier.seals[0])]


def a_foreign_directory(me: Hostile) -> Sequence[str]:
    """Have the keeper read a directory of the attacker's, and adopt that as the person's repository."""
    return _shown(me, me.change("open").subject, Path(me.wish["foreign"]))


def the_same_path_of_its_own(me: Hostile) -> Sequence[str]:
    """The path of a repository of the person's, built where the executor may write: its view has a /tmp of its own."""
    subject = subject_of(me.wish["apart"])
    place = Path(subject.address.partition("#")[0])
    place.mkdir(parents=True)
    _evil(place)
    return _shown(me, subject, place)


def a_repository_in_its_share(me: Hostile) -> Sequence[str]:
    """A subject of the attacker's: a repository at a path that the executor and the person see alike, in the box."""
    found: list[str] = []
    for share in (me.box.db, me.box.store):
        place = share / "x"
        place.mkdir()
        _evil(place)
        subject = Subject(kind=Kind.WORKSPACE, address=address_of(str(place), "main"))
        found += _shown(me, subject, place)
        found.append("taken" if me.guard.live(subject) else "not-presented")
        shutil.rmtree(place)
    return found


def the_same_path_in_a_user_namespace(me: Hostile) -> Sequence[str]:
    """The path of the changes' own repository, built on a mount of the attacker's with every capability inside."""
    subject = me.change("open").subject
    libc = ctypes.CDLL(None, use_errno=True)
    asked = (CLONE_NEWUSER, CLONE_NEWUSER | CLONE_NEWNS, CLONE_NEWNS)
    found = ["denied" if libc.unshare(flags) else "unshared" for flags in asked]
    words = ("unshare", "-U", "-r", "-m", sys.executable, __file__, *sys.argv[1:])
    if "inside" not in me.wish:
        ended = subprocess.run([*words[:-1], json.dumps({**me.wish, "inside": True})], capture_output=True, check=False)
        return [*found, *(json.loads(ended.stdout) if ended.returncode == 0 else ["denied"])]
    place = Path(subject.address.partition("#")[0])
    subprocess.run(["mount", "-t", "tmpfs", "none", str(place.parent)], check=True)
    place.mkdir()
    _evil(place)
    return [*found, *_shown(me, subject, place)]


def _evil(place: Path) -> None:
    """A repository of the attacker's on the branch main."""
    usual = ("git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "safe.directory=*")
    (place / "evil.py").write_text("import os\n")
    for words in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-q", "-m", "evil")):
        subprocess.run([*usual, *words], cwd=place, check=True, capture_output=True, env={**os.environ, "HOME": "/tmp"})


def _shown(me: Hostile, subject: Subject, place: Path) -> Sequence[str]:
    """Show the keeper a directory under the subject's path and under its own; have it read without a ticket, too."""
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    tickets = ["", "0" * 32]
    paths = (subject.address.partition("#")[0], str(place))
    found = [wrongly(lambda path=path: tickets.append(me.keeper.present(path, "main", descriptor))) for path in paths]
    found = [said for said in found if said != "taken"]
    call = Client(str(me.box.socket("keeper")), patience_s=5.0).call
    wish = {"subject": documents.to_plain(subject), "branch": "main"}
    found.append(wrongly(lambda: call("bring", wish, descriptors=(descriptor,))))
    for ticket in tickets:
        for branch in ("main", None):
            brought = me.keeper.bring(subject, ticket, branch)
            found.append(rule(brought) if isinstance(brought, Refused) else rule(me.guard.adopt(brought)))
    return found


def a_forged_delivery(me: Hostile) -> Sequence[str]:
    """The person took their branch back; a row says that it waits for the commit that was taken in before."""
    deliveries = Deliveries(tables.open_database(me.box.db / "box.db"))
    subject = subject_of(me.wish["apart"])
    row = deliveries.get(subject)
    assert row is not None
    live = me.guard.position(subject)
    deliveries.put(dataclasses.replace(row, delivered=me.wish["back"], wanted=live, pending="delivery-pending"))
    return ["forged"]


def a_forged_import(me: Hostile) -> Sequence[str]:
    record = _import_of(me)
    forged = me.forged("keeper", Predicate.IMPORT, record.tree, record)
    return [rule(me.guard.adopt(digest)) for digest in (forged, me.dossier("open").seals[0])]


def _import_of(me: Hostile) -> Import:
    """The open change's Green, as if a person had it on their branch."""
    subject = me.change("open").subject
    return Import(
        subject=subject,
        source=subject.address.partition("#")[0],
        branch="main",
        commit="0" * 40,
        commit_bytes=me.store.put("blob", b""),
        tree=me.dossier("open").green,
        trust=2,
        at=Instant(parts.SystemClock().now()),
    )


def an_old_import(me: Hostile) -> Sequence[str]:
    """Every import that was ever stored, adopted again: live may not go back to any of them."""
    found = []
    for digest in _statements(me):
        try:
            before = me.guard.live(me.body(Import, digest, Predicate.IMPORT, "keeper").subject)
        except GreenroomError:
            continue
        answer = me.guard.adopt(digest)
        found.append("unmoved" if answer == before else rule(answer))
    return found


def _statements(me: Hostile) -> Iterator[Digest]:
    for at, _, names in os.walk(me.box.store / "statement"):
        for name in names:
            yield parse_digest(f"statement:{Path(at).name}{name}")


# Words in the log, orders, and taking back.


def reserved_entries(me: Hostile) -> Sequence[str]:
    change = me.change("open")
    assert change.green
    made = [_entry(name, change.green) for name in (*sorted(GUARD_ONLY), "live.promoting", "live.not-promoted")]
    made += [dataclasses.replace(_entry("plan.result", change.green), actor=a) for a in ("guard", "keeper", "owner")]
    made += [dataclasses.replace(_entry("plan.result", change.green), key=f"guard/promoted/{change.green}")]
    return [wrongly(partial(me.guard.append, event)) for event in made]


def _entry(name: str, digest: Digest) -> Event:
    return Event(key=f"x/{name}", at=Instant(0), actor="executor", name=name, digests={"green": digest})


def forged_orders(me: Hostile) -> Sequence[str]:
    now = parts.SystemClock().now()
    usual: dict[str, Any] = {"actor": "owner", "expires": Instant(now + FAR), "nonce": "0" * 32}
    policy = me.guard.policy()
    assert policy is not None
    mode = ModeOrder(mode=Mode.AUTONOMOUS, **usual)
    constitution = ConstitutionOrder(policy=policy, previous=policy, **usual)
    owner = me.forger["owner"]
    return [rule(me.guard.set_mode(sign(owner, mode))), rule(me.guard.set_constitution(sign(owner, constitution)))]


def a_forged_lift(me: Hostile) -> Sequence[str]:
    """Anyone may stop; nobody but the owner lifts, and under the stop true papers promote nothing either."""
    me.guard.stop("hostile")
    stop = me.guard.stop_id()
    assert stop is not None
    lift = Lift(stop=stop, actor="owner", expires=Instant(parts.SystemClock().now() + FAR))
    forged = [rule(me.guard.lift(sign(me.forger[role], lift))) for role in ("owner", "guard", "keeper")]
    return [*forged, me.promote(me.dossier("agreed"))]


def reverts(me: Hostile) -> Sequence[str]:
    subject = me.change("open").subject
    tried = [(me.wish["open"], "person:ada"), (me.wish["agreed"], "watch"), ("nothing", "owner"), ("", "guard")]
    return [wrongly(partial(me.guard.revert, subject, ChangeId(change), actor)) for change, actor in tried]


def marks_good(me: Hostile) -> Sequence[str]:
    return [rule(me.guard.mark_good(ChangeId(me.wish["open"]), me.dossier("open").receipts))]


# The executor's view, and its share of the box.


def around_the_sockets(me: Hostile) -> Sequence[str]:
    """Keys, pointers, the log, the guard's ledger, an SSH agent: not in sight. The guard's program: read-only."""
    hidden = [me.box.root / name for name in ("keys", "log", "live", "guard", "keeper")]
    hidden += [Path("/run"), Path(me.wish["agent"])]
    found = ["seen" if place.exists() else "hidden" for place in hidden]
    found.append("seen" if _strays(Path("/home")) else "hidden")
    program, posed = Path(greenroom.__file__), me.box.run / "posed.sock"
    for place in (program, Path(sys.executable), me.box.identity, me.box.public / "owner.pub", posed):
        try:
            with place.open("ab"):
                found.append("written")
        except OSError:
            found.append("read-only")
    status = dict(line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    found.append("powerless" if int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0 else "powerful")
    others = [p for p in Path("/proc").iterdir() if p.name.isdigit() and b"bootstrap\0guard" in _words(p)]
    return [*found, "reached" if others else "out of reach"]


def _strays(place: Path) -> list[Path]:
    """What lies below `place` besides the way to the installation, which may be in a person's home."""
    installation = [Path(sys.prefix), Path(sys.base_prefix), Path(greenroom.__file__).parents[2]]
    found = []
    for inside in place.iterdir() if place.exists() else ():
        if any(each.is_relative_to(inside) for each in installation):
            found += [] if inside in installation else _strays(inside)
        else:
            found.append(inside)
    return found


def _words(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def a_green_with_other_bytes(me: Hostile) -> Sequence[str]:
    """Green's bytes are changed in the store between the proof and the swap; put back afterwards."""
    mine = me.dossier("agreed")
    new = {e.blob for e in trees.parse_manifest(me.store.get(mine.green)).entries if isinstance(e, trees.File)}
    new -= {e.blob for e in trees.parse_manifest(me.store.get(mine.base)).entries if isinstance(e, trees.File)}
    name = next(iter(new)).partition(":")[2]
    place = me.box.store / "blob" / name[:2] / name[2:]
    true = place.read_bytes()
    place.unlink()
    place.write_bytes(true.replace(b"e", b"3", 1))
    try:
        return [me.promote(mine)]
    finally:
        place.unlink()
        place.write_bytes(true)
        place.chmod(0o444)


# The positive control, and what does not work a second time.


def with_the_right_papers(me: Hostile) -> Sequence[str]:
    return [me.promote(me.dossier("agreed"))]


def again_after_a_revert(me: Hostile) -> Sequence[str]:
    """The spent warrant, the spent consent."""
    mine = me.dossier("agreed")
    old = [parse_digest(digest) for digest in me.wish["spent"].split()]
    return [*(rule(me.guard.promote(digest)) for digest in old), me.promote(mine)]


ATTACKS: Mapping[str, Callable[[Hostile], Sequence[str]]] = {
    attack.__name__: attack
    for attack in (
        no_consent,
        another_consent,
        another_carry,
        another_green,
        another_plan,
        another_card,
        bent_cards,
        forged_consent,
        edited_consent,
        higher_mode,
        other_papers_as_consent,
        forged_opt_ins,
        another_rule_than_opted_in_to,
        before_its_window_ends,
        no_receipts,
        no_seals,
        forged_receipts,
        forged_seals,
        an_earlier_key_of_the_keeper,
        receipts_of_another_change,
        receipts_of_other_trees,
        receipts_without_overlay,
        receipts_with_other_args,
        receipts_until_one_passes,
        live_tests_of_another_promotion,
        golden_of_another_tree,
        receipts_of_other_tools,
        runs_of_its_own_making,
        a_green_of_its_own,
        a_green_with_other_bytes,
        forged_warrant,
        a_foreign_directory,
        the_same_path_of_its_own,
        a_repository_in_its_share,
        the_same_path_in_a_user_namespace,
        a_forged_delivery,
        a_forged_import,
        an_old_import,
        reserved_entries,
        forged_orders,
        reverts,
        marks_good,
        around_the_sockets,
        a_forged_lift,
    )
}
CONTROLS: Mapping[str, Callable[[Hostile], Sequence[str]]] = {
    "with_the_right_papers": with_the_right_papers,
    "again_after_a_revert": again_after_a_revert,
}


def main(arguments: Sequence[str]) -> int:
    """Try one attack and print what came of it."""
    box, name, wish = Box(Path(arguments[0])), arguments[1], json.loads(arguments[2])
    print(json.dumps(list({**ATTACKS, **CONTROLS}[name](Hostile(box, wish)))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
