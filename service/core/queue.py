"""The RQ queues as anyone may look at them: their names, how much waits, who works.

Only workers put jobs in. Reading goes through RQ's keys themselves, so that a process which only
looks need not load RQ: https://python-rq.org/docs/workers/
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis

TICKETS = "tickets"
# Looked into only where no delivery waits.
SWEEPS = "sweeps"
DEAD_LETTER = "dead-letter"
QUEUES = (TICKETS, DEAD_LETTER)
# RQ's default is pickle: whoever can write to Redis could run code in our workers.
SERIALIZER = "json"
# An idle worker says every few seconds that it lives; one at work not until its job ends.
ALIVE = timedelta(seconds=90)


def depths(redis: Redis) -> Mapping[str, int]:
    """Give how many jobs wait in each queue; raises redis.RedisError."""
    with redis.pipeline(transaction=False) as pipeline:
        for name in QUEUES:
            pipeline.llen(f"rq:queue:{name}")
        return dict(zip(QUEUES, pipeline.execute(), strict=True))


def workers_alive(redis: Redis, *, now: datetime | None = None) -> int:
    """Count the workers of `tickets` heard from within `ALIVE`; raises redis.RedisError."""
    # redis-py types answers as bytes or str; `connect` makes clients that answer bytes.
    names: Any = redis.smembers(f"rq:workers:{TICKETS}")
    with redis.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.hmget(name, ["last_heartbeat", "death"])
        answers = pipeline.execute()
    limit = (now or datetime.now(UTC)) - ALIVE
    return sum(1 for heard, death in answers if heard and not death and _time(heard) > limit)


def _time(written: bytes) -> datetime:
    try:
        time = datetime.fromisoformat(written.decode("ascii"))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
