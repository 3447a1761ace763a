"""Where raw bodies too large for the ledger are kept."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Protocol

from service.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from redis import Redis


class Blobs(Protocol):
    """A place for bodies, by the id of their request (letters and digits only)."""

    def put(self, key: str, data: bytes) -> None:
        """Keep the body; raises Unavailable where it cannot."""
        ...

    def get(self, key: str) -> bytes | None:
        """Give the body, or None where it is not there."""
        ...

    def delete(self, key: str) -> None:
        """Forget the body; nothing happens where it is not there."""
        ...

    def older_than(self, seconds: float) -> Iterable[str]:
        """Give the keys of bodies kept for longer than that."""
        ...


class RedisBlobs:
    """Bodies in Redis, up to `cap` bytes in all."""

    def __init__(self, redis: Redis, *, prefix: str, cap: int) -> None:
        # redis-py types answers as bytes or str; `connect` makes clients that answer bytes.
        self._redis: Any = redis
        self._prefix = prefix
        self._cap = cap

    def _sizes(self) -> str:
        return f"{self._prefix}blobs:size"

    def _times(self) -> str:
        return f"{self._prefix}blobs:time"

    def _key(self, key: str) -> str:
        return f"{self._prefix}blob:{key}"

    def put(self, key: str, data: bytes) -> None:
        """Keep the body; raises Unavailable where the cap is reached."""
        used = sum(int(size) for size in self._redis.hvals(self._sizes()))
        if used + len(data) > self._cap:
            raise Unavailable("The store for large bodies is full: raise ledger.blob_cap or purge", 60)
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.set(self._key(key), data)
            pipeline.hset(self._sizes(), key, len(data))
            pipeline.zadd(self._times(), {key: time.time()})
            pipeline.execute()

    def get(self, key: str) -> bytes | None:
        """Give the body, or None where it is not there."""
        value: bytes | None = self._redis.get(self._key(key))
        return value

    def delete(self, key: str) -> None:
        """Forget the body."""
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.delete(self._key(key))
            pipeline.hdel(self._sizes(), key)
            pipeline.zrem(self._times(), key)
            pipeline.execute()

    def older_than(self, seconds: float) -> list[str]:
        """Give the keys of bodies kept for longer than that."""
        keys = self._redis.zrangebyscore(self._times(), "-inf", time.time() - seconds)
        return [key.decode() for key in keys]


class DirectoryBlobs:
    """Bodies as files of one directory, on disk before `put` returns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, data: bytes) -> None:
        """Write and sync the file, then its name; raises Unavailable where the disk does not take it."""
        partial = self._folder / f".{key}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._folder / key)
            descriptor = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise Unavailable(f"The directory for large bodies takes none: {error.strerror}", 60) from error

    def get(self, key: str) -> bytes | None:
        """Give the body, or None where it is not there."""
        try:
            return (self._folder / key).read_bytes()
        except FileNotFoundError:
            return None

    def delete(self, key: str) -> None:
        """Remove the file."""
        (self._folder / key).unlink(missing_ok=True)

    def older_than(self, seconds: float) -> list[str]:
        """Give the keys of files, finished or not, older than that."""
        limit = time.time() - seconds
        if not self._folder.is_dir():
            return []
        return [file.name.lstrip(".") for file in self._folder.iterdir() if file.stat().st_mtime < limit]
