"""One worker after another: what happens where Redis goes away around RQ's own patience."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from rq import Queue

from service.core.queue import TICKETS, workers_alive
from service.core.store import connect
from tests.conftest import LASTING, Valkey, serving
from workers.process import DeliveryWorker, Shifts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

_servers: list[Valkey] = []


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def mortal() -> Iterator[Valkey]:
    with serving(LASTING) as server:
        _servers.append(server)
        yield server
        _servers.clear()


def worker(url: str) -> DeliveryWorker:
    redis = connect(url)
    one = DeliveryWorker(
        [Queue(TICKETS, connection=redis, serializer="json")], connection=redis, serializer="json"
    )
    # The process that it would leave for good is the one that runs the tests.
    one.hard_exit = 3600
    return one


def take_redis_away() -> None:
    """Be the job in the midst of which Redis goes."""
    _servers[0].stop()


def ask_to_stop() -> None:
    """Be the job in the midst of which SIGTERM comes."""
    os.kill(os.getpid(), signal.SIGTERM)


def test_where_redis_is_not_there_it_is_waited_for_longer_and_longer_until_sigterm() -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 5:
            ask_to_stop()

    shifts = Shifts(lambda: worker("unix:///nowhere/at/all.sock"), sleep=sleep)
    before = shifts.draining
    shifts.run()

    assert (before, shifts.draining) == (False, True)
    assert slept == [0.5, 1, 2, 4, 5]


def test_a_worker_whose_redis_went_in_the_midst_of_a_job_is_followed_by_another(mortal: Valkey) -> None:
    made: list[DeliveryWorker] = []

    def make() -> DeliveryWorker:
        made.append(worker(mortal.url))
        return made[-1]

    with connect(mortal.url) as redis:
        queue = Queue(TICKETS, connection=redis, serializer="json")
        queue.enqueue(take_redis_away)
        queue.enqueue(ask_to_stop)
    shifts = Shifts(make, sleep=lambda _seconds: mortal.start())
    shifts.run()

    assert len(made) == 2
    assert [one.draining for one in made] == [False, True]
    assert shifts.draining


def test_a_worker_that_redis_has_forgotten_is_counted_again(redis: Redis, valkey: Valkey) -> None:
    one = worker(valkey.url)
    one.bootstrap("WARNING")
    redis.flushall()
    forgotten = workers_alive(redis)

    one.heartbeat()

    assert (forgotten, workers_alive(redis)) == (0, 1)
    one.teardown()


def test_without_redis_a_worker_that_never_listened_says_goodbye_to_nobody(mortal: Valkey) -> None:
    one = worker(mortal.url)
    mortal.stop()

    one.teardown()

    assert one.pubsub_thread is None
    mortal.start()
