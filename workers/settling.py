"""Settles what an attempt of unknown end did: adopts its ticket, or shows that there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from rq.timeouts import JobTimeoutException

from service.core.ledger import Outcome, State
from workers.spacebring.errors import PermanentError, SpacebringError
from workers.verdicts import FORBIDDEN, dead, failed, found, obey, still_unknown

if TYPE_CHECKING:
    from service.core.ledger import Claim, Ledger
    from workers.reconcile import Look, Reconciler
    from workers.spacebring.limiter import Limiter
    from workers.verdicts import Options, Prepared

# Another worker is reading the location's list: it will soon have been read.
_LISTED_SOON = 1.0


class Settler:
    """Nothing is sent for an uncertain event before this has shown that no ticket was made."""

    def __init__(self, ledger: Ledger, reconciler: Reconciler, limiter: Limiter, options: Options) -> None:
        self._ledger = ledger
        self._reconciler = reconciler
        self._limiter = limiter
        self._options = options

    def settle(self, claim: Claim, prepared: Prepared) -> int | Outcome:
        """Look for the ticket.

        Gives what is to be recorded; or, where none was made and the event may be sent, when the look
        began that shows it (ms, Redis's clock).
        """
        event = claim.event
        try:
            grace = int(self._ledger.timings.grace * 1000)
            over = self._ledger.now() >= event.look_after
            not_before = event.look_after if over else event.look_after - grace
            look = self._reconciler.look(event, prepared.location, not_before=not_before)
        except SpacebringError as error:
            obey(self._limiter, error)
            return self._failed(claim, error)
        except RedisError:
            return still_unknown(event.reason, _LISTED_SOON)
        except JobTimeoutException:
            return self._proves_nothing(claim, "reading Spacebring's list took too long")
        if look is None:
            return still_unknown(event.reason, _LISTED_SOON)
        return self._judge(claim, prepared, look)

    def _judge(self, claim: Claim, prepared: Prepared, look: Look) -> int | Outcome:
        event, schedule = claim.event, self._options.schedule
        if look.tickets:
            return found(look.tickets[0], prepared)
        if look.gap:
            return self._proves_nothing(claim, look.gap)
        if look.began < event.look_after:
            wait = (event.look_after - look.began) / 1000
            return still_unknown(event.reason, max(wait, schedule.delay(max(event.tries, 1))))
        if schedule.exhausted(event.tries) and not claim.probing:
            return dead("attempts", f"out of attempts after {event.tries}, and no ticket was made")
        return look.began

    def _failed(self, claim: Claim, error: SpacebringError) -> Outcome:
        """Decide after a look that was refused or broke off."""
        refused = f"Spacebring's list of the location is refused: {error}"
        if error.status == FORBIDDEN:
            # Our credentials lack a permission: the event waits for it, however long.
            return self._proves_nothing(
                claim, f"{refused}. Give the account the Support permission", ever=True
            )
        if isinstance(error, PermanentError):
            return self._proves_nothing(claim, refused)
        outcome = failed(claim, error, None, self._options)
        code = "unknown" if outcome.code == "retry" else outcome.code
        return replace(outcome, code=code, uncounted=True, stuck=True)

    def _proves_nothing(self, claim: Claim, why: str, *, ever: bool = False) -> Outcome:
        """Keep it uncertain; after so many looks a person has to look, unless it may look for `ever`."""
        looks, schedule = claim.event.looks + 1, self._options.schedule
        reason = f"a ticket may exist or not: {why}"
        if schedule.exhausted(looks) and not claim.probing and not ever:
            reason += (
                f". Look for {claim.event.marker} in Spacebring: if there is a ticket, discard this; "
                "if there is none, replay it and confirm"
            )
            return Outcome(State.DEAD, reason=reason, code="unknown", fields={"looks": looks})
        outcome = still_unknown(reason, schedule.delay(looks))
        return replace(outcome, fields={"looks": looks}, stuck=True)
