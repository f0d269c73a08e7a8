"""A Guard in memory: it keeps the promises of the port, but believes the evidence that it is given."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable
from typing import Literal

from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import Unusable
from greenroom.domain.events import Event
from greenroom.domain.plan import Caps
from greenroom.domain.ports import Attestor, Clock, Dossier, GuardStatus, Log, Standing, Store
from greenroom.domain.proof import Carry, Consent, Import, Predicate, Receipt, Warrant
from greenroom.domain.refusals import refused_by
from greenroom.domain.verdict import Held, Instant, Passed, Refused, Verdict
from greenroom.domain.vocabulary import ChangeId, ConsentLevel, Mode, Subject
from greenroom.guard.journal import check_event, tidy
from greenroom.guard.papers import CommandOrder, Lift, open_paper

_WARRANT_NS = 600_000_000_000


@dataclasses.dataclass(slots=True, kw_only=True)
class Stood:
    """One step of a subject's line: an import, or a promotion with its warrant."""

    change: ChangeId | None
    green: Digest
    warrant: Digest | None
    state: Literal["baking", "kept"]


class FakeGuard:
    """The Guard port without a disk. `agrees` answers for the person: True where nobody needs to agree."""

    def __init__(
        self,
        *,
        store: Store,
        log: Log,
        attestor: Attestor,
        clock: Clock,
        policy: Digest | None = None,
        agrees: Callable[[Dossier], bool] = lambda _: False,
    ) -> None:
        self._store = store
        self._log = log
        self._attestor = attestor
        self._clock = clock
        self._policy = policy or digest_of("policy", b"fake policy")
        self._agrees = agrees
        self._lines: dict[Subject, list[Stood]] = {}
        self._taken: set[tuple[Subject, str, Digest]] = set()
        self._reverted: set[tuple[Subject, ChangeId]] = set()
        self._spent: set[Digest] = set()
        self._reserved: dict[str, Caps] = {}
        self._withdrawn: dict[ChangeId, Instant] = {}
        self._stop: tuple[Digest, str] | None = None
        self._commands: set[tuple[Subject, str]] = set()
        self._orders: set[str] = set()

    def append(self, event: Event) -> int:
        """Append a caller's entry."""
        check_event(event)
        return self._log.append(dataclasses.replace(event, at=self._clock.now()))

    def status(self) -> GuardStatus:
        """What the guard says about itself."""
        return GuardStatus(
            stopped=self._stop is not None,
            stopped_by=self._stop[1] if self._stop else None,
            mode=Mode.PROPOSE,
            policy=self._policy,
            log_size=self._log.size(),
            checkpoint="",
            live={str(subject): line[-1].green for subject, line in self._lines.items()},
        )

    def stop_id(self) -> Digest | None:
        """The id of the stop in force."""
        return self._stop[0] if self._stop else None

    def policy(self) -> Digest | None:
        """The policy in force."""
        return self._policy

    def live(self, subject: Subject) -> Digest | None:
        """The live digest."""
        line = self._lines.get(subject)
        return line[-1].green if line else None

    def position(self, subject: Subject) -> str:
        """A name of what is live."""
        line = self._lines.get(subject)
        if not line:
            raise Unusable("no-subject", "nothing was imported for this subject", where=str(subject))
        return f"{len(line)}-{line[-1].green}"

    def health(self, subject: Subject) -> tuple[Held, ...]:
        """A stop, and a promotion that is still watched."""
        line = self._lines.get(subject, [])
        stopped = [Held(rule="stopped", where=self._stop[1], remedy="greenroom lift")] if self._stop else []
        baking = [
            Held(rule="change-baking", where=f"change {stood.change} is still watched", remedy="greenroom resume")
            for stood in line
            if stood.state == "baking"
        ]
        return (*stopped, *baking)

    def standing(self, subject: Subject) -> tuple[Standing, ...]:
        """What live stands on."""
        return tuple(Standing(change=each.change, green=each.green) for each in self._lines.get(subject, []))

    def adopt(self, imported: Digest) -> Digest | Refused:
        """Take an import in."""
        try:
            body = self._attestor.open(self._store.get(imported), Predicate.IMPORT, "keeper").body
            document = documents.decode(Import, body)
        except Unusable as error:
            return _refused(error)
        line = self._lines.setdefault(document.subject, [])
        key = (document.subject, document.commit, document.tree)
        if line and key in self._taken:
            return line[-1].green
        if self._stop is not None:
            return Refused(rule="stopped", where=self._stop[1], remedy="greenroom lift")
        if line and line[-1].state == "baking":
            return Refused(rule="change-baking", where=str(line[-1].change), remedy="greenroom resume")
        line.append(Stood(change=None, green=document.tree, warrant=None, state="kept"))
        self._taken.add(key)
        self._write("live.adopted", f"adopted/{imported}", digests={"tree": document.tree})
        return document.tree

    def cancel_window(self, change: ChangeId, actor: str) -> Verdict:
        """Nothing waits in a window here."""
        del actor
        return Refused(rule="no-window", where=change, remedy="greenroom show")

    def consent(self, envelope: bytes) -> Digest | Refused:
        """Take a consent in."""
        try:
            consent = open_paper(self._attestor, envelope, Consent)
        except Unusable as error:
            return _refused(error)
        if self._clock.now() >= consent.expires:
            return Refused(rule="consent-expired", where=consent.change, remedy="greenroom approve")
        digest = self._store.put("statement", envelope)
        self._write("consent.given", f"consent/{digest}", change=consent.change, actor=tidy(consent.actor))
        return digest

    def carry(self, given: Dossier, dossier: Dossier) -> Digest | Refused | Held:
        """Say that a yes holds for another change; that the patches are the same is believed."""
        if self._stop is not None:
            return Held(rule="stopped", where=self._stop[1], remedy="greenroom lift")
        again = f"greenroom approve {dossier.change}"
        if given.subject != dossier.subject:
            return Refused(rule="carry-of-another-subject", where=str(given.subject), remedy=again)
        try:
            if not given.consents:
                return Refused(rule="no-consent", where=given.change, remedy=again)
            consent = open_paper(self._attestor, self._store.get(given.consents[-1]), Consent)
            if self._clock.now() >= consent.expires:
                return Held(rule="consent-expired", where=given.change, remedy=again)
            missing = self._missing_consent(dataclasses.replace(given, carry=None))
            if missing is not None:
                return missing
        except Unusable as error:
            return _refused(error)
        said = Carry(
            change=dossier.change,
            plan=dossier.plan,
            green=dossier.green,
            shown=dossier.card or consent.shown,
            risk=0,
            consent=given.consents[-1],
            given=consent.change,
            given_plan=consent.plan,
            given_green=consent.green,
            given_shown=consent.shown,
            given_risk=0,
            given_level=ConsentLevel.INFORM,
            patch=digest_of("text", b"believed"),
            expires=consent.expires,
        )
        signed = self._attestor.sign(Predicate.CARRY, said.green, documents.encode(said))
        statement = self._store.put("statement", signed)
        self._write("consent.carried", f"carried/{statement}", change=dossier.change)
        return statement

    def warrant(self, dossier: Dossier) -> Digest | Refused | Held:
        """A warrant where stop, base, watch and consent allow it; evidence is believed."""
        line = self._lines.get(dossier.subject, [])
        for stood in line:
            if stood.warrant and (stood.change, stood.green) == (dossier.change, dossier.green):
                return stood.warrant
        if self._stop is not None:
            return Held(rule="stopped", where=self._stop[1], remedy="greenroom lift")
        if not line:
            return Refused(rule="unknown-subject", where=str(dossier.subject), remedy="import it first")
        if line[-1].green != dossier.base:
            return Refused(rule="base-moved", where=str(line[-1].green), remedy="propose the change again")
        if line[-1].state == "baking":
            return Held(rule="change-baking", where=str(line[-1].change), remedy="greenroom resume")
        try:
            problem = self._missing_consent(dossier)
        except Unusable as error:
            return _refused(error)
        return problem or self._issue(dossier)

    def withdraw(self, change: ChangeId, actor: str) -> Verdict:
        """Void every yes to a change that is not spent; refused all the same while it is live."""
        at = self._clock.now()
        self._withdrawn[change] = at
        self._write("consent.withdrawn", f"withdrawn/{change}/{at}", change=change, actor=tidy(actor))
        if any(stood.change == change for line in self._lines.values() for stood in line):
            return Refused(rule="already-live", where=change, remedy=f"greenroom revert {change}")
        return Passed()

    def promote(self, warrant: Digest) -> Verdict:
        """Spend a warrant."""
        try:
            body = self._attestor.open(self._store.get(warrant), Predicate.WARRANT, "guard").body
            paper = documents.decode(Warrant, body)
        except Unusable as error:
            return _refused(error)
        line = self._lines[paper.subject]
        if line[-1].warrant == warrant:
            return Passed(produced={"warrant": warrant, "green": paper.green})
        if self._stop is not None:
            return Held(rule="stopped", where=self._stop[1], remedy="greenroom lift")
        refused = self._unfit(paper, warrant, line)
        if refused is not None:
            return refused
        self._spent |= {warrant, *paper.consents}
        line.append(Stood(change=paper.change, green=paper.green, warrant=warrant, state="baking"))
        papers = {"green": paper.green, "warrant": warrant}
        self._write("live.promoted", f"promoted/{warrant}", change=paper.change, digests=papers)
        return Passed(produced={"warrant": warrant, "green": paper.green})

    def mark_good(self, change: ChangeId, receipts: tuple[Digest, ...]) -> Verdict:
        """Mark a promotion good; the receipts must be the keeper's, of runs made for this promotion."""
        line = next((line for line in self._lines.values() if line[-1].change == change), None)
        if line is None:
            return Refused(rule="not-promoted", where=change, remedy="promote it first")
        if line[-1].state == "kept":
            return Passed(produced={"green": line[-1].green})
        if self._stop is not None:
            return Held(rule="stopped", where=self._stop[1], remedy="greenroom lift")
        try:
            for digest in receipts:
                body = self._attestor.open(self._store.get(digest), Predicate.RECEIPT, "keeper").body
                if documents.decode(Receipt, body).occasion != line[-1].warrant:
                    return Refused(rule="receipt-of-another-occasion", where=digest, remedy="run the watch again")
        except Unusable as error:
            return _refused(error)
        if not receipts:
            return Held(rule="inconclusive", where="no-run", remedy="watch it")
        line[-1].state = "kept"
        self._write("live.marked-good", f"good/{line[-1].warrant}", change=change)
        return Passed(produced={"green": line[-1].green})

    def revert(self, subject: Subject, change: ChangeId, actor: str) -> Verdict:
        """Take the last promotion back."""
        line = self._lines.get(subject, [])
        if not line or line[-1].change != change:
            if (subject, change) in self._reverted:
                return Passed(produced={})
            stands = any(stood.change == change for stood in line)
            where = ", ".join(str(stood.change or stood.green) for stood in line[-1:])
            rule = "not-last" if stands else "not-promoted"
            return Refused(
                rule=rule, where=f"others stand on it: {where}" if stands else change, remedy="last one first"
            )
        gone = line.pop()
        self._reverted.add((subject, change))
        self._withdrawn[change] = self._clock.now()
        self._write("live.reverted", f"reverted/{gone.warrant}", change=change, actor=tidy(actor))
        return Passed(produced={"live": line[-1].green})

    def reserve(self, change: ChangeId, subject: Subject, caps: Caps) -> str | Held:
        """Set money aside for a subject that is live, without a cap."""
        del change
        if subject not in self._lines:
            raise Unusable("unknown-subject", "nothing of this subject is live", where=str(subject))
        if self._stop is not None:
            return Held(rule="stopped", where=self._stop[1], remedy="greenroom lift")
        reservation = secrets.token_hex(16)
        self._reserved[reservation] = caps
        return reservation

    def settle(self, reservation: str, used: Caps) -> None:
        """Settle a reservation once."""
        del used
        if self._reserved.pop(reservation, None) is None:
            raise Unusable("no-reservation", "no open reservation has this name", where=reservation[:64])

    def stop(self, actor: str) -> None:
        """Stop."""
        stop = digest_of("text", secrets.token_bytes(16))
        self._stop = (stop, tidy(actor))
        self._write("stop.set", f"stop/{stop}", actor=tidy(actor))

    def lift(self, envelope: bytes) -> Verdict:
        """Lift the stop that the owner's paper names."""
        try:
            lift = open_paper(self._attestor, envelope, Lift)
        except Unusable as error:
            return _refused(error)
        if self._stop is None:
            return Passed()
        if lift.stop != self._stop[0]:
            return Refused(rule="lift-names-another-stop", where=lift.stop, remedy="sign a lift of the stop in force")
        self._write("stop.lifted", f"lift/{lift.stop}", actor=tidy(lift.actor))
        self._stop = None
        return Passed()

    def allow_command(self, envelope: bytes) -> Verdict:
        """Remember a test command that the owner signed for, once."""
        try:
            order = open_paper(self._attestor, envelope, CommandOrder)
        except Unusable as error:
            return _refused(error)
        if order.nonce in self._orders or self._clock.now() >= order.expires:
            rule = "order-spent" if order.nonce in self._orders else "order-expired"
            return Refused(rule=rule, where=order.nonce, remedy="sign it again")
        self._orders.add(order.nonce)
        self._commands.add((order.subject, order.command))
        self._write("command.allowed", f"command/{order.nonce}", actor=tidy(order.actor))
        return Passed()

    def command_allowed(self, subject: Subject, command: str) -> bool:
        """Whether the owner signed for this command of `subject`."""
        return (subject, command) in self._commands

    def _missing_consent(self, dossier: Dossier) -> Refused | Held | None:
        withdrawn = self._withdrawn.get(dossier.change)
        if self._agrees(dossier) and withdrawn is None:
            return None
        again = f"greenroom approve {dossier.change}"
        for digest in reversed(dossier.consents):
            consent = open_paper(self._attestor, self._store.get(digest), Consent)
            said = (consent.change, consent.plan, consent.green)
            if said != (dossier.change, dossier.plan, dossier.green) and not self._carried(dossier, digest):
                return Refused(rule="consent-of-another-change", where=consent.green, remedy=again)
            if digest in self._spent:
                return Refused(rule="consent-spent", where=dossier.change, remedy=again)
            if withdrawn is not None and (consent.at is None or consent.at <= withdrawn):
                return Held(rule="approval-withdrawn", where=dossier.change, remedy=again)
            if self._clock.now() < consent.expires:
                return None
        return Held(rule="needs-approval", where="a person must agree", remedy=again)

    def _carried(self, dossier: Dossier, consent: Digest) -> bool:
        if dossier.carry is None:
            return False
        carry = documents.decode(
            Carry, self._attestor.open(self._store.get(dossier.carry), Predicate.CARRY, "guard").body
        )
        said = (carry.change, carry.plan, carry.green, carry.consent)
        return said == (dossier.change, dossier.plan, dossier.green, consent)

    def _issue(self, dossier: Dossier) -> Digest:
        warrant = Warrant(
            change=dossier.change,
            subject=dossier.subject,
            base=dossier.base,
            green=dossier.green,
            plan=dossier.plan,
            policy=self._policy,
            evidence=(),
            consents=dossier.consents,
            undo=digest_of("undo", b"in memory"),
            expires=Instant(self._clock.now() + _WARRANT_NS),
            nonce=secrets.token_hex(16),
            carry=dossier.carry,
        )
        envelope = self._attestor.sign(Predicate.WARRANT, warrant.green, documents.encode(warrant))
        digest = self._store.put("statement", envelope)
        self._write("warrant.issued", f"warrant/{digest}", change=warrant.change)
        return digest

    def _unfit(self, paper: Warrant, warrant: Digest, line: list[Stood]) -> Refused | Held | None:
        if warrant in self._spent:
            return Refused(rule="warrant-spent", where=paper.change, remedy=f"greenroom retry {paper.change}")
        withdrawn = self._withdrawn.get(paper.change)
        if withdrawn is not None and paper.expires - _WARRANT_NS <= withdrawn:
            return Held(rule="approval-withdrawn", where=paper.change, remedy=f"greenroom approve {paper.change}")
        if self._clock.now() >= paper.expires:
            return Refused(rule="warrant-expired", where=paper.change, remedy=f"greenroom retry {paper.change}")
        if line[-1].green != paper.base:
            return Refused(rule="base-moved", where=str(line[-1].green), remedy="propose the change again")
        if self._spent & set(paper.consents):
            return Refused(rule="consent-spent", where=paper.change, remedy=f"greenroom approve {paper.change}")
        return None

    def _write(
        self,
        name: str,
        key: str,
        *,
        change: ChangeId | None = None,
        actor: str = "guard",
        digests: dict[str, Digest] | None = None,
    ) -> None:
        at = self._clock.now()
        self._log.append(Event(key=f"guard/{key}", at=at, actor=actor, name=name, change=change, digests=digests or {}))


def _refused(error: Unusable) -> Refused:
    return refused_by(error)
