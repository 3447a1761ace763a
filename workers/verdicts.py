"""What follows from each way in which a delivery can end: the outcomes that are recorded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from service.core.ledger import Attempt, Failing, Outcome, State
from service.core.ledger.model import moment
from workers.schedule import Schedule
from workers.spacebring.errors import CredentialsError, SpacebringError
from workers.spacebring.limiter import LimiterBusyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.core.errors import VendorAway
    from service.core.ledger import Claim, Closed
    from workers.reconcile import Sighting
    from workers.spacebring.limiter import Limiter
    from workers.spacebring.schemas import CreatedTicket

RATE_LIMITED = 429
FORBIDDEN = 403
# Answers that may mean the requester rather than the ticket.
_PERHAPS_REQUESTER = frozenset({400, 404, 422})
# What may have been filed is looked for this soon; the look that counts comes after the grace.
_FIRST_LOOK = 1.0
# The ledger could not confirm a begin: not at once again.
_AFRESH = 5.0
# Where another event tries for the location, this one comes again then at the latest.
_WAITS = 3600.0


@dataclass(frozen=True)
class Options:
    """What a deployment may set: probe every so many seconds; pause after so many failures in a row."""

    text_limit: int = 10_000
    probe: float = 10
    outage_after: int = 5
    schedule: Schedule = field(default_factory=Schedule)

    @property
    def outage(self) -> Failing:
        """What a failure says about Spacebring as a whole."""
        return Failing("outage", self.outage_after, self.probe)


@dataclass(frozen=True)
class Prepared:
    """The payload of a ticket that may be sent, and what the ledger shows of its event."""

    payload: Mapping[str, str]
    summary: Mapping[str, str]

    @property
    def location(self) -> str:
        """The uuid of the ticket's location."""
        return self.payload["locationRef"]


def delivered(ticket: CreatedTicket, attempt: Attempt) -> Outcome:
    """Give the end that everything is for."""
    fields: dict[str, str | int] = {"ticket_id": ticket.id, "ticket_number": ticket.number}
    return Outcome(State.DELIVERED, attempt=attempt, fields=fields, answered=True)


def found(ticket: Sighting, prepared: Prepared) -> Outcome:
    """Adopt a ticket that bears the event's marker."""
    return Outcome(
        State.DELIVERED,
        reason="its marker was found in Spacebring: an attempt whose end was not known made the ticket",
        code="found",
        fields={
            **prepared.summary,
            "ticket_id": ticket.id,
            "ticket_number": ticket.number,
            "location": prepared.location,
        },
    )


def dead(code: str, reason: str, attempt: Attempt | None = None) -> Outcome:
    """Leave it to a person."""
    return Outcome(State.DEAD, reason=reason, code=code, attempt=attempt, answered=code == "refused")


def unknown(why: str, attempt: Attempt, grace: float) -> Outcome:
    """Keep an event that may have made a ticket: it is looked for before anything is sent again."""
    outcome = still_unknown(f"a ticket may exist or not: {why}", _FIRST_LOOK)
    return replace(outcome, attempt=attempt, uncounted=False, grace=grace)


def still_unknown(reason: str, delay: float) -> Outcome:
    """Look again after so many seconds."""
    return Outcome(State.RETRYING, reason=reason, code="unknown", delay=delay, uncounted=True)


def vendor_away(claim: Claim, error: VendorAway, options: Options) -> Outcome:
    """Wait for the vendor that has the rest of an event, for as many tries as any event has.

    A rate limit, and waiting behind another event that tries, are no tries: an outage must not end them.
    """
    schedule, tried = options.schedule, claim.event.vendor_failed + error.counts
    if error.counts and schedule.exhausted(tried):
        return dead("attempts", f"out of attempts after {tried}: {error}")
    return Outcome(
        State.RETRYING,
        reason=str(error),
        code="retry",
        delay=max(schedule.delay(tried), error.retry_after or 0),
        fields={"vendor_failed": tried},
    )


def handed_back(claim: Claim, why: str) -> Outcome:
    """Give an event back of which this claim sent nothing."""
    return still_unknown(claim.event.reason, 0) if claim.uncertain else Outcome(State.QUEUED, reason=why)


def unsent(why: str) -> Outcome:
    """Give an event back whose attempt was begun, but nothing of it left this process."""
    attempt = Attempt(moment(0), "not sent", None, why)
    return Outcome(State.QUEUED, reason=why, delay=_AFRESH, attempt=attempt, uncounted=True)


def closed(gate: Closed, location: str) -> Outcome:
    """Wait until a location takes tickets again; one event at a time tries."""
    return Outcome(
        State.RETRYING,
        reason=f"delivery to its location is paused: {gate.why}",
        code="credentials",
        delay=_WAITS if gate.wait is None else gate.wait,
        fields={"location": location},
        waits=True,
    )


def refused_for_good(payload: Mapping[str, str], error: SpacebringError, attempt: Attempt) -> Outcome:
    """Make a dead letter, or try once more without the requester, who may be what was refused."""
    if "userRefRequester" not in payload or error.status not in _PERHAPS_REQUESTER:
        return dead("refused", str(error), attempt)
    return Outcome(
        State.RETRYING,
        reason=f"tried again without its requester: {error}",
        attempt=attempt,
        fields={"requester_refused": 1},
        uncounted=True,
        answered=True,
    )


def failed(
    claim: Claim, error: SpacebringError, attempt: Attempt | None, options: Options, location: str = ""
) -> Outcome:
    """Decide after a failure that filed nothing; `location` is where a ticket was refused."""
    schedule, tried = options.schedule, claim.event.tries + 1
    retry = Outcome(
        State.RETRYING,
        reason=str(error),
        code="retry",
        delay=max(schedule.delay(tried), error.retry_after or 0),
        attempt=attempt,
    )
    if isinstance(error, CredentialsError):
        # A 403 may be for this location alone; then it stays closed when another one takes a ticket.
        here = location if error.status == FORBIDDEN else ""
        failing = Failing("credentials", 1, options.probe, here)
        delay = options.probe if here else 0
        return replace(retry, code="credentials", delay=delay, uncounted=True, failing=failing)
    if isinstance(error, LimiterBusyError):
        # Our own limiter, not Spacebring: nobody else needs to wait for it.
        return replace(retry, delay=error.retry_after or 0, uncounted=True)
    if error.status == RATE_LIMITED:
        return replace(retry, uncounted=True)
    # A probe finds out about Spacebring, and must not end for it; a look-up is no attempt.
    if attempt is not None and schedule.exhausted(tried) and not claim.probing:
        return dead("attempts", f"out of attempts after {tried}: {error}", attempt)
    return replace(retry, failing=options.outage)


def obey(limiter: Limiter, error: SpacebringError) -> None:
    """Hold everybody back for as long as Spacebring asked for."""
    if error.retry_after and not isinstance(error, LimiterBusyError):
        limiter.pause(error.retry_after)
