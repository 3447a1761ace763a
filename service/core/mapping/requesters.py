"""Remembers in Redis which user an e-mail address belongs to: a lookup costs one of ten requests a second."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from service.core.store import PREFIX

if TYPE_CHECKING:
    from redis import Redis

    from service.core.mapping.mapper import FindRequester

DAY = 24 * 3600
TEN_MINUTES = 600


class RequesterCache:
    """A `FindRequester` in front of another. Finds are kept for `ttl` seconds, misses for `miss_ttl`.

    A miss is short, so that a member who is invited after a first request is soon known. Keys hold
    a hash of location and address, never the address. `redis` answers bytes, as `store.connect` makes it.
    """

    def __init__(
        self,
        redis: Redis,
        find: FindRequester,
        *,
        ttl: int = DAY,
        miss_ttl: int = TEN_MINUTES,
        prefix: str = PREFIX,
    ) -> None:
        # redis-py types answers as bytes or str.
        self._redis: Any = redis
        self._find = find
        self._ttl = ttl
        self._miss_ttl = miss_ttl
        self._prefix = prefix

    def __call__(self, location: str, email: str) -> str | None:
        """Give the user's uuid, or None; without Redis it asks each time. Raises what `find` raises."""
        digest = hashlib.sha256(f"{location}\n{email}".encode()).hexdigest()
        key = f"{self._prefix}requester:{digest}"
        try:
            kept: bytes | None = self._redis.get(key)
        except RedisError:
            return self._find(location, email)
        if kept is not None:
            return kept.decode() or None
        found = self._find(location, email)
        with suppress(RedisError):
            self._redis.set(key, found or "", ex=self._ttl if found else self._miss_ttl)
        return found
