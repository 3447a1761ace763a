"""How the bridge does: workers, queues, and what an operator is told at night."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from rq import Queue, SimpleWorker

from service.core.overview import overview
from service.core.queue import ALIVE, SERIALIZER, TICKETS, depths, workers_alive

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from service.core.ledger import Ledger
    from tests.web.acts import Acts


@pytest.fixture
def start(redis: Redis) -> Callable[..., SimpleWorker]:
    """Register a worker as RQ does when it starts."""

    def start(queue: str = TICKETS) -> SimpleWorker:
        worker = SimpleWorker([Queue(queue, connection=redis)], connection=redis, serializer=SERIALIZER)
        worker.register_birth()  # type: ignore[no-untyped-call]
        return worker

    return start


def test_a_worker_of_tickets_is_alive_from_its_birth_to_its_death(
    redis: Redis, start: Callable[..., SimpleWorker]
) -> None:
    worker = start()
    start("other")

    born = workers_alive(redis)
    worker.register_death()  # type: ignore[no-untyped-call]
    dead = workers_alive(redis)

    assert (born, dead) == (1, 0)


def test_a_worker_that_was_not_heard_of_for_long_is_not_alive(
    redis: Redis, start: Callable[..., SimpleWorker]
) -> None:
    start()

    assert workers_alive(redis, now=datetime.now(UTC) + ALIVE + timedelta(seconds=5)) == 0


@pytest.mark.parametrize("heard", ["", "yesterday", "\u00e9", "2026-01-01T00:00:00"])
def test_a_worker_with_an_unreadable_heartbeat_is_not_alive(redis: Redis, heard: str) -> None:
    redis.sadd("rq:workers:tickets", "rq:worker:gone", "rq:worker:odd")
    redis.hset("rq:worker:odd", "last_heartbeat", heard)

    assert workers_alive(redis) == 0


def test_depths_are_those_of_the_rq_queues(redis: Redis) -> None:
    Queue(TICKETS, connection=redis, serializer=SERIALIZER).enqueue("os.getpid")

    assert depths(redis) == {"tickets": 1, "dead-letter": 0}


def test_delivery_is_healthy_with_a_worker_and_no_pause(
    ledger: Ledger, redis: Redis, start: Callable[..., SimpleWorker]
) -> None:
    start()

    view = overview(ledger, redis)

    assert (view.workers, view.delivery.healthy, view.delivery.why) == (1, True, "")
    assert view.waited is None


def test_an_outage_is_told_with_what_spacebring_said(
    ledger: Ledger, redis: Redis, acts: Acts, start: Callable[..., SimpleWorker]
) -> None:
    start()
    acts.pause("outage", "503: Back soon.")

    delivery = overview(ledger, redis).delivery

    assert not delivery.healthy
    assert "Spacebring does not take tickets" in delivery.why
    assert "It said: 503: Back soon. Nothing is lost" in delivery.why
    assert "No worker" not in delivery.why


def test_refused_credentials_are_told_with_the_variable_to_look_at(
    ledger: Ledger, redis: Redis, acts: Acts
) -> None:
    acts.pause("credentials", "")

    why = overview(ledger, redis).delivery.why

    assert "Check SPACEBRING_TOKEN" in why
    assert "It said" not in why
    assert "No worker is running" in why


def test_the_oldest_waiting_event_has_waited_since_it_came(ledger: Ledger, redis: Redis, acts: Acts) -> None:
    event = ledger.event(acts.accept())

    view = overview(ledger, redis, clock=lambda: event.received + timedelta(seconds=75))
    early = overview(ledger, redis, clock=lambda: event.received - timedelta(seconds=5))

    assert view.waited == 75
    # Two machines' clocks may differ: nobody waits for less than no time.
    assert early.waited == 0
