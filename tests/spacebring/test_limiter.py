"""The shared limiter on a real Valkey. Its clock is moved by changing what the script has stored."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from workers.spacebring.errors import TemporaryError
from workers.spacebring.limiter import Limiter, LimiterBusyError

if TYPE_CHECKING:
    from redis import Redis

KEY = "bridge:limiter"


def shift(redis: Redis, *fields: str, seconds: float) -> None:
    """Move stored moments, as if the clock had gone the other way."""
    for field in fields:
        redis.hincrby(KEY, field, round(seconds * 1e6))


def moments(redis: Redis) -> list[float]:
    """Return where the clock stands and where the free slot and the pause end, in seconds."""
    return [float(value or 0) / 1e6 for value in redis.hmget(KEY, "seen", "free", "held")]


def test_the_first_call_goes_at_once(redis: Redis) -> None:
    assert Limiter(redis, rate=10).reserve() == 0


def test_slots_are_evenly_spaced_a_little_below_the_rate_whoever_takes_them(redis: Redis) -> None:
    limiters = [Limiter(redis, rate=0.1), Limiter(redis, rate=0.1)]
    slots = []
    for turn in range(3):
        waited = limiters[turn % 2].reserve()
        slots.append(moments(redis)[0] + waited)
    gaps = [later - earlier for earlier, later in pairwise(slots)]
    assert gaps == pytest.approx([1 / 0.0975] * 2, abs=1e-5)


def test_unused_time_is_not_saved_up_for_a_burst(redis: Redis) -> None:
    limiter = Limiter(redis, rate=0.1, max_wait=60)
    limiter.reserve()
    shift(redis, "free", "seen", seconds=-1000)
    assert limiter.reserve() == 0
    assert limiter.reserve() > 0


def test_a_slot_too_far_away_is_refused_and_not_taken(redis: Redis) -> None:
    limiter = Limiter(redis, rate=0.01, max_wait=1)
    limiter.reserve()
    before = moments(redis)[1]
    with pytest.raises(LimiterBusyError) as caught:
        limiter.reserve()
    assert isinstance(caught.value, TemporaryError)
    assert caught.value.retry_after == pytest.approx(1 / 0.00975, abs=60)
    assert moments(redis)[1] == before


def test_waiting_sleeps_once_until_the_slot(redis: Redis) -> None:
    slept: list[float] = []
    limiter = Limiter(redis, rate=0.1, max_wait=60, sleep=slept.append)
    limiter.wait()
    assert slept == []
    limiter.wait()
    assert len(slept) == 1
    assert 0 < slept[0] <= limiter.interval


def test_a_pause_holds_everyone_back(redis: Redis) -> None:
    one, other = Limiter(redis, rate=10, max_wait=500), Limiter(redis, rate=10, max_wait=500)
    one.pause(300)
    seen, _, held = moments(redis)
    assert held - seen == pytest.approx(300)
    assert 0 < other.reserve() <= 300
    assert 0 < one.reserve() <= 301


def test_a_pause_never_shortens_a_longer_one(redis: Redis) -> None:
    limiter = Limiter(redis, rate=10)
    limiter.pause(300)
    held = moments(redis)[2]
    limiter.pause(1)
    assert moments(redis)[2] == held


def test_who_slept_while_somebody_was_told_to_pause_takes_a_new_slot(redis: Redis) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 1:
            limiter.pause(300)
        else:
            shift(redis, "held", "free", seconds=-1000)

    limiter = Limiter(redis, rate=0.1, max_wait=500, sleep=sleep)
    limiter.wait()
    limiter.wait()
    assert len(slept) == 2
    assert slept[1] > limiter.interval


def test_who_would_wait_out_a_long_pause_is_sent_back(redis: Redis) -> None:
    limiter = Limiter(redis, rate=10, max_wait=30, sleep=lambda _: None)
    limiter.pause(300)
    with pytest.raises(LimiterBusyError, match="held back"):
        limiter.wait()


def test_a_clock_set_back_by_an_hour_does_not_hold_everyone_for_an_hour(redis: Redis) -> None:
    limiter = Limiter(redis, rate=0.1, max_wait=10_000)
    limiter.reserve()
    limiter.pause(5)
    shift(redis, "free", "held", "seen", seconds=3600)
    assert limiter.reserve() <= limiter.interval + 5


def test_what_is_stored_is_forgotten_once_it_has_no_meaning(redis: Redis) -> None:
    limiter = Limiter(redis, rate=10)
    limiter.pause(300)
    assert 300_000 < redis.pttl(KEY) <= 361_000


def test_limiters_with_different_keys_do_not_meet(redis: Redis) -> None:
    Limiter(redis, rate=0.01, key="a").reserve()
    assert Limiter(redis, rate=0.01, key="b").reserve() == 0


def test_a_store_that_was_flushed_with_its_scripts_is_no_obstacle(redis: Redis) -> None:
    limiter = Limiter(redis, rate=10)
    limiter.reserve()
    redis.flushall()
    redis.script_flush()
    assert limiter.reserve() == 0


@pytest.mark.parametrize(("rate", "max_wait"), [(0, 1), (-1, 1), (1, 0)])
def test_a_rate_or_wait_that_is_not_positive_is_refused(redis: Redis, rate: float, max_wait: float) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        Limiter(redis, rate=rate, max_wait=max_wait)
