"""Turns due events into RQ jobs; keeps the dead-letter mirror and retention going beside it."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from rq import Queue

from config.logging import get_logger
from service.core.queue import SERIALIZER, SWEEPS, TICKETS, workers_alive
from workers.mirror import Mirror

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis

    from service.core.ledger import HandedOut, Ledger

_log = get_logger("dispatcher")
JOB = "workers.delivery.deliver"
SWEEP = "workers.sweep.sweep"
_BATCH = 100
_WAIT = 1.0
_CHORES_EVERY = 60.0
_SWEEPS_AHEAD = 20
# Handed-out events for each worker: one it works on, one to go on with.
_PER_WORKER = 2


class Dispatcher:
    """Several may run: `take` hands each event to one of them, under one global cap."""

    def __init__(
        self,
        ledger: Ledger,
        redis: Redis,
        *,
        stopping: Callable[[], bool],
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._redis = redis
        self._stopping = stopping
        self._sleep = sleep
        self._clock = clock
        self._queue = Queue(TICKETS, connection=redis, serializer=SERIALIZER)
        self._sweeps = Queue(SWEEPS, connection=redis, serializer=SERIALIZER)
        self._mirror = Mirror(ledger, redis, clock=clock)
        self._chores_due = clock()

    def run(self) -> None:
        """Dispatch until `stopping`. Redis may go away meanwhile."""
        pause = 0.5
        while not self._stopping():
            try:
                if not self.step():
                    self._ledger.wait(_WAIT)
                pause = 0.5
            except RedisError as error:
                _log.warning("Redis is away or refuses", error=type(error).__name__, again_in=pause)
                self._sleep(pause)
                pause = min(pause * 2, 5)

    def step(self) -> int:
        """Hand out what is due, and do the chores when it is their time; gives how many were handed out."""
        cap = max(1, workers_alive(self._redis)) * _PER_WORKER
        handed = self._ledger.take(min(_BATCH, cap), cap=cap)
        if handed:
            self._enqueue(handed)
        elif self._ledger.resuming():
            # The worker that was told to died.
            self._ledger.resume()
        self._sweep()
        self._mirror.refresh()
        if self._clock() >= self._chores_due:
            self._chores_due = self._clock() + _CHORES_EVERY
            self._ledger.purge()
        return len(handed)

    def _sweep(self) -> None:
        """Have looked for second tickets; a lost job does no harm, each event is watched several times."""
        if self._sweeps.count >= _SWEEPS_AHEAD:
            return
        for event in self._ledger.watched(_SWEEPS_AHEAD):
            self._sweeps.enqueue(
                SWEEP,
                args=[event],
                job_id=f"sweep-{event}-{secrets.token_hex(4)}",
                job_timeout=max(1, int(self._ledger.timings.hard) - 10),
                ttl=600,
                result_ttl=0,
                failure_ttl=3600,
            )

    def _enqueue(self, handed: Sequence[HandedOut]) -> None:
        timings = self._ledger.timings
        self._queue.enqueue_many(
            [
                Queue.prepare_data(
                    JOB,
                    args=[one.event],
                    job_id=one.job,
                    # The worker's own limit comes first; its parent's, at `hard`, is the last resort.
                    timeout=max(1, int(timings.hard) - 10),
                    # After the handover the event is handed out anew, under another id.
                    ttl=int(timings.handover) + 1,
                    result_ttl=0,
                    failure_ttl=3600,
                    # What was handed out before it may hold the workers for a while.
                    at_front=one.lane == "person",
                )
                for one in handed
            ]
        )
