"""Tells senders what became of their events, after that was recorded and beside all delivery.

The ledger owes a receipt once for each end of an event, in the step that writes the end, so no death of a
worker loses it. Whoever gives one has it for a while; if it dies meanwhile, it comes due again, and somebody
may be told twice. What a vendor may have taken is not sent again, nor what it refuses; only where it asks us
to come later (`Retry-After`), or where nothing was sent, is it tried again.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from config.logging import get_logger
from service.core import signing
from service.core.errors import BridgeError, VendorAway
from service.core.ledger import State
from service.core.ledger.receipts import Receipts
from service.core.memory import RedisMemory
from service.core.source import Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from redis import Redis

    from service.core.ledger import Event, Ledger
    from service.core.wiring import Door

_log = get_logger("receipts")
_WAIT = 1.0
_PAUSE = 5.0
# Longer than the few calls of a receipt take, each with its time-out.
_HELD = 60.0
# What could not be told within a day is no longer of use; in ms.
_LATEST = 24 * 3_600_000


class Teller:
    """Gives the receipts that are owed, one after another."""

    def __init__(
        self,
        ledger: Ledger,
        redis: Redis,
        doors: Mapping[str, Door],
        *,
        stopping: Callable[[], bool],
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._redis = redis
        self._doors = doors
        self._receipts = Receipts(redis)
        self._stopping = stopping
        self._sleep = sleep
        self._clock = clock
        # Until when a channel's vendor wants to hear nothing.
        self._paused: dict[str, float] = {}

    def start(self) -> threading.Thread | None:
        """Tell in a thread of its own, if any source gives receipts: nothing waits for a slow vendor."""
        if not any(door.source.receipts for door in self._doors.values()):
            return None
        thread = threading.Thread(target=self.run, name="receipts", daemon=True)
        thread.start()
        return thread

    def run(self) -> None:
        """Tell until `stopping`. Redis may go away meanwhile."""
        while not self._stopping():
            try:
                if not self.step():
                    self._sleep(_WAIT)
            except RedisError:
                self._sleep(_PAUSE)

    def step(self) -> bool:
        """Give one receipt that is due; says whether there was one."""
        owed = self._receipts.take(_HELD)
        if owed is None:
            return False
        again: float | None = None
        try:
            again = self._tell(*owed)
        except RedisError:
            # Nobody was told yet: it comes due again.
            raise
        except BridgeError as error:
            _log.warning("no receipt", event_id=owed[0], why=str(error))
        except Exception:  # noqa: BLE001 - whatever a receipt does, it does it once
            _log.warning("no receipt", event_id=owed[0], exc_info=True)
        self._receipts.done(*owed, again=again)
        return True

    def _tell(self, identity: str, state: str) -> float | None:
        """Give the seconds after which to try again; None where it is done with."""
        event = self._ledger.event(identity)
        door, request = self._doors.get(event.channel), self._ledger.request(event)
        # Replayed or discarded meanwhile: the end that it comes to then is told.
        if door is None or event.state.value != state:
            return None
        if request is None:
            _log.warning("no receipt", event_id=identity, why="its request is no longer kept")
            return None
        pause = self._paused.get(event.channel, 0.0) - self._clock()
        if pause > 0:
            return pause
        number = event.ticket_number if event.state is State.DELIVERED else None
        try:
            door.source.tell(
                signing.from_ledger(request),
                Receipt(event.marker, number),
                RedisMemory(self._redis, event.channel),
            )
        except VendorAway as error:
            if error.retry_after is None or self._is_late(event):
                raise
            self._paused[event.channel] = self._clock() + error.retry_after
            return error.retry_after
        _log.info("told", event_id=event.id, channel=event.channel, state=state)
        return None

    def _is_late(self, event: Event) -> bool:
        return self._ledger.now() - event.updated.timestamp() * 1000 > _LATEST
