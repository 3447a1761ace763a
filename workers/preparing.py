"""Makes a draft of what came in: parse, claim late keys, map. Whatever goes wrong becomes an outcome."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from rq.timeouts import JobTimeoutException

from config.logging import get_logger
from service.core import signing
from service.core.errors import (
    BridgeError,
    SeveralEventsError,
    StaleToken,
    Unavailable,
    UnmappableError,
    UnreadableError,
    VendorAway,
    VendorRefused,
)
from service.core.ledger import Attempt, Outcome, State
from service.core.ledger.model import moment
from service.core.mapping.draft import as_payload
from service.core.mapping.mapper import map_event
from service.core.source import Key, Part
from workers.spacebring.errors import CredentialsError, PermanentError, SpacebringError, TemporaryError
from workers.spacebring.limiter import LimiterBusyError
from workers.verdicts import (
    FORBIDDEN,
    RATE_LIMITED,
    Prepared,
    dead,
    failed,
    handed_back,
    obey,
    still_unknown,
    vendor_away,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.core.events import InboundEvent
    from service.core.ledger import Claim, Event, Ledger
    from service.core.signing import Verified
    from service.core.source import Memory
    from service.core.wiring import Door
    from workers.spacebring.limiter import Limiter
    from workers.verdicts import Options

_log = get_logger("delivery")
# A look-up that keeps failing must not keep a ticket from being filed: the person is named in the text.
_MAX_LOOKUPS = 3
# What came in cannot be read now, for the disk or the store it is on is away.
_BODY_AGAIN = 60.0
_NAMED = 10


class Preparer:
    """Knows the channels, and asks Spacebring for nobody but the requester."""

    def __init__(
        self,
        ledger: Ledger,
        doors: Mapping[str, Door],
        find_requester: Callable[[str, str], str | None],
        limiter: Limiter,
        options: Options,
        *,
        memory: Callable[[str], Memory],
    ) -> None:
        self._memory = memory
        self._ledger = ledger
        self._doors = doors
        self._find_requester = find_requester
        self._limiter = limiter
        self._options = options

    def prepare(self, claim: Claim) -> Prepared | Outcome:
        """Give what may be sent, or what is to be recorded instead. Raises StaleToken."""
        draft = claim.event.draft
        if claim.uncertain and draft is not None:
            # What was sent when its end was not known is looked for, and sent again, just like that.
            return Prepared(draft, {})
        try:
            return self._prepare(claim)
        except StaleToken:
            raise
        except SpacebringError as error:
            obey(self._limiter, error)
            return self._lookup_failed(claim, error)
        except RedisError:
            return handed_back(claim, "the ledger was away before anything was sent")
        except BridgeError as error:
            return _at_fault(claim, error, self._options)
        except Exception as error:  # noqa: BLE001 - whatever a hostile body does to a parser, it is kept
            event = claim.event
            _log.warning("could not be read", exc_info=True, event_id=event.id, channel=event.channel)
            return dead("unreadable", f"could not be read: {type(error).__name__}")

    def _prepare(self, claim: Claim) -> Prepared | Outcome:
        event = claim.event
        door = self._doors.get(event.channel)
        if door is None:
            return dead("unmappable", f"channel {event.channel} is no longer in bridge.toml")
        request = self._ledger.request(event)
        if request is None:
            return dead("unreadable", "what came in is no longer in the store")
        part = Part((Key(event.dedupe),), event.slice)
        verified = signing.from_ledger(request)
        try:
            inbound = door.source.parse(verified, part)
        except SeveralEventsError:
            return self._taken_apart(event, door, verified)
        if event.force or not inbound.ignore:
            try:
                inbound = door.source.complete(verified, part, inbound, self._memory(event.channel))
            except (UnreadableError, VendorAway, VendorRefused) as error:
                # Whoever looks at it sees as much as the webhook told.
                outcome = _at_fault(claim, error, self._options)
                return replace(outcome, fields={**_summary(inbound), **outcome.fields})
        summary = _summary(inbound)
        passed_over = None if event.force else self._passed_over(claim, inbound, summary)
        if passed_over is not None:
            return passed_over
        try:
            mapped = map_event(
                inbound,
                channel=door.channel,
                marker=event.marker,
                source_label=door.source.label,
                text_limit=self._options.text_limit,
                find_requester=self._finder(event.lookups_failed),
                refused_requester=event.requester_refused,
            )
        except UnmappableError as error:
            error.event = inbound
            raise
        return Prepared(as_payload(mapped.draft), summary)

    def _passed_over(self, claim: Claim, inbound: InboundEvent, summary: Mapping[str, str]) -> Outcome | None:
        """Give the end of what makes no ticket, by its own word or because another event has made one."""
        if inbound.ignore:
            return Outcome(State.IGNORED, reason=inbound.ignore, code="ignored", fields=summary)
        keys = [Key(value) for value in inbound.late_keys]
        known = self._ledger.know(claim, keys) if keys else ""
        if not known:
            return None
        reason = f"the same message as event {known}"
        return Outcome(State.IGNORED, reason=reason, code="duplicate", fields=summary)

    def _taken_apart(self, event: Event, door: Door, verified: Verified) -> Outcome:
        """Accept each event of a request that was kept whole, and end the one that stood for all.

        A worker that dies in between finds them by their keys, as the door does. Raises UnreadableError
        where it still cannot be taken apart.
        """
        parts = door.source.identify(verified)
        if not parts:
            return Outcome(
                State.IGNORED, reason="kept whole at first, and nothing in it makes a ticket", code="split"
            )
        accepted = self._ledger.accept(
            verified.request, channel=event.channel, source=event.source, lane=door.source.lane, parts=parts
        )
        # Two of them may be the same.
        events = list(dict.fromkeys(accepted.events))
        reason = f"kept whole at first, now {len(events)} events: {', '.join(events[:_NAMED])}"
        return Outcome(State.IGNORED, reason=reason, code="split")

    def _finder(self, failures: int) -> Callable[[str, str], str | None]:
        def find(location: str, email: str) -> str | None:
            if failures >= _MAX_LOOKUPS:
                return None
            try:
                return self._find_requester(location, email)
            except PermanentError as error:
                _log.warning("requester cannot be looked up", status=error.status, error=str(error))
            except CredentialsError as error:
                # A token without the community scope may still file tickets: 401 pauses, 403 does not.
                if error.status != FORBIDDEN:
                    raise
                _log.warning("requester cannot be looked up", status=error.status, error=str(error))
            except JobTimeoutException as error:
                why = "looking up the requester took too long"
                raise TemporaryError(why, status=None, retry_after=None) from error
            return None

        return find

    def _lookup_failed(self, claim: Claim, error: SpacebringError) -> Outcome:
        if isinstance(error, LimiterBusyError):
            return failed(claim, error, None, self._options)
        attempt = Attempt(moment(0), "lookup failed", error.status, str(error))
        outcome = failed(claim, error, attempt, self._options)
        if isinstance(error, CredentialsError) or error.status == RATE_LIMITED:
            return outcome
        if error.status is not None:
            # It answered: that members cannot be looked up says nothing of tickets.
            outcome = replace(outcome, failing=None)
        return replace(outcome, fields={"lookups_failed": claim.event.lookups_failed + 1})


def _at_fault(claim: Claim, error: BridgeError, options: Options) -> Outcome:
    if isinstance(error, VendorAway):
        return vendor_away(claim, error, options)
    if isinstance(error, Unavailable):
        # The store of large bodies is away: not the event's fault.
        waits = still_unknown(str(error), _BODY_AGAIN)
        return waits if claim.uncertain else replace(waits, code="retry")
    known = error.event if isinstance(error, UnreadableError | UnmappableError) else None
    outcome = dead("unmappable" if isinstance(error, UnmappableError) else "unreadable", str(error))
    return replace(outcome, fields=_summary(known)) if known is not None else outcome


def _summary(inbound: InboundEvent) -> dict[str, str]:
    sender = inbound.sender
    return {"name": sender.name[:200], "email": sender.email[:254], "subject": inbound.subject[:250]}
