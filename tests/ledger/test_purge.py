"""`purge`: bodies go 30 days after the end, summaries 90; dead and held events never."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service.core.blobs import DirectoryBlobs, RedisBlobs
from service.core.errors import NoSuchEvent, StoreFull
from service.core.ledger import Keeping, Ledger, State
from service.core.request import Headers, InboundRequest
from service.core.source import Key, Part
from service.core.store import PREFIX
from tests.ledger.steps import DAY, DONE, HOUR, IGNORED, REFUSED, REQUEST, Steps

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis

    from service.core.blobs import Blobs


def keys_left(steps: Steps) -> set[str]:
    """Give what is in Redis beside counters and the like, and the last few tickets of a location."""
    names = (key.removeprefix(PREFIX) for key in steps.dump())
    kept = ("counters", "turn", "wake", "dead", "clock", "ours", "epoch")
    return {name for name in names if name.partition(":")[0] not in kept}


def test_the_body_goes_after_thirty_days_and_the_summary_after_ninety(steps: Steps) -> None:
    event = steps.record(DONE)
    steps.pass_time(30 * DAY - HOUR)
    steps.ledger.purge()
    assert steps.ledger.request(steps.ledger.event(event)) == REQUEST

    steps.pass_time(2 * HOUR)
    steps.ledger.purge()
    found = steps.ledger.event(event)
    assert (found.has_body, found.draft, steps.ledger.request(found)) == (False, None, None)
    assert (found.ticket_number, found.subject) == (7, "Wi-Fi")

    steps.pass_time(60 * DAY)
    steps.ledger.purge()
    with pytest.raises(NoSuchEvent):
        steps.ledger.event(event)
    assert keys_left(steps) == set()


def test_the_time_counts_from_the_end_not_from_the_beginning(steps: Steps) -> None:
    event = steps.accept()
    steps.pass_time(200 * DAY)
    steps.record(IGNORED, event)

    steps.pass_time(29 * DAY)
    steps.ledger.purge()

    assert steps.ledger.event(event).has_body


def test_what_is_not_finished_never_ages_out(steps: Steps) -> None:
    dead = steps.record(REFUSED)
    held = steps.accept()
    steps.ledger.operate(held, "hold", "ada")
    queued = steps.accept()
    for _ in range(5):
        steps.pass_time(100 * DAY)
        steps.ledger.purge()

    for event in (dead, held, queued):
        assert steps.ledger.request(steps.ledger.event(event)) == REQUEST


def test_what_is_replayed_counts_anew_from_its_next_end(steps: Steps) -> None:
    event = steps.record(IGNORED)
    steps.pass_time(20 * DAY)
    steps.ledger.operate(event, "replay", "ada")
    steps.pass_time(20 * DAY)
    steps.ledger.purge()
    assert steps.ledger.event(event).has_body

    steps.record(DONE, event)
    steps.pass_time(29 * DAY)
    steps.ledger.purge()
    assert steps.ledger.event(event).has_body


def test_the_body_of_a_batch_stays_while_any_of_its_events_needs_it(steps: Steps) -> None:
    done, dead = steps.accept_parts([["one"], ["two"]]).events
    steps.record(DONE, done)
    steps.ledger.operate(dead, "hold", "ada")
    for _ in range(2):
        steps.pass_time(50 * DAY)
        steps.ledger.purge()

    assert steps.ledger.request(steps.ledger.event(dead)) == REQUEST

    steps.ledger.operate(dead, "discard", "ada")
    steps.pass_time(31 * DAY)
    steps.ledger.purge()
    assert not steps.redis.exists(f"{PREFIX}request:{done}")


def test_bodies_go_with_their_summaries_where_these_are_kept_for_less_time(redis: Redis) -> None:
    blobs = RedisBlobs(redis, prefix=PREFIX, cap=1 << 20)
    steps = Steps(Ledger(redis, blobs, keeping=Keeping(summaries_days=10)), redis)
    steps.record(DONE)
    steps.pass_time(40 * DAY)

    steps.ledger.purge(most=1)

    assert keys_left(steps) == set()


def test_no_more_than_asked_for_is_done_at_once(steps: Steps) -> None:
    for _ in range(5):
        steps.record(DONE)
    steps.pass_time(100 * DAY)

    steps.ledger.purge(most=2)

    assert len(steps.index("events")) == 3


def test_what_the_server_lost_does_not_stand_in_the_way_of_the_rest(steps: Steps) -> None:
    lost, event = steps.record(DONE), steps.record(DONE)
    steps.redis.delete(f"{PREFIX}event:{lost}")
    steps.pass_time(100 * DAY)

    steps.ledger.purge()

    assert steps.index("finished") == steps.index("bodies") == steps.index("events") == set()
    with pytest.raises(NoSuchEvent):
        steps.ledger.event(event)


@pytest.mark.parametrize("kind", ["redis", "directory"])
def test_large_bodies_leave_the_blob_store_with_their_event(redis: Redis, tmp_path: Path, kind: str) -> None:
    blobs = RedisBlobs(redis, prefix=PREFIX, cap=1 << 20) if kind == "redis" else DirectoryBlobs(tmp_path)
    steps = Steps(Ledger(redis, blobs), redis)
    large = InboundRequest("POST", "https://b.example/hooks/web", Headers(), b"x" * 65_537)
    accepted = steps.ledger.accept(
        large, channel="web", source="form", lane="backlog", parts=[Part((Key("one"),))]
    )
    (event,) = accepted.events
    steps.record(DONE, event)
    assert steps.ledger.purge() == 0
    steps.pass_time(31 * DAY)

    assert steps.ledger.purge() == 1
    assert blobs.get(event) is None
    assert steps.state(event) is State.DELIVERED


def test_a_large_body_whose_accept_never_went_through_is_found_after_an_hour(steps: Steps) -> None:
    steps.ledger._blobs.put("orphan", b"x")
    assert steps.ledger.purge() == 0
    steps.pass_time(2 * HOUR)

    assert steps.ledger.purge() == 1
    assert steps.ledger._blobs.get("orphan") is None


def heavy(steps: Steps, blobs: Blobs) -> Ledger:
    """Give the ledger that keeps every body in this store."""
    return Ledger(steps.redis, blobs, keeping=Keeping(blob_threshold=0))


def keep(ledger: Ledger, key: str, size: int) -> str:
    request = InboundRequest("POST", "https://bridge.example/hooks/web", Headers(), b"x" * size)
    return ledger.accept(
        request, channel="web", source="form", lane="backlog", parts=[Part((Key(key),))]
    ).events[0]


def test_the_oldest_large_bodies_of_what_is_finished_give_way_to_a_new_one(steps: Steps) -> None:
    ledger = steps.ledger = heavy(steps, RedisBlobs(steps.redis, prefix=PREFIX, cap=100))
    events = [keep(ledger, f"k{number}", 15) for number in range(6)]
    for event in events[1:]:
        steps.record(DONE, event)

    newest = keep(ledger, "new", 60)

    kept = [event for event in [*events, newest] if ledger.request(ledger.event(event)) is not None]
    assert kept == [events[0], events[5], newest]
    assert ledger.event(events[1]).draft is not None


def test_what_is_not_finished_gives_way_to_nothing(steps: Steps) -> None:
    ledger = steps.ledger = heavy(steps, RedisBlobs(steps.redis, prefix=PREFIX, cap=100))
    waiting, dead = keep(ledger, "waiting", 40), keep(ledger, "dead", 40)
    steps.record(REFUSED, dead)

    with pytest.raises(StoreFull, match="no room for this one"):
        keep(ledger, "new", 40)

    assert all(ledger.request(ledger.event(event)) for event in (waiting, dead))


def test_what_is_replayed_is_unfinished_again_and_stays(steps: Steps) -> None:
    ledger = steps.ledger = heavy(steps, RedisBlobs(steps.redis, prefix=PREFIX, cap=100))
    event = keep(ledger, "k", 60)
    steps.record(IGNORED, event)
    ledger.operate(event, "replay", by="ann")

    with pytest.raises(StoreFull):
        keep(ledger, "new", 60)

    assert ledger.request(ledger.event(event)) is not None


def test_a_nearly_full_server_lets_finished_bodies_go_before_it_takes_nothing(steps: Steps) -> None:
    ledger = steps.ledger = Ledger(steps.redis, RedisBlobs(steps.redis, prefix=PREFIX, cap=1))
    events = [steps.record(DONE, keep(ledger, f"k{number}", 50_000)) for number in range(40)]
    memory: Any = steps.redis.info("memory")
    steps.redis.config_set("maxmemory", str(int(memory["used_memory"] * 1.05)))
    ledger._room.headroom.forget()

    try:
        newest = keep(ledger, "new", 10)
    finally:
        steps.redis.config_set("maxmemory", "0")

    assert ledger.request(ledger.event(newest)) is not None
    assert ledger.request(ledger.event(events[0])) is None


@pytest.mark.parametrize("size", [150, 70])
def test_nothing_goes_for_what_would_have_no_room_without_it_either(steps: Steps, size: int) -> None:
    ledger = steps.ledger = heavy(steps, RedisBlobs(steps.redis, prefix=PREFIX, cap=100))
    finished = steps.record(DONE, keep(ledger, "finished", 20))
    keep(ledger, "waiting", 50)

    with pytest.raises(StoreFull):
        keep(ledger, "new", size)

    assert ledger.request(ledger.event(finished)) is not None


def test_a_batch_gives_way_when_all_of_it_is_finished(steps: Steps) -> None:
    ledger = steps.ledger = heavy(steps, RedisBlobs(steps.redis, prefix=PREFIX, cap=100))
    request = InboundRequest("POST", "https://bridge.example/hooks/web", Headers(), b"x" * 60)
    parts = [Part((Key("one"),), "0"), Part((Key("two"),), "1")]
    one, two = ledger.accept(request, channel="web", source="form", lane="backlog", parts=parts).events
    steps.record(DONE, one)

    with pytest.raises(StoreFull):
        keep(ledger, "new", 60)
    kept = ledger.request(ledger.event(one))
    steps.record(DONE, two)
    keep(ledger, "new", 60)

    assert kept is not None
    assert [ledger.request(ledger.event(event)) for event in (one, two)] == [None, None]


def test_a_server_that_something_else_fills_costs_few_bodies_and_once_in_a_while(steps: Steps) -> None:
    ledger = steps.ledger = Ledger(steps.redis, RedisBlobs(steps.redis, prefix=PREFIX, cap=1))
    now = [1000.0]
    ledger._room._clock = lambda: now[0]
    for number in range(250):
        steps.record(DONE, keep(ledger, f"k{number}", 10))
    steps.redis.set("another's", b"x" * 20_000_000)
    steps.redis.config_set("maxmemory", "1")
    ledger._room.headroom.forget()

    def bodies_after_a_try() -> int:
        with pytest.raises(StoreFull):
            keep(ledger, "new", 10)
        left: Any = steps.redis.zcard(f"{PREFIX}bodies")
        return int(left)

    try:
        left = [bodies_after_a_try(), bodies_after_a_try()]
        now[0] += 61
        left.append(bodies_after_a_try())
    finally:
        steps.redis.config_set("maxmemory", "0")

    assert left == [50, 50, 0]


def test_a_blob_store_that_others_fill_again_is_not_asked_for_ever(steps: Steps) -> None:
    rounds: list[str] = []

    class Contested(RedisBlobs):
        """A store in which somebody else takes whatever room there is."""

        def put(self, key: str, data: bytes) -> None:
            rounds.append(key)
            raise StoreFull("full")

    ledger = heavy(steps, Contested(steps.redis, prefix=PREFIX, cap=1000))

    with pytest.raises(StoreFull):
        keep(ledger, "new", 60)

    assert len(rounds) == 21
