"""A server that is out of memory takes nothing new, and lets everything end that was begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.exceptions import RedisError

from service.core.errors import Unavailable
from service.core.ledger import ExtraTicket, Ledger, State
from service.core.source import Key
from service.core.store import Headroom, inspect, writable
from tests.ledger.steps import DAY, DONE, DRAFT, Steps, retry

if TYPE_CHECKING:
    from redis import Redis


@pytest.fixture
def roomless(any_steps: Steps) -> Steps:
    """Give steps whose accept does not look for headroom first, as between two looks."""
    any_steps.ledger._room.headroom = Headroom(any_steps.redis, every=3600)
    any_steps.ledger._room.headroom.check()
    return any_steps


def fill(redis: Redis) -> None:
    """Let the server be out of memory from now on."""
    redis.config_set("maxmemory", "1")


@pytest.mark.parametrize("parts", [[["new"]], [["known"]], [["known", "alias"]], [["known"], ["new"]]])
def test_accept_fails_whole(roomless: Steps, parts: list[list[str]]) -> None:
    roomless.accept("known")
    before = roomless.dump()
    fill(roomless.redis)

    with pytest.raises(RedisError, match="maxmemory"):
        roomless.accept_parts(parts)

    assert roomless.dump() == before


def test_take_fails_whole_since_its_jobs_would_find_no_room(any_steps: Steps) -> None:
    any_steps.accept()
    before = any_steps.dump()
    fill(any_steps.redis)

    with pytest.raises(RedisError, match="maxmemory"):
        any_steps.take()

    assert any_steps.dump() == before


def test_what_was_handed_out_is_delivered(any_steps: Steps) -> None:
    event = any_steps.accept()
    any_steps.take()
    fill(any_steps.redis)

    claim = any_steps.ledger.claim(event, "w1")
    assert claim is not None
    assert any_steps.ledger.know(claim, [Key("late")]) == ""
    assert any_steps.ledger.begin(claim, DRAFT, {"subject": "x" * 1000}) == 1
    assert any_steps.ledger.renew(claim)
    any_steps.ledger.record(claim, DONE)

    assert any_steps.state(event) is State.DELIVERED
    assert any_steps.ledger.event(event).ticket_number == 7


def test_second_tickets_are_looked_for_and_alarmed(any_steps: Steps) -> None:
    event = any_steps.record(DONE)
    fill(any_steps.redis)

    assert any_steps.ledger.stray(event, "another")
    assert any_steps.ledger.watched() == [event]
    assert any_steps.ledger.doubled(event, [ExtraTicket("another", 8, closed=True)], "thawed")


def test_failures_are_recorded_and_people_are_obeyed(any_steps: Steps) -> None:
    event, other = any_steps.accept(), any_steps.accept()
    claim = any_steps.begin(event)
    fill(any_steps.redis)

    any_steps.ledger.record(claim, retry(60))
    assert any_steps.ledger.operate(event, "hold", "ada").state is State.HELD
    assert any_steps.ledger.resume() == 0
    assert any_steps.ledger.claim(other, "w2") is not None


def test_retention_makes_room(any_steps: Steps) -> None:
    any_steps.record(DONE)
    any_steps.pass_time(91 * DAY)
    fill(any_steps.redis)

    any_steps.ledger.purge()

    assert any_steps.ledger.events().events == []


def test_a_script_that_the_server_has_forgotten_is_loaded_again_without_room(any_steps: Steps) -> None:
    claim = any_steps.begin(any_steps.accept())
    any_steps.redis.script_flush()
    fill(any_steps.redis)

    any_steps.ledger.record(claim, DONE)

    assert any_steps.state(claim.event.id) is State.DELIVERED


def test_near_the_end_of_the_memory_accept_refuses_while_deliveries_are_recorded(any_steps: Steps) -> None:
    claim = any_steps.begin(any_steps.accept())
    # So much that what clients and the server itself use makes no difference.
    any_steps.redis.setrange("filler", 40 << 20, b"x")
    used = int(any_steps.redis.info("memory")["used_memory"])
    any_steps.redis.config_set("maxmemory", int(used / 0.94))
    fresh = Ledger(any_steps.redis, any_steps.ledger._blobs)

    with pytest.raises(Unavailable, match="nearly full"):
        Steps(fresh, any_steps.redis).accept()
    any_steps.ledger.record(claim, DONE)

    assert any("nearly full" in problem for problem in inspect(any_steps.redis).problems)
    assert writable(any_steps.redis) == ""
    assert any_steps.state(claim.event.id) is State.DELIVERED


def test_a_full_server_does_not_take_writes_and_says_so(any_redis: Redis) -> None:
    fill(any_redis)

    assert writable(any_redis) == "Redis does not take writes: OutOfMemoryError"
