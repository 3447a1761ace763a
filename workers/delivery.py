"""The job: claim, parse, map, settle, begin, file, record."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from config.logging import get_logger
from service.core.errors import NotDurable, StaleToken
from service.core.ledger import Attempt, Closed, Outcome, State
from service.core.ledger.model import moment
from workers import verdicts
from workers.hold import Hold
from workers.preparing import Preparer
from workers.settling import Settler
from workers.spacebring.errors import PermanentError, SpacebringError, UnknownOutcomeError
from workers.spacebring.limiter import LimiterBusyError
from workers.verdicts import Options, Prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.core.ledger import Claim, Ledger
    from service.core.source import Memory
    from service.core.wiring import Door
    from workers.reconcile import Reconciler
    from workers.spacebring.client import SpacebringClient
    from workers.spacebring.limiter import Limiter, Slot

_log = get_logger("delivery")
_RESUMED_AT_ONCE = 500
_RECORD_PAUSES = (0.2, 0.5, 1, 2, 2, 2)


class Deliverer:
    """Files events. One for each worker process; it holds at most one event at a time."""

    def __init__(
        self,
        ledger: Ledger,
        doors: Mapping[str, Door],
        client: SpacebringClient,
        *,
        find_requester: Callable[[str, str], str | None],
        reconciler: Reconciler,
        limiter: Limiter,
        worker: str,
        options: Options | None = None,
        memory: Callable[[str], Memory],
        stopping: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._limiter = limiter
        self._worker = worker
        self._options = options or Options()
        self._preparer = Preparer(ledger, doors, find_requester, limiter, self._options, memory=memory)
        self._settler = Settler(ledger, reconciler, limiter, self._options)
        self._stopping = stopping
        self._sleep = sleep

    def deliver(self, event: str) -> None:
        """File one event that was handed out; nothing happens if another worker has it."""
        hold = Hold.take(self._ledger, event, self._worker)
        if hold is None:
            _log.info("nothing to do", event_id=event)
            return
        with hold, self._limiter.serving(hold.claim.event.lane):
            outcome: Outcome | None = None
            try:
                outcome = self._attempt(hold)
                self._record(hold.claim, outcome)
            except StaleToken as error:
                _log.warning("lost the event", event_id=event, why=str(error))
                if outcome is not None:
                    self._report_stray(event, outcome)

    def _report_stray(self, event: str, outcome: Outcome) -> None:
        """Say that this worker made a ticket, or may have: whoever took the event over cannot know."""
        ticket = str(outcome.fields.get("ticket_id", ""))
        if ticket or outcome.grace is not None:
            self._surely(lambda: self._ledger.stray(event, ticket))

    def _attempt(self, hold: Hold) -> Outcome:
        claim = hold.claim
        prepared = self._preparer.prepare(claim)
        if isinstance(prepared, Outcome):
            return prepared
        absent_at = self._settler.settle(claim, prepared) if claim.uncertain else 0
        if isinstance(absent_at, Outcome):
            return absent_at
        if self._stopping():
            return verdicts.handed_back(claim, "its worker stops")
        slot = self._wait_for_slot(claim)
        if isinstance(slot, Outcome):
            return slot
        with slot:
            if self._stopping():
                return verdicts.handed_back(claim, "its worker stops")
            return self._file(hold, prepared, absent_at, slot)

    def _wait_for_slot(self, claim: Claim) -> Slot | Outcome:
        """Wait for the limiter before anything is begun: a wait that breaks off must not look like a send."""
        try:
            return self._limiter.call()
        except LimiterBusyError as error:
            return Outcome(State.RETRYING, reason=str(error), code="retry", delay=error.retry_after or 1)
        except RedisError:
            return verdicts.handed_back(claim, "the ledger was away before anything was sent")

    def _file(self, hold: Hold, prepared: Prepared, absent_at: int, slot: Slot) -> Outcome:
        try:
            begun = self._ledger.begin(hold.claim, prepared.payload, prepared.summary, absent_at=absent_at)
        except NotDurable as error:
            return verdicts.unsent(str(error))
        if isinstance(begun, Closed):
            return verdicts.closed(begun, prepared.location)
        return self._send(hold, prepared, begun, slot)

    def _send(self, hold: Hold, prepared: Prepared, number: int, slot: Slot) -> Outcome:
        """Send the attempt of this number, and decide what follows from its end."""
        claim, payload, grace = hold.claim, prepared.payload, self._ledger.timings.grace
        attempt = partial(_attempt, claim, number=number, started=time.perf_counter())
        try:
            ticket = self._client.create_ticket(payload, last_check=slot.before(hold.check))
        except StaleToken as error:
            unsent = attempt("not sent", None, str(error))
            outcome = Outcome(State.QUEUED, reason=str(error), attempt=unsent, uncounted=True)
        except LimiterBusyError as error:
            unsent = attempt("not sent", None, str(error))
            outcome = verdicts.failed(claim, error, unsent, self._options)
        except UnknownOutcomeError as error:
            lost = attempt("unknown", error.status, str(error))
            outcome = replace(verdicts.unknown(str(error), lost, grace), failing=self._options.outage)
            self._obey(error)
        except PermanentError as error:
            refused = attempt("refused", error.status, str(error))
            outcome = verdicts.refused_for_good(payload, error, refused)
        except SpacebringError as error:
            failed = attempt("failed", error.status, str(error))
            outcome = verdicts.failed(claim, error, failed, self._options, prepared.location)
            self._obey(error)
        except Exception as error:  # noqa: BLE001 - the job's time limit, or a defect, after the begin
            _log.warning("attempt broke off", exc_info=True, **_names(claim))
            why = type(error).__name__
            outcome = verdicts.unknown(why, attempt("unknown", None, why), grace)
        else:
            outcome = verdicts.delivered(ticket, attempt("delivered", 201))
        return outcome

    def _obey(self, error: SpacebringError) -> None:
        try:
            verdicts.obey(self._limiter, error)
        except RedisError:
            # The outcome comes first, and waits for Redis to come back.
            _log.warning("Redis is away: Retry-After is not passed on")

    def _record(self, claim: Claim, outcome: Outcome) -> None:
        nonce = f"{self._worker}:{claim.token}"
        answers_again = self._surely(lambda: self._ledger.record(claim, outcome, nonce=nonce))
        _log.info(
            "recorded",
            **_names(claim),
            state=outcome.state.value,
            reason=outcome.reason or None,
        )
        if answers_again:
            while self._ledger.resume(_RESUMED_AT_ONCE) == _RESUMED_AT_ONCE:
                continue

    def _surely(self, step: Callable[[], bool]) -> bool:
        """Take a step of the ledger, also where Redis is away for a moment: a ticket may be filed by now."""
        for pause in _RECORD_PAUSES:
            try:
                return step()
            except RedisError:
                self._sleep(pause)
        return step()


def _attempt(
    claim: Claim, outcome: str, status: int | None, error: str = "", *, number: int, started: float
) -> Attempt:
    """Give the record of an attempt that just ended, and log it."""
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
    # The ledger sets the time, by its own clock.
    return Attempt(moment(0), outcome, status, error, duration)


def _names(claim: Claim) -> dict[str, str]:
    return {"event_id": claim.event.id, "channel": claim.event.channel}


_deliverer: ContextVar[Deliverer] = ContextVar("deliverer")


def install(deliverer: Deliverer) -> None:
    """Set what the jobs of this process deliver with."""
    _deliverer.set(deliverer)


def deliver(event: str) -> None:
    """Run as the RQ job; its only argument is the event's id."""
    _deliverer.get().deliver(event)
