"""The shared limiter on a real Valkey. Its clock is moved by changing what the script has stored."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.store import connect
from tests.conftest import until
from workers.spacebring.errors import TemporaryError
from workers.spacebring.limiter import Limiter, LimiterBusyError

if TYPE_CHECKING:
    from redis import Redis

    from tests.conftest import Valkey
    from workers.spacebring.limiter import Slot

KEY = "bridge:limiter"
STARTS, FLYING, FREED = f"{KEY}:starts", f"{KEY}:flying", f"{KEY}:freed"


class Bench:
    """Limiters on one Redis that do not sleep: time passes when they would."""

    def __init__(self, redis: Redis) -> None:
        # redis-py types answers as bytes or str.
        self.redis: Any = redis
        self.slept: list[float] = []
        self.passed = 0.0

    def begun(self) -> float:
        """Return when the last call began, had the time really passed."""
        return int(self.redis.lindex(STARTS, -1).split()[1]) / 1e6 + self.passed

    def limiter(self, **more: Any) -> Limiter:  # noqa: ANN401 - as the limiter
        given: dict[str, Any] = {
            "rate": 10,
            "max_wait": 500,
            "place_wait": 0,
            "workers": lambda: 100,
            "sleep": self.sleep,
        }
        return Limiter(self.redis, **(given | more))

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        # Rounded up, so that the moment has come; `seen` stays, for the clock does not go back.
        self.pass_time(seconds + 1e-6)

    def pass_time(self, seconds: float) -> None:
        """Let time pass: all that is stored lies further back."""
        micros = round(seconds * 1e6)
        self.passed += seconds
        for field in ("free", "held", "seen"):
            self.redis.hincrby(KEY, field, -micros)
        for index, begun in enumerate(self.redis.lrange(STARTS, 0, -1)):
            caller, at, took = begun.split()
            self.redis.lset(STARTS, index, b"%s %d %s" % (caller, int(at) - micros, took))
        for caller, ends in self.redis.zrange(FLYING, 0, -1, withscores=True):
            self.redis.zadd(FLYING, {caller: ends - micros})

    def moment(self, field: str) -> float:
        """Return how far a stored moment lies ahead of the last step, in seconds."""
        value, seen = self.redis.hmget(KEY, field, "seen")
        return (int(value) - int(seen)) / 1e6

    def flying(self) -> int:
        count: int = self.redis.zcard(FLYING)
        return count


@pytest.fixture
def bench(redis: Redis) -> Bench:
    return Bench(redis)


def test_the_first_call_goes_at_once(bench: Bench) -> None:
    with bench.limiter().call() as slot:
        slot.start()

    assert bench.slept == []


def test_slots_are_evenly_spaced_a_little_below_the_rate_whoever_takes_them(bench: Bench) -> None:
    limiters = [bench.limiter(rate=0.1), bench.limiter(rate=0.1)]
    for turn in range(4):
        limiters[turn % 2].call()

    assert bench.slept == pytest.approx([1 / 0.098] * 3, abs=0.5)
    assert bench.moment("free") == pytest.approx(1 / 0.098, abs=0.5)


def test_unused_time_is_not_saved_up_for_a_burst(bench: Bench) -> None:
    limiter = bench.limiter(rate=0.1)
    limiter.call()
    bench.pass_time(1000)
    limiter.call()
    assert bench.slept == []
    limiter.call()
    assert bench.slept == pytest.approx([1 / 0.098], abs=0.5)


def test_a_few_slots_that_nobody_could_take_in_time_are_made_up_for(bench: Bench) -> None:
    limiter = bench.limiter(rate=1)
    limiter.call()
    bench.pass_time(4 * limiter.interval + 0.5)
    for _ in range(4):
        limiter.call()
    assert bench.slept == []
    limiter.call()
    assert bench.slept == [pytest.approx(limiter.interval - 0.5, abs=0.3)]


def test_a_slot_too_far_away_is_refused_and_neither_it_nor_a_place_is_taken(bench: Bench) -> None:
    bench.limiter(rate=0.01).call()
    before = bench.redis.hget(KEY, "free")

    with pytest.raises(LimiterBusyError, match="held back") as caught:
        bench.limiter(rate=0.01, max_wait=1).call()

    assert isinstance(caught.value, TemporaryError)
    assert caught.value.retry_after == pytest.approx(1 / 0.0098, abs=1)
    assert bench.redis.hget(KEY, "free") == before
    assert bench.flying() == 1


def test_a_pause_holds_everyone_back(bench: Bench) -> None:
    one, other = bench.limiter(), bench.limiter()
    one.pause(300)
    other.call()
    assert bench.slept == [pytest.approx(300, abs=1)]

    one.pause(300)
    one.call()
    assert bench.slept[1:] == [pytest.approx(300, abs=1)]


def test_a_pause_never_shortens_a_longer_one(bench: Bench) -> None:
    limiter = bench.limiter()
    limiter.pause(300)
    before = bench.redis.hget(KEY, "held")
    limiter.pause(1)
    assert bench.redis.hget(KEY, "held") == before


def test_who_slept_while_somebody_was_told_to_pause_takes_a_new_slot(bench: Bench) -> None:
    def sleep(seconds: float) -> None:
        if not bench.slept:
            bench.limiter().pause(300)
        bench.sleep(seconds)

    limiter = bench.limiter(rate=0.1, sleep=sleep)
    limiter.call()
    limiter.call()

    assert bench.slept == pytest.approx([10.2, 300 - 10.2], abs=1)
    assert bench.flying() == 1 + 1


def test_who_would_wait_out_a_long_pause_is_sent_back(bench: Bench) -> None:
    bench.limiter().pause(300)

    with pytest.raises(LimiterBusyError, match="held back"):
        bench.limiter(max_wait=30).call()

    assert bench.flying() == 0


# The moment at which a call really begins.


def test_a_call_that_began_late_pushes_the_one_that_the_server_would_count_with_it(bench: Bench) -> None:
    limiter = bench.limiter()
    late = limiter.call()
    others = [limiter.call() for _ in range(10)]
    late.start()
    for slot in others[:-1]:
        slot.start()
    slept = len(bench.slept)

    others[-1].start()

    (waited,) = bench.slept[slept:]
    assert 0.9 < waited <= 1.011
    assert bench.redis.llen(STARTS) == 10


LATE = st.sampled_from([0.0, 0.01, 0.1, 0.3, 0.5, 1.0])


@given(st.lists(st.tuples(LATE, st.integers(0, 3), LATE), min_size=5, max_size=20))
def test_however_late_calls_begin_no_second_holds_more_than_the_rate(
    redis: Redis, calls: list[tuple[float, int, float]]
) -> None:
    redis.flushall()
    bench = Bench(redis)
    limiter = bench.limiter(rate=4)
    waiting: list[Slot] = []
    begun: list[float] = []
    for late, which, took in calls:
        waiting.append(limiter.call())
        bench.pass_time(late)
        if which < len(waiting):
            with waiting.pop(which) as slot:
                slot.start()
                begun.append(bench.begun())
                bench.pass_time(took)

    assert all(later - earlier > 1 for earlier, later in zip(begun, begun[4:], strict=False))


def test_punctual_calls_wait_for_nothing_but_their_slots(bench: Bench) -> None:
    limiter = bench.limiter(rate=1)
    for _ in range(5):
        slot = limiter.call()
        slept = len(bench.slept)
        slot.start()
        assert bench.slept[slept:] == []


def test_a_call_that_took_longer_than_others_may_have_been_counted_so_much_later(bench: Bench) -> None:
    limiter = bench.limiter()
    for took in (0.15, *[0.0] * 9):
        with limiter.call() as slot:
            slot.start()
            bench.pass_time(took)
    slot = limiter.call()
    slept = len(bench.slept)

    slot.start()

    # 1.005 s and 0.15 s after the first began, less the 1.02 s after which the slot came.
    assert bench.slept[slept:] == [pytest.approx(0.14, abs=0.1)]


def test_nobody_waits_long_after_the_slot_for_one_that_hangs(bench: Bench) -> None:
    limiter = bench.limiter(rate=2)
    limiter.call().start()
    with limiter.call() as quick:
        quick.start()
    slot = limiter.call()
    slept = len(bench.slept)

    slot.start()

    assert sum(bench.slept[slept:]) == pytest.approx(5 * limiter.interval, abs=0.1)


def test_answers_that_always_take_different_times_hold_nobody_back(bench: Bench) -> None:
    limiter = bench.limiter(rate=5)
    calls = [limiter.call() for _ in range(5)]
    for slot in calls:
        slot.start()
    with calls[4]:
        pass
    bench.pass_time(5)
    with calls[0]:
        pass
    slot = limiter.call()
    slept = len(bench.slept)

    slot.start()

    assert bench.slept[slept:] == []


def test_of_calls_that_all_take_long_none_waits_for_the_others(bench: Bench) -> None:
    limiter = bench.limiter(rate=2)
    for _ in range(5):
        slot = limiter.call()
        slept = len(bench.slept)
        slot.start()
        assert bench.slept[slept:] == []


def test_a_call_does_not_begin_in_a_pause(bench: Bench) -> None:
    limiter = bench.limiter(max_wait=30)
    slot = limiter.call()
    limiter.pause(20)
    slot.start()
    assert bench.slept == [pytest.approx(20, abs=1)]

    limiter.pause(300)
    with pytest.raises(LimiterBusyError):
        slot.start()
    assert bench.redis.llen(STARTS) == 1


# The places.


def test_half_as_many_calls_as_workers_are_under_way_and_at_least_one(bench: Bench) -> None:
    for workers, places in ((0, 1), (1, 1), (3, 1), (4, 2), (9, 4)):
        bench.redis.flushall()
        one, other = bench.limiter(workers=lambda n=workers: n), bench.limiter(workers=lambda n=workers: n)
        for turn in range(places):
            (one, other)[turn % 2].call()
        with pytest.raises(LimiterBusyError, match="under way") as caught:
            one.call()
        assert caught.value.retry_after == 1
        assert bench.flying() == places


def test_a_refused_place_costs_no_slot(bench: Bench) -> None:
    limiter = bench.limiter(workers=lambda: 1)
    limiter.call()
    before = bench.redis.hget(KEY, "free")
    with pytest.raises(LimiterBusyError):
        limiter.call()
    assert bench.redis.hget(KEY, "free") == before


def test_a_person_who_waits_goes_beyond_the_places(bench: Bench) -> None:
    backlog, person = bench.limiter(workers=lambda: 1), bench.limiter(workers=lambda: 1)
    backlog.call()

    with person.serving("person"), person.call():
        assert bench.flying() == 2

    assert bench.flying() == 1
    with person.serving("backlog"), pytest.raises(LimiterBusyError):
        person.call()
    with pytest.raises(LimiterBusyError):
        person.call()


def test_a_place_is_given_back_whatever_happens(bench: Bench) -> None:
    with pytest.raises(LookupError), bench.limiter().call():
        raise LookupError
    assert bench.flying() == 0


def test_the_place_of_a_killed_process_comes_free_after_its_time_out(bench: Bench) -> None:
    limiter = bench.limiter(workers=lambda: 1, timeout=10)
    limiter.call()
    bench.pass_time(14)
    with pytest.raises(LimiterBusyError):
        limiter.call()
    bench.pass_time(1)
    limiter.call()


def test_who_waits_for_a_place_is_woken_when_one_is_given_back(bench: Bench, valkey: Valkey) -> None:
    slot = bench.limiter(workers=lambda: 1).call()
    got = threading.Event()

    def wait() -> None:
        with connect(valkey.url, timeout=70) as own:
            Limiter(own, rate=1000, place_wait=60, workers=lambda: 1).call()
        got.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    until(lambda: any(client["cmd"] == "blpop" for client in bench.redis.client_list()))
    with slot:
        assert not got.is_set()

    assert got.wait(50)
    waiter.join()


def test_tokens_of_places_that_were_taken_since_wake_nobody(bench: Bench) -> None:
    limiter = bench.limiter(workers=lambda: 1)
    for _ in range(3):
        with limiter.call():
            pass
    limiter.call()
    assert bench.redis.llen(FREED) == 3

    with pytest.raises(LimiterBusyError):
        limiter.call()

    assert bench.redis.llen(FREED) == 0


def test_the_workers_are_counted_every_few_seconds_and_by_default_those_of_rq(bench: Bench) -> None:
    now = [0.0]
    counts = iter([4, 2])
    limiter = bench.limiter(workers=lambda: next(counts), clock=lambda: now[0])
    limiter.call()
    now[0] = 4.9
    limiter.call()
    now[0] = 5.0
    with pytest.raises(LimiterBusyError):
        limiter.call()

    bench.redis.flushall()
    ours = Limiter(bench.redis, rate=1000, place_wait=0)
    with ours.call(), pytest.raises(LimiterBusyError):
        ours.call()


# What may happen to the store.


def test_a_clock_set_back_by_an_hour_does_not_hold_everyone_for_an_hour(bench: Bench) -> None:
    limiter = bench.limiter(rate=1, workers=lambda: 4)
    limiter.call().start()
    limiter.call()
    limiter.pause(5)
    bench.pass_time(-3600)

    with pytest.raises(LimiterBusyError):
        limiter.call()
    bench.pass_time(15)
    limiter.call().start()

    assert all(seconds <= 15 for seconds in bench.slept)


def test_what_is_stored_is_forgotten_once_it_has_no_meaning(bench: Bench) -> None:
    limiter = bench.limiter()
    limiter.call().start()
    limiter.pause(300)
    for key in (KEY, STARTS, FLYING):
        assert 3_600_000 < bench.redis.pttl(key) <= 3_901_000


def test_limiters_with_different_keys_do_not_meet(bench: Bench) -> None:
    bench.limiter(rate=0.01, key="a").call()
    bench.limiter(rate=0.01, key="b").call()
    assert bench.slept == []


def test_a_store_that_was_flushed_with_its_scripts_is_no_obstacle(bench: Bench) -> None:
    limiter = bench.limiter(workers=lambda: 1)
    lost = limiter.call()
    bench.redis.flushall()
    bench.redis.script_flush()

    with limiter.call() as slot, lost:
        slot.start()

    assert bench.slept == []
    assert bench.flying() == 0


def test_without_redis_a_slot_stands_and_its_place_comes_free_by_itself(bench: Bench) -> None:
    limiter = bench.limiter()
    slot = limiter.call()
    bench.redis.connection_pool.disconnect()
    bench.redis.connection_pool.connection_kwargs["path"] = "/nowhere/at/all.sock"

    with slot:
        slot.start()

    assert bench.slept == []


@pytest.mark.parametrize(("rate", "max_wait", "timeout"), [(0, 1, 1), (-1, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_what_is_not_positive_is_refused(redis: Redis, rate: float, max_wait: float, timeout: float) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        Limiter(redis, rate=rate, max_wait=max_wait, timeout=timeout)


def test_a_call_in_the_middle_of_another_needs_no_place_of_its_own(bench: Bench) -> None:
    limiter = bench.limiter(workers=lambda: 2)

    with limiter.call():
        with pytest.raises(LimiterBusyError, match="as many requests"):
            limiter.call()
        limiter.call(with_place=False).release()
