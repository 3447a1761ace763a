"""A server with another history is noticed before anything is claimed on it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from service.core.store import connect
from tests.conftest import LASTING, Valkey, ledger_on, serving
from tests.ledger.conftest import SERVERS
from tests.ledger.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis


@pytest.fixture(params=SERVERS)
def mortal(request: pytest.FixtureRequest) -> Iterator[Valkey]:
    """Give a server that keeps what it is told, and may be killed."""
    with serving(LASTING, binary=request.param) as server:
        yield server


def steps_on(redis: Redis) -> Steps:
    return Steps(ledger_on(redis), redis)


def test_a_restart_makes_what_came_before_uncertain(mortal: Valkey) -> None:
    redis = connect(mortal.url)
    steps = steps_on(redis)
    old, waiting = steps.accept(), steps.accept()
    steps.take(1)
    mortal.stop()
    mortal.start()

    fresh = steps.accept()

    steps.take(10)
    uncertain = {
        event: claim is not None and claim.uncertain
        for event in (old, waiting, fresh)
        for claim in [steps.ledger.claim(event, "w")]
    }
    assert uncertain == {old: True, waiting: True, fresh: False}


def test_a_job_from_before_the_restart_that_claims_first_is_uncertain_too(mortal: Valkey) -> None:
    redis = connect(mortal.url)
    steps = steps_on(redis)
    event = steps.accept()
    steps.take(1)
    mortal.stop()
    mortal.start()

    claim = steps.ledger.claim(event, "w")

    assert claim is not None
    assert claim.uncertain


def test_a_server_that_came_back_empty_has_nothing_to_be_uncertain_about(mortal: Valkey) -> None:
    redis = connect(mortal.url)
    steps_on(redis).accept()
    mortal.stop()
    shutil.rmtree(mortal.folder / "appendonlydir")
    mortal.start()

    steps = steps_on(redis)

    assert not steps.claim(steps.accept()).uncertain


def test_as_long_as_the_server_runs_nothing_is_uncertain(any_redis: Redis, any_steps: Steps) -> None:
    event = any_steps.accept()
    any_steps.take(10)
    other = steps_on(connect(f"unix://{any_redis.connection_pool.connection_kwargs['path']}"))
    claim = other.ledger.claim(event, "w")

    assert claim is not None
    assert not claim.uncertain
    assert not any_steps.claim(other.accept("another")).uncertain


def test_keys_that_were_deleted_leave_nothing_uncertain(any_redis: Redis, any_steps: Steps) -> None:
    any_steps.take()
    any_redis.flushall()

    assert not any_steps.claim(any_steps.accept()).uncertain


def test_a_full_server_is_told_apart_too(mortal: Valkey) -> None:
    redis = connect(mortal.url)
    steps = steps_on(redis)
    event = steps.accept()
    steps.take(1)
    mortal.stop()
    mortal.start()
    redis.config_set("maxmemory", "1")

    claim = steps.ledger.claim(event, "w")

    assert claim is not None
    assert claim.uncertain
