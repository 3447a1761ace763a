"""Counts what was turned away at the door: a key rotated on one side only would else be noticed by nobody."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from service.core.store import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from redis import Redis

    from service.core.ledger import Ledger

FULL = "full"
_COUNTS = f"{PREFIX}refused"
_LAST = f"{PREFIX}refused:last"
_DAY = timedelta(days=1)
_WHY = {
    "signature": "its signature does not hold: was the key rotated at the vendor, and not in bridge.toml?",
    "stale": "its time is too far off: is this machine's clock right?",
    "token": "its token is missing or wrong: does the URL at the vendor have the token of bridge.toml?",
    "basic": "user name or password is missing or wrong: does the vendor have those of bridge.toml?",
    "topic": "it is no message of a topic in the channel's `topics`: is a new topic missing there?",
    FULL: "there is no room for it: raise ledger.blob_cap or Redis's maxmemory, or see to the dead letters.",
}


@dataclass(frozen=True)
class TurnedAway:
    """A channel that turned a request away and has taken none since; `count` is for this reason, ever."""

    channel: str
    reason: str
    count: int
    last: datetime

    @property
    def why(self) -> str:
        """What is wrong, and what to look at."""
        return (
            f"Channel {self.channel} turned away a request at {self.last:%H:%M} UTC and has taken none "
            f"since: {_WHY.get(self.reason, self.reason)} For this reason it turned away {self.count} so far."
        )


class Refusals:
    """The counts, in Redis. Every call may raise redis.RedisError."""

    def __init__(self, redis: Redis, *, clock: Callable[[], float] = time.time) -> None:
        # redis-py types answers as bytes or str; `connect` makes clients that answer bytes.
        self._redis: Any = redis
        self._clock = clock

    def note(self, channel: str, reason: str) -> None:
        """Count a request that a channel turned away; `reason` is that of `Unauthorized`, or FULL."""
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.hincrby(_COUNTS, f"{channel}:{reason}", 1)
            pipeline.hset(_LAST, channel, f"{int(self._clock() * 1000)} {reason}")
            pipeline.execute()

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Give how many were turned away, by channel and reason."""
        found = {}
        for field, count in self._redis.hgetall(_COUNTS).items():
            channel, _, reason = field.decode().rpartition(":")
            found[channel, reason] = int(count)
        return found

    def unanswered(self, ledger: Ledger) -> Sequence[TurnedAway]:
        """Give the channels that turned one away within a day and have taken none since, the last first."""
        counts = self.counts()
        now = datetime.fromtimestamp(self._clock(), UTC)
        found = []
        for field, value in self._redis.hgetall(_LAST).items():
            channel, (at, reason) = field.decode(), value.decode().split(" ", 1)
            last = datetime.fromtimestamp(int(at) / 1000, UTC)
            newest = ledger.events(channel=channel, limit=1).events
            if now - last < _DAY and not (newest and newest[0].received >= last):
                found.append(TurnedAway(channel, reason, counts.get((channel, reason), 1), last))
        return sorted(found, key=lambda each: each.last, reverse=True)
