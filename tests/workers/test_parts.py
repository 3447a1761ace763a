"""The parts of the worker side: hold, schedule, dispatcher, mirror, process, main."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError
from rq import Queue
from rq.job import Job

from config.errors import ConfigError
from config.settings import load_settings
from service.core.blobs import RedisBlobs
from service.core.errors import StaleToken
from service.core.ledger import Ledger, Outcome, State, Timings
from service.core.request import Headers, InboundRequest
from service.core.source import Key, Part
from service.core.store import PREFIX, connect
from workers.dispatcher import Dispatcher
from workers.hold import Hold
from workers.main import store
from workers.mirror import Mirror
from workers.process import DeliveryWorker, Pulse
from workers.schedule import Schedule

if TYPE_CHECKING:
    from redis import Redis

    from service.core.ledger import Claim
    from service.core.source import Lane

REQUEST = InboundRequest("POST", "https://bridge.example/hooks/web", Headers(), b"x")


def accept(ledger: Ledger, key: str = "k", lane: Lane = "backlog") -> str:
    parts = [Part((Key(key),))]
    return ledger.accept(REQUEST, channel="web", source="form", lane=lane, parts=parts).events[0]


def dead_letter(ledger: Ledger, key: str = "k") -> str:
    event = accept(ledger, key)
    ledger.take(1, cap=10)
    claim = ledger.claim(event, "w")
    assert claim is not None
    ledger.record(claim, Outcome(State.DEAD, reason="no", code="refused"))
    return event


@given(st.integers(1, 10_000))
def test_a_wait_is_between_the_floor_and_the_cap(tried: int) -> None:
    schedule = Schedule()

    assert schedule.floor <= schedule.delay(tried) <= schedule.cap


def test_the_ceiling_doubles_and_the_last_try_is_known() -> None:
    highest = Schedule(pick=lambda _low, high: high)

    assert [highest.delay(tried) for tried in (1, 2, 3, 11)] == [5, 10, 20, 3600]
    assert (highest.exhausted(17), highest.exhausted(18)) == (False, True)


class Watched(Ledger):
    """The real ledger, that says when it has renewed, and can lose an answer."""

    def __init__(self, redis: Redis, timings: Timings) -> None:
        super().__init__(redis, RedisBlobs(redis, prefix=PREFIX, cap=1000), timings=timings)
        self.renewed = threading.Semaphore(0)
        self.fails = 0

    def renew(self, claim: Claim) -> bool:
        try:
            if self.fails:
                self.fails -= 1
                raise RedisConnectionError
            return super().renew(claim)
        finally:
            self.renewed.release()


def hold(ledger: Ledger) -> Hold:
    event = accept(ledger)
    ledger.take(1, cap=10)
    taken = Hold.take(ledger, event, "w")
    assert taken is not None
    return taken


def test_a_hold_renews_its_lease_also_after_a_lost_answer(redis: Redis) -> None:
    ledger = Watched(redis, Timings(lease=60, renew=0.01))
    ledger.fails = 1

    with hold(ledger) as held:
        assert all(ledger.renewed.acquire(timeout=10) for _ in range(3))
        held.check()


def test_a_hold_that_was_taken_over_refuses_to_send(redis: Redis) -> None:
    ledger = Watched(redis, Timings(lease=60, renew=0.01))
    taken = hold(ledger)
    client: Any = redis
    client.hincrby(f"bridge:event:{taken.claim.event.id}", "token", 1)

    with taken:
        assert ledger.renewed.acquire(timeout=10)
    with pytest.raises(StaleToken):
        taken.check()


def test_nothing_is_held_where_nothing_was_handed_out(ledger: Ledger) -> None:
    assert Hold.take(ledger, "nothing", "w") is None


def test_what_is_due_becomes_a_job_that_carries_the_event_alone(ledger: Ledger, redis: Redis) -> None:
    event = accept(ledger)
    dispatcher = Dispatcher(ledger, redis, stopping=lambda: False)

    handed = dispatcher.step()

    (job,) = Queue("tickets", connection=redis, serializer="json").jobs
    assert (handed, job.args, job.id) == (1, [event], f"{event}-1")
    assert dispatcher.step() == 0


def test_an_event_that_is_watched_becomes_a_job_that_sweeps(ledger: Ledger, redis: Redis) -> None:
    event = accept(ledger)
    ledger.stray(event, "ticket")
    dispatcher = Dispatcher(ledger, redis, stopping=lambda: False)

    dispatcher.step()

    (job,) = Queue("sweeps", connection=redis, serializer="json").jobs
    assert (job.func_name, job.args) == ("workers.sweep.sweep", [event])


def test_an_outage_that_ended_is_resumed_where_the_worker_that_was_told_died(
    ledger: Ledger, redis: Redis
) -> None:
    redis.set("bridge:resuming", 1)

    Dispatcher(ledger, redis, stopping=lambda: False).step()

    assert not ledger.resuming()


def test_sweeps_are_not_heaped_up(ledger: Ledger, redis: Redis) -> None:
    for number in range(50):
        ledger.stray(accept(ledger, f"key-{number}"), "ticket")
    dispatcher = Dispatcher(ledger, redis, stopping=lambda: False)

    for _ in range(3):
        dispatcher.step()

    assert Queue("sweeps", connection=redis, serializer="json").count == 20


def test_a_person_who_waits_goes_before_what_was_handed_out_earlier(ledger: Ledger, redis: Redis) -> None:
    dispatcher = Dispatcher(ledger, redis, stopping=lambda: False)
    earlier = accept(ledger)
    dispatcher.step()
    person = accept(ledger, "person", "person")
    dispatcher.step()

    jobs = Queue("tickets", connection=redis, serializer="json").jobs

    assert [job.args for job in jobs] == [[person], [earlier]]


def test_a_flushed_queue_heals_when_the_handover_is_over(ledger: Ledger, redis: Redis) -> None:
    event = accept(ledger)
    dispatcher = Dispatcher(ledger, redis, stopping=lambda: False)
    dispatcher.step()
    redis.delete("rq:queue:tickets")
    redis.zadd("bridge:due:backlog", {event: 0})

    dispatcher.step()

    (job,) = Queue("tickets", connection=redis, serializer="json").jobs
    assert job.id == f"{event}-2"


def test_the_dispatcher_waits_for_redis_longer_and_longer(ledger: Ledger) -> None:
    away = connect("unix:///nowhere/at/all.sock")
    slept: list[float] = []
    dispatcher = Dispatcher(ledger, away, stopping=lambda: len(slept) >= 5, sleep=slept.append)

    dispatcher.run()

    assert slept == [0.5, 1, 2, 4, 5]


def test_the_dispatcher_does_its_chores_once_a_minute(ledger: Ledger, redis: Redis) -> None:
    times = [0.0]
    dispatcher = Dispatcher(ledger, redis, stopping=lambda: times[0] > 61, clock=lambda: times[0])
    times[0] = 1
    dispatcher.step()
    dispatcher.step()
    times[0] = 62

    dispatcher.run()

    assert dispatcher.step() == 0


def mirrored(redis: Redis) -> list[str]:
    ids: list[str] = Queue("dead-letter", connection=redis, serializer="json").get_job_ids()
    return ids


def test_the_mirror_shows_the_dead_letters_and_forgets_the_others(ledger: Ledger, redis: Redis) -> None:
    mirror = Mirror(ledger, redis)
    event, other = dead_letter(ledger), dead_letter(ledger, "other")

    mirror.refresh()
    both = mirrored(redis)
    mirror.refresh()
    ledger.operate(other, "discard", "ann")
    mirror.refresh()

    assert both == [f"dead-{event}", f"dead-{other}"]
    assert mirrored(redis) == [f"dead-{event}"]
    assert not redis.exists(Job.key_for(f"dead-{other}"))


def test_the_mirror_is_rebuilt_after_it_was_flushed(ledger: Ledger, redis: Redis) -> None:
    times = [0.0]
    mirror = Mirror(ledger, redis, clock=lambda: times[0])
    event = dead_letter(ledger)
    mirror.refresh()
    redis.delete("rq:queue:dead-letter")

    times[0] = 31
    mirror.refresh()

    assert mirrored(redis) == [f"dead-{event}"]


def test_a_pulse_is_one_byte_and_silent_without_a_listener() -> None:
    reader, writer = os.pipe()
    pulse = Pulse(writer)
    pulse.send(b"+")
    heard = os.read(reader, 10)
    os.close(reader)
    pulse.send(b"-")
    Pulse(None).send(b"+")
    os.close(writer)

    assert heard == b"+"


def test_a_worker_that_still_works_after_its_time_leaves(redis: Redis) -> None:
    left = threading.Event()
    codes: list[int] = []

    def leave(code: int) -> None:
        codes.append(code)
        left.set()

    worker = DeliveryWorker([Queue("tickets", connection=redis, serializer="json")], connection=redis)
    worker.hard_exit, worker.leave = 0.01, leave
    worker.handle_warm_shutdown_request()

    assert left.wait(10)
    worker.request_force_stop(15, None)
    assert codes == [1]
    assert worker.draining is False


def test_a_worker_without_a_store_is_refused() -> None:
    with pytest.raises(ConfigError, match="REDIS_URL"):
        store(load_settings({}))
