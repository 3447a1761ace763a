"""The RQ queue `dead-letter`: a capped mirror of the ledger's dead letters, for any RQ tool to show.

Nothing consumes it and nothing is decided by it; it is rebuilt from the ledger whenever they differ.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rq import Queue
from rq.job import Job

from service.core.ledger import State
from service.core.queue import DEAD_LETTER, SERIALIZER

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis
    from rq.queue import EnqueueData

    from service.core.ledger import Event, Ledger

CAP = 200
_PREFIX = "dead-"
_EVERY = 30.0


class Mirror:
    """Keeps the newest dead letters in the queue, one job each."""

    def __init__(self, ledger: Ledger, redis: Redis, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._redis = redis
        self._clock = clock
        self._queue = Queue(DEAD_LETTER, connection=redis, serializer=SERIALIZER)
        self._seen = -1
        self._due = clock()

    def refresh(self) -> None:
        """Make the queue show the dead letters, if they changed or it has been a while."""
        version = self._ledger.dead_version()
        if version == self._seen and self._clock() < self._due:
            return
        dead = {
            f"{_PREFIX}{event.id}": event
            for event in self._ledger.events(states=[State.DEAD], limit=CAP).events
        }
        shown = set(self._queue.get_job_ids())
        for job in shown - dead.keys():
            self._queue.remove(job)
            self._redis.delete(Job.key_for(job))
        missing = [job for job in dead if job not in shown]
        if missing:
            self._queue.enqueue_many([self._data(job, dead[job]) for job in reversed(missing)])
        self._seen, self._due = version, self._clock() + _EVERY

    def _data(self, job: str, event: Event) -> EnqueueData:
        return Queue.prepare_data(
            "workers.delivery.deliver",
            args=[event.id],
            job_id=job,
            description=f"{event.channel}: {event.reason}"[:200],
        )
