"""Where raw bodies too large for the ledger are kept."""

from __future__ import annotations

import errno
import os
import shutil
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from service.core.errors import StoreFull, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from redis import Redis


class Blobs(Protocol):
    """A place for bodies, by the id of their request (letters and digits only)."""

    def put(self, key: str, data: bytes) -> None:
        """Keep the body; raises StoreFull where there is no room, or else Unavailable where it cannot."""
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

    def in_the_way(self, size: int, sparable: Sequence[str]) -> Sequence[str] | None:
        """Give which of these have to go, from the first on, so that a body of that size has room.

        None where it would have none without all of them.
        """
        ...


def _enough(missing: int, sizes: Iterable[tuple[str, int]]) -> list[str] | None:
    """Give the first keys whose sizes together are the bytes that are missing."""
    taken = []
    for key, size in sizes:
        if missing <= 0:
            break
        taken.append(key)
        missing -= size
    return taken if missing <= 0 else None


# One step, so that two processes cannot pass the cap together. Gives 0 where it is reached.
_PUT = """
local used = #ARGV[1]
for _, size in ipairs(redis.call('HVALS', KEYS[2])) do used = used + size end
if used > tonumber(ARGV[3]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[2], #ARGV[1])
redis.call('ZADD', KEYS[3], redis.call('TIME')[1], ARGV[2])
return 1
"""


class RedisBlobs:
    """Bodies in Redis, up to `cap` bytes in all. Every call may raise redis.RedisError."""

    def __init__(self, redis: Redis, *, prefix: str, cap: int) -> None:
        # redis-py types answers as bytes or str; `connect` makes clients that answer bytes.
        self._redis: Any = redis
        self._prefix = prefix
        self._cap = cap
        self._put = self._redis.register_script(_PUT)

    def _sizes(self) -> str:
        return f"{self._prefix}blobs:size"

    def _times(self) -> str:
        return f"{self._prefix}blobs:time"

    def _key(self, key: str) -> str:
        return f"{self._prefix}blob:{key}"

    def put(self, key: str, data: bytes) -> None:
        """Keep the body; raises StoreFull where the cap is reached."""
        if not self._put(keys=[self._key(key), self._sizes(), self._times()], args=[data, key, self._cap]):
            raise StoreFull(
                "The store for large bodies has no room for this one: raise ledger.blob_cap, or replay or "
                "discard dead letters",
                60,
            )

    def get(self, key: str) -> bytes | None:
        """Give the body, or None where it is not there."""
        value: bytes | None = self._redis.get(self._key(key))
        return value

    def delete(self, key: str) -> None:
        """Forget the body; after half of it, `older_than` still names the key."""
        # No transaction: a full server takes none, and this is what makes room.
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.delete(self._key(key))
            pipeline.hdel(self._sizes(), key)
            pipeline.zrem(self._times(), key)
            pipeline.execute()

    def older_than(self, seconds: float) -> list[str]:
        """Give the keys of bodies kept for longer than that, by Redis's clock."""
        now: int = self._redis.time()[0]
        return [key.decode() for key in self._redis.zrangebyscore(self._times(), "-inf", now - seconds)]

    def in_the_way(self, size: int, sparable: Sequence[str]) -> list[str] | None:
        """Give which of these have to go for a body of that size, by the cap."""
        sizes = {key.decode(): int(value) for key, value in self._redis.hgetall(self._sizes()).items()}
        missing = sum(sizes.values()) + size - self._cap
        return _enough(missing, ((key, sizes.get(key, 0)) for key in sparable))


class DirectoryBlobs:
    """Bodies as files of one directory, on disk before `put` returns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, data: bytes) -> None:
        """Write and sync the file, then its name; raises StoreFull or Unavailable, as the disk says."""
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
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise (StoreFull if full else Unavailable)(
                f"The directory for large bodies takes none: {error.strerror}", 60
            ) from error

    def get(self, key: str) -> bytes | None:
        """Give the body, or None where it is not there; raises Unavailable where the disk cannot be read."""
        try:
            return (self._folder / key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(
                f"The directory for large bodies cannot be read: {error.strerror}", 60
            ) from error

    def delete(self, key: str) -> None:
        """Remove the file, finished or not. Where the disk refuses, the next purge finds it again."""
        with suppress(OSError):
            (self._folder / f".{key}").unlink(missing_ok=True)
            (self._folder / key).unlink(missing_ok=True)

    def older_than(self, seconds: float) -> list[str]:
        """Give the keys of files, finished or not, older than that."""
        limit = time.time() - seconds
        found = []
        # Another process may delete a file, or not have made the directory yet, as we look.
        with suppress(OSError):
            for file in self._folder.iterdir():
                with suppress(OSError):
                    if file.stat().st_mtime < limit:
                        found.append(file.name.lstrip("."))
        return found

    def in_the_way(self, size: int, sparable: Sequence[str]) -> list[str] | None:
        """Give which of these have to go for a body of that size, by what the disk has free."""
        with suppress(OSError):
            missing = size - shutil.disk_usage(self._folder).free
            return _enough(missing, ((key, self._size(key)) for key in sparable))
        return None

    def _size(self, key: str) -> int:
        with suppress(OSError):
            return (self._folder / key).stat().st_size
        return 0
