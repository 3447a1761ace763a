"""What sources remember of their vendors' APIs, in Redis, for as long as they said."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from service.core.store import PREFIX

if TYPE_CHECKING:
    from redis import Redis


class Forgetful:
    """A `Memory` that remembers nothing, for looking at one event alone."""

    def get(self, key: str) -> str | None:
        """Give None."""
        del key
        return None

    def put(self, key: str, value: str, seconds: int) -> None:
        """Forget it at once."""
        del key, value, seconds


class RedisMemory:
    """A `Memory` of one channel. Keys are hashed; without Redis nothing is remembered."""

    def __init__(self, redis: Redis, channel: str) -> None:
        # redis-py types answers as bytes or str.
        self._redis: Any = redis
        self._channel = channel

    def get(self, key: str) -> str | None:
        """Give what was put under the key, or None."""
        with suppress(RedisError):
            kept: bytes | None = self._redis.get(self._key(key))
            return None if kept is None else kept.decode()
        return None

    def put(self, key: str, value: str, seconds: int) -> None:
        """Remember a value for so many seconds."""
        with suppress(RedisError):
            self._redis.set(self._key(key), value, ex=seconds)

    def _key(self, key: str) -> str:
        digest = hashlib.sha256(f"{self._channel}\n{key}".encode("utf-8", "replace")).hexdigest()
        return f"{PREFIX}vendor:{digest}"
