"""A server with another history is noticed before it is asked for anything."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from service.core.blobs import RedisBlobs
from service.core.ledger import Ledger
from service.core.store import PREFIX, connect
from tests.conftest import Valkey
from tests.ledger.conftest import SERVERS
from tests.ledger.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis


@pytest.fixture(params=SERVERS)
def mortal(request: pytest.FixtureRequest) -> Iterator[Valkey]:
    """Give a server that keeps what it is told, and may be killed."""
    folder = Path(tempfile.mkdtemp(prefix="vk"))
    server = Valkey(folder, {"appendonly": "yes", "appendfsync": "always"}, binary=request.param)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


def steps_on(redis: Redis) -> Steps:
    return Steps(Ledger(redis, RedisBlobs(redis, prefix=PREFIX, cap=1 << 20)), redis)


def number(redis: Redis) -> int:
    value: Any = redis.hget(f"{PREFIX}epoch", "number")
    return int(value or 0)


def test_a_restart_makes_what_came_before_uncertain(mortal: Valkey) -> None:
    redis = connect(mortal.url)
    steps = steps_on(redis)
    old = steps.accept()
    before = number(redis)
    mortal.stop()
    mortal.start()

    # No word of a restart but the broken connection.
    fresh = steps.accept()

    assert number(redis) == before + 1
    steps.take(10)
    claims = {event: steps.ledger.claim(event, "w") for event in (old, fresh)}
    assert {event: claim and claim.uncertain for event, claim in claims.items()} == {old: True, fresh: False}


def test_a_server_that_came_back_empty_has_nothing_to_be_uncertain_about(mortal: Valkey) -> None:
    redis = connect(mortal.url)
    steps_on(redis).accept()
    mortal.stop()
    shutil.rmtree(mortal.folder / "appendonlydir")
    mortal.start()

    steps = steps_on(redis)

    assert not steps.claim(steps.accept()).uncertain


def test_a_new_connection_to_the_same_server_changes_nothing(mortal: Valkey) -> None:
    redis = connect(mortal.url)
    steps = steps_on(redis)
    event = steps.accept()
    before = number(redis)

    for _ in range(3):
        connect(mortal.url).ping()

    assert number(redis) == before
    assert not steps.claim(event).uncertain


def test_keys_that_were_deleted_under_a_standing_connection_make_nothing_uncertain(
    any_redis: Redis, any_steps: Steps
) -> None:
    event = any_steps.accept()

    connect(f"unix://{any_redis.connection_pool.connection_kwargs['path']}").ping()

    assert not any_steps.claim(event).uncertain


def test_a_full_server_can_still_be_told_apart(mortal: Valkey) -> None:
    redis = connect(mortal.url)
    steps_on(redis).accept()
    before = number(redis)
    mortal.stop()
    mortal.start()
    plain: Any = connect(mortal.url)
    plain.config_set("maxmemory", "1")
    assert number(plain) == before + 1
    # As if it had changed again, just now.
    plain.config_set("maxmemory", "0")
    plain.hset(f"{PREFIX}epoch", "run_id", "another")
    plain.config_set("maxmemory", "1")

    assert number(connect(mortal.url)) == before + 2


def test_a_server_that_takes_no_writes_can_still_be_read(mortal: Valkey) -> None:
    connect(mortal.url).config_set("min-replicas-to-write", "1")

    assert connect(mortal.url).ping()


def test_two_processes_at_once_count_one_change(mortal: Valkey) -> None:
    redis = connect(mortal.url)
    redis.ping()
    before = number(redis)
    mortal.stop()
    mortal.start()
    program = f"from service.core.store import connect; connect({mortal.url!r}).ping()"

    processes = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [process.wait(30) for process in processes] == [0, 0]

    assert number(connect(mortal.url)) == before + 1
