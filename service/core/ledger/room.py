"""Room in the ledger: what is finished ages out, and gives way sooner where something new finds no room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from service.core.errors import StoreFull
from service.core.store import Headroom

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from service.core.blobs import Blobs
    from service.core.ledger.model import Keeping
    from service.core.ledger.scripts import Scripts

_DAY_MS = 24 * 3_600_000
# Long after any accept that is still on its way has ended.
_ORPHAN_AGE = 3600
# How many bodies at a time give way to a new one, and how often that is tried for it.
_GIVE_WAY = {"heavy": 4, "bodies": 200}
_ROUNDS = 20


class Room:
    """Bodies and summaries come and go here. Every call may raise redis.RedisError."""

    def __init__(
        self, redis: Redis, scripts: Scripts, blobs: Blobs, keeping: Keeping, *, prefix: str
    ) -> None:
        # redis-py types answers as bytes or str; `connect` makes clients that answer bytes.
        self._redis: Any = redis
        self._scripts = scripts
        self._blobs = blobs
        self._keeping = keeping
        self._prefix = prefix
        self.headroom = Headroom(redis)

    def check(self) -> None:
        """Return if Redis has room for something new; raises StoreFull if no finished body can give way."""
        self._make_room_for(self.headroom.check, "bodies")

    def put(self, request: str, body: bytes) -> None:
        """Keep a large body; raises StoreFull if no finished one can give way, or Unavailable."""
        self._make_room_for(lambda: self._blobs.put(request, body), "heavy")

    def purge(self, most: int) -> int:
        """Age out what is finished, so many at the most; gives how many bodies left the blob store."""
        _, gone = self._purge(most)
        unneeded = gone | self._orphans()
        self._delete(unneeded)
        return len(unneeded)

    def _make_room_for(self, step: Callable[[], None], crowded: Literal["heavy", "bodies"]) -> None:
        for _ in range(_ROUNDS):
            try:
                return step()
            except StoreFull:
                made, gone = self._purge(_GIVE_WAY[crowded], crowded)
                self._delete(gone)
                if not made:
                    raise
                self.headroom.forget()
        return step()

    def _purge(self, most: int, crowded: str = "") -> tuple[int, set[str]]:
        """Give how many bodies of the crowded set went to make room, and the blobs that nobody needs now."""
        bodies, summaries = self._keeping.bodies_days * _DAY_MS, self._keeping.summaries_days * _DAY_MS
        made, *gone = self._scripts.run("purge", bodies, summaries, most, crowded)
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
