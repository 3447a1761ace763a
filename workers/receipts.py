"""Tells senders what became of their events, after that was recorded and beside all delivery.

A receipt is owed once for each end of an event. It is taken before it is given: what is lost on the way is
lost, and nobody is told twice. Only a vendor that asks us to come later (`Retry-After`) is asked again.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from config.logging import get_logger
from service.core import signing
from service.core.errors import BridgeError, VendorAway
from service.core.ledger import State
from service.core.memory import RedisMemory
from service.core.source import Receipt
from service.core.store import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from redis import Redis

    from service.core.ledger import Event, Ledger, Outcome
    from service.core.wiring import Door

_log = get_logger("receipts")
_OWED = f"{PREFIX}receipts"
_DAY = 24 * 3600
_WAIT = 1.0
_PAUSE = 5.0
# What could not be told within this time is no longer of use.
_LATEST = 1800.0


class Receipts:
    """The receipts that are owed: a sorted set by the time at which each is due."""

    def __init__(
        self, redis: Redis, doors: Mapping[str, Door], *, clock: Callable[[], float] = time.time
    ) -> None:
        # redis-py types answers as bytes or str; `connect` makes clients that answer bytes.
        self._redis: Any = redis
        self._doors = doors
        self._clock = clock

    def owe(self, event: Event, outcome: Outcome) -> None:
        """Owe a receipt for an event that has come to its end, where its source gives any. Never raises."""
        door = self._doors.get(event.channel)
        if door is None or not door.source.receipts or outcome.state not in {State.DELIVERED, State.DEAD}:
            return
        owed = f"{event.id} {outcome.state.value}"
        try:
            if self._redis.set(f"{PREFIX}receipt:{owed}", 1, nx=True, ex=_DAY):
                self.put(owed, self._clock())
        except RedisError as error:
            _log.warning("no receipt is owed", event_id=event.id, error=type(error).__name__)

    def put(self, owed: str, due: float) -> None:
        """Put a receipt in for a time."""
        self._redis.zadd(_OWED, {owed: due})

    def take(self) -> tuple[str, str] | None:
        """Take a receipt that is due, as event and state; nobody else gets it."""
        for owed in self._redis.zrangebyscore(_OWED, "-inf", self._clock(), start=0, num=1):
            if self._redis.zrem(_OWED, owed):
                event, _, state = owed.decode().partition(" ")
                return event, state
        return None


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
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._redis = redis
        self._doors = doors
        self._receipts = Receipts(redis, doors, clock=clock)
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
            except Exception:  # noqa: BLE001 - whatever a receipt does, the next one is due
                _log.warning("no receipt", exc_info=True)

    def step(self) -> bool:
        """Give one receipt that is due; says whether there was one."""
        taken = self._receipts.take()
        if taken is None:
            return False
        event, state = taken
        try:
            self._tell(self._ledger.event(event), state)
        except BridgeError as error:
            _log.warning("no receipt", event_id=event, why=str(error))
        return True

    def _tell(self, event: Event, state: str) -> None:
        door, now = self._doors.get(event.channel), self._clock()
        request = self._ledger.request(event)
        # Replayed or discarded meanwhile: the end that it comes to then is told.
        if door is None or request is None or event.state.value != state:
            return
        until = self._paused.get(event.channel, 0.0)
        if until > now:
            self._receipts.put(f"{event.id} {state}", until)
            return
        number = event.ticket_number if event.state is State.DELIVERED else None
        try:
            door.source.tell(
                signing.from_ledger(request),
                Receipt(event.marker, number),
                RedisMemory(self._redis, event.channel),
            )
        except VendorAway as error:
            if error.retry_after is None or now - event.updated.timestamp() > _LATEST:
                raise
            self._paused[event.channel] = now + error.retry_after
            self._receipts.put(f"{event.id} {state}", now + error.retry_after)
        else:
            _log.info("told", event_id=event.id, channel=event.channel, state=state)
