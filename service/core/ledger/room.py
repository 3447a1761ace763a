"""Room in the ledger: what is finished ages out, and gives way sooner where something new finds no room."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any

from service.core.errors import StoreFull
from service.core.store import Headroom

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from redis import Redis

    from service.core.blobs import Blobs
    from service.core.ledger.model import Keeping
    from service.core.ledger.scripts import Scripts

_DAY_MS = 24 * 3_600_000
# Long after any accept that is still on its way has ended.
_ORPHAN_AGE = 3600
# How many bodies at a time give way to something new, and how often that is tried for it.
_AT_A_TIME = 200
_ROUNDS = 20
# For so many seconds after that was of no use nothing gives way.
_SPARED = 60.0


class Room:
    """Bodies and summaries come and go here. Every call may raise redis.RedisError."""

    def __init__(
        self,
        redis: Redis,
        scripts: Scripts,
        blobs: Blobs,
        keeping: Keeping,
        *,
        prefix: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # redis-py types answers as bytes or str; `connect` makes clients that answer bytes.
        self._redis: Any = redis
        self._scripts = scripts
        self._blobs = blobs
        self._keeping = keeping
        self._prefix = prefix
        self.headroom = Headroom(redis)
        self._clock = clock
        self._spared_until = 0.0

    def check(self) -> None:
        """Return if Redis has room for something new; raises StoreFull if finished bodies do not make it."""
        before: float = math.inf
        left = _ROUNDS
        while self._is_crowded():
            excess = self.headroom.excess
            if excess > (before - excess) * left:
                # Something else fills the server: no more goes for nothing.
                self._spared_until = self._clock() + _SPARED
            before, left = excess, left - 1
            oldest = self._redis.zrange(f"{self._prefix}bodies", 0, _AT_A_TIME - 1)
            if self._clock() < self._spared_until or not self._let_go(oldest):
                self.headroom.check()
            self.headroom.forget()

    def put(self, request: str, body: bytes) -> None:
        """Keep a large body; raises StoreFull if finished ones do not make room for it, or Unavailable."""
        for _ in range(_ROUNDS):
            try:
                return self._blobs.put(request, body)
            except StoreFull:
                finished = self._finished()
                gone = self._blobs.in_the_way(len(body), list(finished))
                if gone is None:
                    raise
                self._let_go([event for each in gone for event in finished[each]])
        return self._blobs.put(request, body)

    def purge(self, most: int) -> int:
        """Age out what is finished, so many at the most; gives how many bodies left the blob store."""
        _, gone = self._purge(most)
        unneeded = gone | self._orphans()
        self._delete(unneeded)
        return len(unneeded)

    def _is_crowded(self) -> bool:
        try:
            self.headroom.check()
        except StoreFull:
            return True
        return False

    def _finished(self) -> Mapping[str, Sequence[bytes]]:
        """Give the requests in the blob store whose every event is finished, the oldest first, with these."""
        events = self._redis.zrange(f"{self._prefix}heavy", 0, -1)
        of: dict[str, list[bytes]] = {}
        for event, request in zip(events, self._each("event", events, "request"), strict=True):
            of.setdefault((request or b"").decode(), []).append(event)
        counts = self._each("request", of, "refs")
        return {
            request: of[request]
            for request, refs in zip(of, counts, strict=True)
            if int(refs or 0) == len(of[request])
        }

    def _each(self, kind: str, ids: Iterable[str | bytes], field: str) -> list[bytes | None]:
        with self._redis.pipeline(transaction=False) as pipeline:
            for one in ids:
                name = one.decode() if isinstance(one, bytes) else one
                pipeline.hget(f"{self._prefix}{kind}:{name}", field)
            found: list[bytes | None] = pipeline.execute()
        return found

    def _let_go(self, events: Sequence[bytes]) -> int:
        """Drop the bodies of these events, if they are finished; gives how many went."""
        made, gone = self._purge(_AT_A_TIME, [event.decode() for event in events])
        self._delete(gone)
        return made

    def _purge(self, most: int, now: Sequence[str] = ()) -> tuple[int, set[str]]:
        """Give how many bodies of `now` went to make room, and the blobs that nobody needs any more."""
        bodies, summaries = self._keeping.bodies_days * _DAY_MS, self._keeping.summaries_days * _DAY_MS
        made, *gone = self._scripts.run("purge", bodies, summaries, most, json.dumps(now))
        return made, {request.decode() for request in gone}

    def _delete(self, requests: set[str]) -> None:
        for request in requests:
            self._blobs.delete(request)

    def _orphans(self) -> set[str]:
        """Give the bodies whose accept never went through: nobody was told that they are safe."""
        keys = list(self._blobs.older_than(_ORPHAN_AGE))
        with self._redis.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.exists(f"{self._prefix}request:{key}")
            return {key for key, there in zip(keys, pipeline.execute(), strict=True) if not there}
