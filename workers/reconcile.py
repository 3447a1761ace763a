"""Looks in Spacebring's list for the tickets of events of which nobody knows whether they made one.

Spacebring has no idempotency key and no search, but the list of a location's tickets, newest first
(https://www.spacebring.com/docs/assets/openapi.json), shows the text of each, and in it our marker. One
listing, kept in Redis for a while, serves every event of the location.
"""

from __future__ import annotations

import hashlib
import json
import math
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis.exceptions import LockError

from service.core.ledger.ids import marker_in
from service.core.store import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis import Redis

    from service.core.ledger import Event, Ledger
    from workers.spacebring.client import SpacebringClient
    from workers.spacebring.schemas import Ticket

_DAY_MS = 24 * 3_600_000
# Up to 10,000 tickets: what was made during a day by all means.
MAX_PAGES = 100
# A lister that dies holds the others up for so long, in seconds; each page extends it: the wait for a slot
# of the limiter, and a call with half as much to spare.
_SLOT, _SPARE = 5, 1.5
_KEPT = 120
_HIDES_KEPT_MS = 5000
_HIDES = "Spacebring's list of the location does not show the tickets that we made there"
_TOO_SHORT = "Spacebring's list of the location could not be read back to the attempt"


@dataclass(frozen=True)
class Sighting:
    """A ticket that bears the marker; equal texts have equal digests."""

    id: str
    number: int
    status: str
    digest: str


@dataclass(frozen=True)
class Look:
    """What a look found: the tickets of the marker, oldest first, and when it began (ms, Redis's clock).

    `gap` says why not finding the marker proves nothing; it is empty where no ticket is proof that none
    had been made by then.
    """

    began: int
    tickets: Sequence[Sighting]
    gap: str


@dataclass
class _Listing:
    """A location's list, read from the newest ticket back as far as somebody needed."""

    began: int
    # When the oldest ticket read was made, in ms; infinite before there is one.
    oldest: float = math.inf
    whole: bool = False
    # Whether it does not show the tickets that we know we made there.
    hides: bool = False
    tickets: dict[str, list[Sighting]] = field(default_factory=dict)

    def add(self, page: Sequence[Ticket]) -> None:
        for ticket in page:
            self.oldest = int(ticket.create_date.timestamp() * 1000)
            marker = marker_in(ticket.description)
            if marker is not None:
                sighting = Sighting(ticket.id, ticket.number, ticket.status, _digest(ticket.description))
                self.tickets.setdefault(marker, []).append(sighting)

    def shows(self, ours: Mapping[str, str]) -> bool:
        """Whether one of these tickets (id to marker) is seen, its marker too; so it is if there is none."""
        return not ours or any(
            sighting.id == ticket
            for ticket, marker in ours.items()
            for sighting in self.tickets.get(marker, ())
        )

    def covers(self, event: Event) -> bool:
        """Whether it goes back to before the event's first attempt of which the end is not known.

        Where a ticket of ours was known then, to that one: no clock needs to be right. Otherwise by time,
        and a day further, for the two clocks may differ.
        """
        if self.whole:
            return True
        if event.witness:
            return any(one.id == event.witness for seen in self.tickets.values() for one in seen)
        return self.oldest < event.look_from - _DAY_MS

    def look(self, event: Event) -> Look:
        found = sorted(self.tickets.get(event.marker, ()), key=lambda sighting: sighting.number)
        if self.hides:
            return Look(self.began, found, _HIDES)
        return Look(self.began, found, "" if self.covers(event) else _TOO_SHORT)

    def as_json(self) -> str:
        return json.dumps(
            vars(self) | {"tickets": {k: [vars(one) for one in v] for k, v in self.tickets.items()}}
        )

    @classmethod
    def of(cls, text: bytes) -> _Listing:
        data: dict[str, Any] = json.loads(text)
        tickets = {key: [Sighting(**one) for one in seen] for key, seen in data.pop("tickets").items()}
        return cls(**data, tickets=tickets)


class Reconciler:
    """Shares listings with every process that uses the same Redis. `client` waits for the rate limiter."""

    def __init__(
        self,
        ledger: Ledger,
        redis: Redis,
        client: SpacebringClient,
        *,
        prefix: str = PREFIX,
        max_pages: int = MAX_PAGES,
    ) -> None:
        self._ledger = ledger
        # redis-py types answers as bytes or str; `connect` makes clients that answer bytes.
        self._redis: Any = redis
        self._client = client
        self._prefix = prefix
        # One key for all locations: a step that finds Redis's clock set back forgets them all (`common.lua`).
        self._key = f"{prefix}listings"
        self._max_pages = max_pages
        # The grace is as long as a call may take.
        self._lock_for = _SLOT + _SPARE * ledger.timings.grace

    def look(self, event: Event, location: str, *, not_before: int, patience: float = 0) -> Look | None:
        """Look for an event's tickets in a list that was read at `not_before` (ms, Redis's clock) or later.

        None where another worker is reading the list and has not ended within `patience` seconds, or
        where Redis's clock was set back meanwhile: come again. Raises what `list_tickets` raises, and
        redis.RedisError.
        """
        lock = self._redis.lock(f"{self._prefix}listing-lock:{location}", timeout=self._lock_for)
        shared = self._shared(event, location, not_before)
        if shared is not None:
            return shared
        if not lock.acquire(blocking=patience > 0, blocking_timeout=patience or None):
            return None
        try:
            # Whoever held the lock may have read what this event needs.
            shared = self._shared(event, location, not_before)
            if shared is not None:
                return shared
            steps = self._ledger.clock_steps()
            listing = self._read(event, location, lock)
            if self._ledger.now() < listing.began or self._ledger.clock_steps() != steps:
                # Redis's clock was set back meanwhile: nobody can tell any more when this was read.
                return None
            self._redis.hset(self._key, location, listing.as_json())
            self._redis.expire(self._key, _KEPT)
            return listing.look(event)
        finally:
            with suppress(LockError):
                lock.release()

    def _shared(self, event: Event, location: str, not_before: int) -> Look | None:
        kept = self._redis.hget(self._key, location)
        listing = _Listing.of(kept) if kept is not None else None
        if listing is None or listing.began < not_before:
            return None
        # What a list hides it may show again: it is soon read anew.
        fresh = self._ledger.now() - listing.began < _HIDES_KEPT_MS
        if not (fresh if listing.hides else listing.covers(event)):
            return None
        return listing.look(event)

    def _read(self, event: Event, location: str, lock: Any) -> _Listing:  # noqa: ANN401 - of redis-py
        listing = _Listing(self._ledger.now())
        ours = self._ledger.newest_tickets(location)
        page: str | None = None
        for _ in range(self._max_pages):
            found = self._client.list_tickets(location, page=page)
            listing.add(found.tickets)
            if found.next_page in {None, page}:
                listing.whole = found.next_page is None
                break
            if listing.covers(event) and listing.shows(ours):
                break
            page = found.next_page
            lock.extend(self._lock_for, replace_ttl=True)
        listing.hides = not listing.shows(ours)
        return listing


def _digest(text: str) -> str:
    return hashlib.sha256(" ".join(text.split()).encode("utf-8", "replace")).hexdigest()[:16]
