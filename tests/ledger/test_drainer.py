"""What waited in the spool comes into the ledger once, whatever happens on its way."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import RedisError

from service.core.blobs import RedisBlobs
from service.core.drainer import Drainer
from service.core.durability import Durability
from service.core.errors import NearlyFull, Unavailable
from service.core.ledger import Keeping, Ledger, State
from service.core.source import Key, Part
from service.core.spool import Spool
from service.core.store import PREFIX, connect
from tests.ledger.steps import DAY, DONE, REQUEST, Steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from redis import Redis

    from service.core.ledger.model import Acceptance, Parcel


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", enabled=True)


def put(spool: Spool, ledger: Ledger, *parts: str) -> Acceptance:
    """Spool a request with one part a key."""
    keys = [Part((Key(key, content=key.startswith("content")),)) for key in parts]
    return spool.put(ledger.parcel(REQUEST, channel="web", source="form", lane="backlog", parts=keys))


def test_what_was_spooled_is_an_event_under_its_id_received_when_it_came(steps: Steps, spool: Spool) -> None:
    spool._clock = lambda: steps.ledger.now() / 1000 - 3600
    (event,) = put(spool, steps.ledger, "one").events

    assert Drainer(spool, steps.ledger).drain() == 1

    found = steps.ledger.event(event)
    assert (found.state, found.dedupe) == (State.QUEUED, "one")
    assert found.due is not None
    assert (found.due - found.received).total_seconds() == pytest.approx(3600, abs=5)
    assert spool.waiting() == 0
    kept = steps.ledger.request(found)
    assert kept is not None
    assert kept.body == REQUEST.body


def test_a_redis_that_is_nearly_full_is_waited_for_and_not_asked_for_every_request(
    steps: Steps, spool: Spool, redis: Redis
) -> None:
    asked: list[str] = []

    class Counting(Ledger):
        """The real ledger, which counts what it is asked to keep."""

        def keep(self, parcel: Parcel) -> Acceptance:
            asked.append("keep")
            return super().keep(parcel)

    for key in ("one", "two", "three"):
        put(spool, steps.ledger, key)
    ledger = Counting(redis, RedisBlobs(redis, prefix=PREFIX, cap=1 << 20))
    redis.config_set("maxmemory", "1")

    try:
        with pytest.raises(NearlyFull):
            Drainer(spool, ledger).drain()
    finally:
        redis.config_set("maxmemory", "0")

    assert (asked, spool.waiting()) == (["keep"], 3)


def test_a_clock_ahead_of_rediss_does_no_harm(steps: Steps, spool: Spool) -> None:
    spool._clock = lambda: steps.ledger.now() / 1000 + 9999
    (event,) = put(spool, steps.ledger, "one").events

    Drainer(spool, steps.ledger).drain()

    found = steps.ledger.event(event)
    assert found.received == found.due


def test_the_id_of_a_repeat_goes_on_finding_the_first_event(steps: Steps, spool: Spool) -> None:
    first = steps.accept("one")
    told, fresh = put(spool, steps.ledger, "one", "two").events

    Drainer(spool, steps.ledger).drain()

    assert steps.ledger.event(told).id == first
    assert steps.ledger.event(first).repeats == 1
    assert steps.ledger.event(fresh).state is State.QUEUED
    assert steps.ledger.operate(told, "discard", "ada").id == first
    assert steps.redis.pttl(f"{PREFIX}alias:{told}") == pytest.approx(30 * DAY * 1000, abs=60_000)


@pytest.mark.parametrize("later", [0, 2 * DAY])
def test_dying_before_the_removal_makes_no_second_event(steps: Steps, spool: Spool, later: float) -> None:
    (event,) = put(spool, steps.ledger, "content").events
    (found,) = [spool.after(0)]
    assert found is not None
    steps.ledger.keep(found[1])
    steps.record(DONE, event)
    # Even where its keys have expired meanwhile.
    steps.pass_time(later)

    assert Drainer(spool, steps.ledger).drain() == 1

    assert steps.state(event) is State.DELIVERED
    assert steps.index("events") == {event}
    assert steps.redis.exists(f"{PREFIX}touched")


def test_dying_before_the_removal_of_a_repeat_makes_no_event(steps: Steps, spool: Spool) -> None:
    first = steps.record(DONE, steps.accept("content"))
    (told,) = put(spool, steps.ledger, "content").events
    found = spool.after(0)
    assert found is not None
    steps.ledger.keep(found[1])
    steps.redis.delete(*steps.redis.keys(f"{PREFIX}dedupe:*"))

    Drainer(spool, steps.ledger).drain()

    assert steps.index("events") == {first}
    assert steps.ledger.event(told).id == first


def test_while_redis_is_away_everything_stays(tmp_path: Path, spool: Spool) -> None:
    away = connect(f"unix://{tmp_path}/none")
    ledger = Ledger(away, RedisBlobs(away, prefix=PREFIX, cap=1))
    put(spool, ledger, "one")

    with pytest.raises(RedisError):
        Drainer(spool, ledger).drain()

    assert spool.waiting() == 1


def test_what_is_not_confirmed_as_safe_stays(steps: Steps, spool: Spool) -> None:
    put(spool, steps.ledger, "one")
    steps.ledger.durability = Durability(steps.redis, "fsync")

    with pytest.raises(Unavailable):
        Drainer(spool, steps.ledger).drain()

    assert spool.waiting() == 1


def test_one_for_which_there_is_no_room_does_not_hold_up_the_next(redis: Redis, spool: Spool) -> None:
    blobs = RedisBlobs(redis, prefix=PREFIX, cap=1)
    put(spool, Ledger(redis, blobs, keeping=Keeping(blob_threshold=1)), "large")
    small = Ledger(redis, blobs)
    (event,) = put(spool, small, "small").events

    assert Drainer(spool, small).drain() == 1

    assert small.event(event).state is State.QUEUED
    assert spool.waiting() == 1


def test_one_drains_at_a_time(steps: Steps, spool: Spool) -> None:
    put(spool, steps.ledger, "one")
    other = os.open(spool.folder / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(other, fcntl.LOCK_EX)

    assert Drainer(spool, steps.ledger).drain() == 0
    os.close(other)

    assert Drainer(spool, steps.ledger).drain() == 1


def waits(times: int) -> tuple[list[float], Callable[[float], bool]]:
    """Give a wait that says after so many times that it is over, and what it was given."""
    given: list[float] = []

    def wait(seconds: float) -> bool:
        given.append(seconds)
        return len(given) > times

    return given, wait


def test_it_waits_longer_while_redis_is_away_and_goes_on_when_it_is_back(steps: Steps, spool: Spool) -> None:
    (event,) = put(spool, steps.ledger, "one").events
    broken: Any = Durability(steps.redis, "fsync")
    steps.ledger.durability, well = broken, steps.ledger.durability
    given, wait = waits(5)

    def meanwhile(seconds: float) -> bool:
        if len(given) == 4:
            steps.ledger.durability = well
        return wait(seconds)

    Drainer(spool, steps.ledger).run(meanwhile)

    assert given == [1, 2, 4, 8, 10, 1]
    assert steps.state(event) is State.QUEUED


def test_it_survives_whatever_happens(steps: Steps, spool: Spool) -> None:
    put(spool, steps.ledger, "one")
    (spool.folder / "lock").mkdir()
    given, wait = waits(2)

    Drainer(spool, steps.ledger).run(wait)

    assert given == [1, 10, 10]


def test_it_runs_beside_the_web_side(steps: Steps, spool: Spool) -> None:
    thread = Drainer(spool, steps.ledger).start()

    assert thread.daemon
    assert thread.is_alive()
