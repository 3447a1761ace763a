"""The job: claim, parse, map, begin, file, record. It decides between retry and dead letter."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from config.logging import get_logger
from service.core import signing
from service.core.errors import BridgeError, StaleToken, UnmappableError
from service.core.ledger import Attempt, Failing, Outcome, State
from service.core.ledger.model import moment
from service.core.mapping.draft import as_payload
from service.core.mapping.mapper import map_event
from service.core.source import Key, Part
from workers.hold import Hold
from workers.schedule import Schedule
from workers.spacebring.errors import (
    CredentialsError,
    PermanentError,
    SpacebringError,
    UnknownOutcomeError,
)
from workers.spacebring.limiter import LimiterBusyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.core.events import InboundEvent
    from service.core.ledger import Claim, Ledger
    from service.core.mapping.draft import TicketDraft
    from service.core.wiring import Door
    from workers.spacebring.client import SpacebringClient
    from workers.spacebring.limiter import Limiter
    from workers.spacebring.schemas import CreatedTicket

_log = get_logger("delivery")
_RATE_LIMITED = 429
_FORBIDDEN = 403
# Answers that may mean the requester rather than the ticket.
_PERHAPS_REQUESTER = frozenset({400, 404, 422})
# A look-up that keeps failing must not keep a ticket from being filed: the person is named in the text.
_MAX_LOOKUPS = 3
_RESUMED_AT_ONCE = 500
_RECORD_PAUSES = (0.2, 0.5, 1, 2, 2, 2)


@dataclass(frozen=True)
class Options:
    """What a deployment may set: probe every so many seconds; pause after so many failures in a row."""

    text_limit: int = 10_000
    probe: float = 10
    outage_after: int = 5
    schedule: Schedule = field(default_factory=Schedule)


@dataclass(frozen=True)
class Prepared:
    """A draft that may be sent, and what the ledger shows of its event."""

    draft: TicketDraft
    summary: Mapping[str, str]


class Deliverer:
    """Files events. One for each worker process; it holds at most one event at a time."""

    def __init__(
        self,
        ledger: Ledger,
        doors: Mapping[str, Door],
        client: SpacebringClient,
        *,
        find_requester: Callable[[str, str], str | None],
        limiter: Limiter,
        worker: str,
        options: Options | None = None,
        stopping: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ledger = ledger
        self._doors = doors
        self._client = client
        self._find_requester = find_requester
        self._limiter = limiter
        self._worker = worker
        self._options = options or Options()
        self._stopping = stopping
        self._sleep = sleep

    def deliver(self, event: str) -> None:
        """File one event that was handed out; nothing happens if another worker has it."""
        hold = Hold.take(self._ledger, event, self._worker)
        if hold is None:
            _log.info("nothing to do", event_id=event)
            return
        with hold:
            try:
                outcome = self._attempt(hold)
                self._record(hold.claim, outcome)
            except StaleToken as error:
                _log.warning("lost the event", event_id=event, why=str(error))

    def _attempt(self, hold: Hold) -> Outcome:
        if hold.claim.taken_over:
            return _unknown("its worker died while the ticket was being sent", None)
        prepared = self._prepared(hold.claim)
        if isinstance(prepared, Outcome):
            return prepared
        if self._stopping():
            return Outcome(State.QUEUED, reason="its worker stops")
        return self._file(hold, prepared)

    def _prepared(self, claim: Claim) -> Prepared | Outcome:
        """Parse and map; whatever goes wrong becomes an Outcome. Raises StaleToken."""
        try:
            return self._prepare(claim)
        except StaleToken:
            raise
        except SpacebringError as error:
            return self._lookup_failed(claim, error)
        except RedisError:
            return Outcome(State.QUEUED, reason="the ledger was away before anything was sent")
        except BridgeError as error:
            code = "unmappable" if isinstance(error, UnmappableError) else "unreadable"
            return _dead(code, str(error))
        except Exception as error:  # noqa: BLE001 - whatever a hostile body does to a parser, it is kept
            _log.warning("could not be read", exc_info=True, **_names(claim))
            return _dead("unreadable", f"could not be read: {type(error).__name__}")

    def _prepare(self, claim: Claim) -> Prepared | Outcome:
        """Parse and map; an Outcome where the event is not to be filed."""
        event = claim.event
        door = self._doors.get(event.channel)
        if door is None:
            return _dead("unmappable", f"channel {event.channel} is no longer in bridge.toml")
        request = self._ledger.request(event)
        if request is None:
            return _dead("unreadable", "what came in is no longer in the store")
        part = Part((Key(event.dedupe),), event.slice)
        inbound = door.source.parse(signing.from_ledger(request), part)
        summary = _summary(inbound)
        if not event.force:
            if inbound.ignore:
                return Outcome(State.IGNORED, reason=inbound.ignore, code="ignored", fields=summary)
            keys = [Key(value) for value in inbound.late_keys]
            known = self._ledger.know(claim, keys) if keys else ""
            if known:
                reason = f"the same message as event {known}"
                return Outcome(State.IGNORED, reason=reason, code="duplicate", fields=summary)
        mapped = map_event(
            inbound,
            channel=door.channel,
            marker=event.marker,
            source_label=door.source.label,
            text_limit=self._options.text_limit,
            find_requester=self._finder(event.lookups_failed),
            refused_requester=event.requester_refused,
        )
        return Prepared(mapped.draft, summary)

    def _finder(self, failed: int) -> Callable[[str, str], str | None]:
        def find(location: str, email: str) -> str | None:
            if failed >= _MAX_LOOKUPS:
                return None
            try:
                return self._find_requester(location, email)
            except PermanentError as error:
                _log.warning("requester cannot be looked up", status=error.status, error=str(error))
            except CredentialsError as error:
                # A token without the community scope may still file tickets: 401 pauses, 403 does not.
                if error.status != _FORBIDDEN:
                    raise
                _log.warning("requester cannot be looked up", status=error.status, error=str(error))
            return None

        return find

    def _lookup_failed(self, claim: Claim, error: SpacebringError) -> Outcome:
        outcome = self._refused(claim, error, Attempt(moment(0), "lookup failed", error.status, str(error)))
        if isinstance(error, CredentialsError | LimiterBusyError) or error.status == _RATE_LIMITED:
            return outcome
        return replace(outcome, fields={"lookups_failed": claim.event.lookups_failed + 1})

    def _file(self, hold: Hold, prepared: Prepared) -> Outcome:
        claim, draft = hold.claim, prepared.draft
        payload = as_payload(draft)
        held_back = self._wait_for_slot()
        if held_back is not None:
            return held_back
        number = self._ledger.begin(claim, payload, prepared.summary)
        started = time.perf_counter()

        def attempt(outcome: str, status: int | None, error: str = "") -> Attempt:
            duration = round((time.perf_counter() - started) * 1000)
            _log.info(
                "attempt",
                **_names(claim),
                attempt=number,
                outcome=outcome,
                status=status,
                error=error or None,
                duration_ms=duration,
            )
            return Attempt(moment(0), outcome, status, error, duration)

        try:
            ticket = self._client.create_ticket(payload, last_check=hold.check)
        except StaleToken as error:
            unsent = attempt("not sent", None, str(error))
            outcome = Outcome(State.QUEUED, reason=str(error), attempt=unsent, uncounted=True)
        except UnknownOutcomeError as error:
            outcome = replace(
                _unknown(str(error), attempt("unknown", error.status, str(error))), failing=self._outage()
            )
        except PermanentError as error:
            outcome = self._refused_for_good(draft, error, attempt("refused", error.status, str(error)))
        except SpacebringError as error:
            outcome = self._refused(claim, error, attempt("failed", error.status, str(error)))
        except Exception as error:  # noqa: BLE001 - the job's time limit, or a defect, after the begin
            _log.warning("attempt broke off", exc_info=True, **_names(claim))
            outcome = _unknown(type(error).__name__, attempt("unknown", None, type(error).__name__))
        else:
            outcome = _delivered(ticket, attempt("delivered", 201))
        return outcome

    def _wait_for_slot(self) -> Outcome | None:
        """Wait for the limiter before anything is begun: a wait that breaks off must not look like a send."""
        try:
            self._limiter.wait()
        except LimiterBusyError as error:
            return Outcome(State.RETRYING, reason=str(error), code="retry", delay=error.retry_after or 1)
        except RedisError:
            return Outcome(State.QUEUED, reason="the ledger was away before anything was sent")
        if self._stopping():
            return Outcome(State.QUEUED, reason="its worker stops")
        return None

    def _refused_for_good(self, draft: TicketDraft, error: SpacebringError, attempt: Attempt) -> Outcome:
        """Make a dead letter, or try once more without the requester, who may be what was refused."""
        if draft.user_ref_requester is None or error.status not in _PERHAPS_REQUESTER:
            return _dead("refused", str(error), attempt)
        return Outcome(
            State.RETRYING,
            reason=f"tried again without its requester: {error}",
            attempt=attempt,
            fields={"requester_refused": 1},
            uncounted=True,
            answered=True,
        )

    def _refused(self, claim: Claim, error: SpacebringError, attempt: Attempt) -> Outcome:
        """Decide after a failure that filed nothing."""
        options, reason = self._options, str(error)
        tried = claim.event.tries + 1
        delay = max(options.schedule.delay(tried), error.retry_after or 0)
        retry = Outcome(State.RETRYING, reason=reason, code="retry", delay=delay, attempt=attempt)
        if isinstance(error, CredentialsError):
            failing = Failing("credentials", 1, options.probe)
            return replace(retry, code="credentials", delay=0, uncounted=True, failing=failing)
        if isinstance(error, LimiterBusyError):
            # Our own limiter, not Spacebring: nobody else needs to wait for it.
            return replace(retry, delay=error.retry_after or 0, uncounted=True)
        if error.retry_after:
            self._limiter.pause(error.retry_after)
        if error.status == _RATE_LIMITED:
            return replace(retry, uncounted=True)
        if options.schedule.exhausted(tried):
            return _dead("attempts", f"out of attempts after {tried}: {reason}", attempt)
        return replace(retry, failing=self._outage())

    def _outage(self) -> Failing:
        return Failing("outage", self._options.outage_after, self._options.probe)

    def _record(self, claim: Claim, outcome: Outcome) -> None:
        answers_again = self._record_surely(claim, outcome, f"{self._worker}:{claim.token}")
        _log.info(
            "recorded",
            **_names(claim),
            state=outcome.state.value,
            reason=outcome.reason or None,
        )
        if answers_again:
            while self._ledger.resume(_RESUMED_AT_ONCE) == _RESUMED_AT_ONCE:
                continue

    def _record_surely(self, claim: Claim, outcome: Outcome, nonce: str) -> bool:
        """Record, also where Redis is away for a moment: the ticket may be filed by now."""
        for pause in _RECORD_PAUSES:
            try:
                return self._ledger.record(claim, outcome, nonce=nonce)
            except RedisError:
                self._sleep(pause)
        return self._ledger.record(claim, outcome, nonce=nonce)


def _names(claim: Claim) -> dict[str, str]:
    return {"event_id": claim.event.id, "channel": claim.event.channel}


def _summary(inbound: InboundEvent) -> dict[str, str]:
    sender = inbound.sender
    return {"name": sender.name[:200], "email": sender.email[:254], "subject": inbound.subject[:250]}


def _delivered(ticket: CreatedTicket, attempt: Attempt) -> Outcome:
    fields: dict[str, str | int] = {"ticket_id": ticket.id, "ticket_number": ticket.number}
    return Outcome(State.DELIVERED, attempt=attempt, fields=fields, answered=True)


def _dead(code: str, reason: str, attempt: Attempt | None = None) -> Outcome:
    return Outcome(State.DEAD, reason=reason, code=code, attempt=attempt, answered=code == "refused")


def _unknown(why: str, attempt: Attempt | None) -> Outcome:
    reason = f"a ticket may exist or not ({why}): look for the marker in Spacebring before replaying it"
    lost = attempt or Attempt(moment(0), "unknown", error=why)
    return Outcome(State.DEAD, reason=reason, code="unknown", attempt=lost)


_deliverer: ContextVar[Deliverer] = ContextVar("deliverer")


def install(deliverer: Deliverer) -> None:
    """Set what the jobs of this process deliver with."""
    _deliverer.set(deliverer)


def deliver(event: str) -> None:
    """Run as the RQ job; its only argument is the event's id."""
    _deliverer.get().deliver(event)
