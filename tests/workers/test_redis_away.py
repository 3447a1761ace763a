"""Web, dispatcher and worker while Redis is away: none ends, none hangs, and all go on when it is back."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.app import create_app
from sandbox.options import SandboxOptions
from sandbox.server import running
from service.core.store import connect
from tests.cli.conftest import LOCATION
from tests.conftest import LASTING, Valkey, free_port
from tests.ledger.test_connect import start, watch
from tests.workers.processes import Bridge

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="vk"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def store(folder: Path) -> Valkey:
    return Valkey(folder, LASTING)


@pytest.fixture
def sandbox() -> Iterator[str]:
    with running(create_app(SandboxOptions(locations={LOCATION: "downtown"}))) as base:
        yield base


@pytest.mark.slow
def test_redis_may_be_away_at_the_start_and_later(store: Valkey, sandbox: str) -> None:
    with Bridge(sandbox, REDIS_URL=store.url) as bridge:
        at_first = bridge.post("too early").status_code
        for process in (bridge.dispatcher, bridge.worker):
            process.read_until("Redis is away")
        store.start()
        early = bridge.post("first", patiently=True)
        bridge.worker.read_until('"state": "delivered"')
        store.stop()
        for process in (bridge.dispatcher, bridge.worker):
            process.forget()
        bridge.dispatcher.read_until('"again_in": 2')
        # As RQ says it while it waits for a job, or as we do where Redis went in the midst of one.
        bridge.worker.read_until("could not connect to Redis", "Redis is away")
        meanwhile = bridge.post("lost for now").status_code
        store.start()
        later = bridge.post("second", patiently=True)
        bridge.worker.read_until('"state": "delivered"')
        tickets = bridge.tickets()
    store.stop()

    assert (at_first, early.status_code, meanwhile, later.status_code) == (503, 200, 503, 200)
    assert sorted(tickets) == ["first", "second"]
    assert bridge.codes == [0, 0, 0]


@pytest.mark.slow
def test_a_failover_is_followed_by_web_dispatcher_and_worker(folder: Path, sandbox: str) -> None:
    ports = [free_port(), free_port()]
    options = {**LASTING, "repl-diskless-sync-delay": "0"}
    primary = start(folder, "one", port=str(ports[0]), **options)
    replica = start(folder, "two", port=str(ports[1]), replicaof=f"127.0.0.1 {ports[0]}", **options)
    with connect(primary.url) as direct:
        wait: Any = direct
        direct.set("kept", "1")
        assert wait.execute_command("WAIT", 1, 0) == 1
    client, sentinel = watch(folder, ports[0])
    sentinels: Any = client
    told = sentinels.pubsub()
    told.psubscribe("*")
    while not sentinels.sentinel_slaves("main"):
        told.get_message(timeout=1)
    asked = sentinels.connection_pool.connection_kwargs["port"]

    with Bridge(sandbox, REDIS_URL=f"redis+sentinel://127.0.0.1:{asked}/main") as bridge:
        before = bridge.post("before", patiently=True)
        bridge.worker.read_until('"state": "delivered"')
        primary.stop()
        after = bridge.post("after", patiently=True)
        bridge.worker.read_until('"state": "delivered"')
        tickets = bridge.tickets()
    told.close()
    client.close()
    sentinel.kill()
    sentinel.wait()
    replica.stop()

    assert (before.status_code, after.status_code) == (200, 200)
    assert sorted(tickets) == ["after", "before"]
    assert bridge.codes == [0, 0, 0]
