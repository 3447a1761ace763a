"""Web, dispatcher and worker while Redis is away: none ends, none hangs, and all go on when it is back."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.app import create_app
from sandbox.options import SandboxOptions
from sandbox.server import running
from tests.cli.conftest import LOCATION
from tests.conftest import LASTING, Valkey
from tests.ledger.sentinel import failing_over
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
    with (
        failing_over(folder, **LASTING) as (primary, _, address),
        Bridge(sandbox, REDIS_URL=address.url) as bridge,
    ):
        before = bridge.post("before", patiently=True)
        bridge.worker.read_until('"state": "delivered"')
        primary.stop()
        after = bridge.post("after", patiently=True)
        bridge.worker.read_until('"state": "delivered"')
        tickets = bridge.tickets()

    assert (before.status_code, after.status_code) == (200, 200)
    assert sorted(tickets) == ["after", "before"]
    assert bridge.codes == [0, 0, 0]
