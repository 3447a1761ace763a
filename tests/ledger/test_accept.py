"""`accept`: dedupe keys, records, indexes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from service.core.ledger import Keeping, State
from service.core.ledger.ids import marker_of
from service.core.request import Headers, InboundRequest
from service.core.source import Key, Part
from service.core.store import PREFIX
from tests.conftest import ledger_on
from tests.ledger.steps import DAY, DONE, HOUR, REFUSED, Steps

if TYPE_CHECKING:
    from redis import Redis


def test_a_new_event_is_queued_due_at_once_and_in_every_index(steps: Steps) -> None:
    event = steps.accept("one", lane="person")

    found = steps.ledger.event(event)
    assert (found.state, found.due, found.lane) == (State.QUEUED, found.received, "person")
    assert (found.marker, found.dedupe, found.has_body) == (marker_of(event), "one", True)
    for index in ("due:person", "events", "state:queued", "channel:web"):
        assert steps.index(index) == {event}
    assert steps.index("due:backlog") == set()
    assert steps.redis.llen(f"{PREFIX}wake") == 1


def test_a_repeat_gives_the_first_events_id_and_writes(steps: Steps) -> None:
    event = steps.accept("one")
    before = steps.dump()

    again = steps.accept_parts([["one"]])

    assert (again.status, again.events, again.fresh) == ("duplicate", (event,), frozenset())
    assert steps.ledger.event(event).repeats == 1
    assert steps.dump() != before
    assert steps.index("events") == {event}


def test_a_key_that_only_the_repeat_carries_finds_the_event_from_then_on(steps: Steps) -> None:
    event = steps.accept("one")
    steps.accept("one", "two")

    assert steps.accept("two") == event
    assert steps.ttl("two") is None


def test_a_key_that_comes_after_the_end_expires_like_the_others(steps: Steps) -> None:
    event = steps.record(DONE, steps.accept("one"))

    assert steps.accept("one", "two", "content") == event
    assert steps.ttl("two") == pytest.approx(30 * DAY, abs=60)
    assert steps.ttl("content") == pytest.approx(DAY, abs=60)


def test_keys_live_for_ever_while_the_event_is_unfinished(steps: Steps) -> None:
    event = steps.accept("one", "content")
    steps.pass_time(40 * DAY)
    steps.record(REFUSED, event)
    steps.pass_time(40 * DAY)

    assert (steps.ttl("one"), steps.ttl("content")) == (None, None)
    assert steps.accept("content") == event


def test_keys_get_what_is_left_of_their_time_when_the_event_ends_and_content_keys_less(steps: Steps) -> None:
    event = steps.accept("one", "content")
    steps.pass_time(10 * HOUR)

    steps.record(DONE, event)

    assert steps.ttl("one") == pytest.approx(30 * DAY - 10 * HOUR, abs=60)
    assert steps.ttl("content") == pytest.approx(14 * HOUR, abs=60)


def test_keys_of_an_event_that_took_longer_than_they_live_stay_an_hour(steps: Steps) -> None:
    event = steps.accept("one", "content")
    steps.pass_time(60 * DAY)

    steps.record(DONE, event)

    assert steps.ttl("one") == pytest.approx(HOUR, abs=60)
    assert steps.ttl("content") == pytest.approx(HOUR, abs=60)


def test_keys_are_kept_for_ever_again_while_an_event_is_replayed(steps: Steps) -> None:
    event = steps.accept("one")
    steps.ledger.operate(event, "discard", "ada")
    assert steps.ttl("one") == pytest.approx(30 * DAY, abs=60)

    steps.ledger.operate(event, "replay", "ada")

    assert steps.ttl("one") is None


def test_a_key_that_expired_and_is_another_events_now_stays_the_others(steps: Steps) -> None:
    first = steps.accept("one", "content")
    steps.ledger.operate(first, "discard", "ada")
    steps.pass_time(2 * DAY)
    second = steps.accept("two", "content")
    steps.ledger.operate(first, "replay", "ada")

    steps.ledger.operate(first, "discard", "ada")

    assert steps.accept("content") == second
    assert steps.ttl("content") is None


def test_a_content_key_that_expired_makes_a_new_event(steps: Steps) -> None:
    first = steps.record(DONE, steps.accept("content"))
    steps.pass_time(DAY)

    assert steps.accept("content") != first


def test_a_repeat_of_what_has_been_aged_out_makes_no_new_event(redis: Redis) -> None:
    keeping = Keeping(dedupe_days=120)
    ledger = ledger_on(redis, keeping=keeping)
    steps = Steps(ledger, redis)
    event = steps.record(DONE, steps.accept("one"))
    steps.pass_time(100 * DAY)
    ledger.purge()

    again = steps.accept_parts([["one", "two"]])

    assert (again.status, again.events) == ("duplicate", (event,))
    assert steps.index("events") == set()
    assert steps.ttl("two") == pytest.approx(120 * DAY, abs=60)


def test_the_same_key_in_another_channel_is_another_event(steps: Steps) -> None:
    assert steps.accept("one", channel="web") != steps.accept("one", channel="mail")


def test_each_part_of_a_batch_is_an_event_of_its_own(steps: Steps) -> None:
    known = steps.accept("two")

    batch = steps.accept_parts([["one"], ["two"], ["three"], ["one"]])

    first, second, third, fourth = batch.events
    assert (batch.status, second, fourth) == ("accepted", known, first)
    assert batch.fresh == {first, third}
    assert {steps.field(event, "request") for event in (first, third)} == {first}
    assert steps.redis.hget(f"{PREFIX}request:{first}", "refs") == b"2"


def test_the_same_call_after_a_lost_answer_gives_the_same_answer(steps: Steps) -> None:
    request = {
        "id": "r1",
        "channel": "web",
        "source": "form",
        "lane": "backlog",
        "blob": False,
        "meta": "{}",
        "parts": [
            {"id": f"e{n}", "marker": "m", "slice": "", "shown": "k", "keys": [[f"k{n}", 1000]]}
            for n in (1, 2)
        ],
    }
    answers = [
        json.loads(steps.ledger._scripts.run("accept", json.dumps(request), b"body")) for _ in range(2)
    ]

    assert answers[0] == answers[1] == [["e1", "new"], ["e2", "new"]]
    assert steps.redis.hget(f"{PREFIX}request:r1", "refs") == b"2"
    assert steps.ledger.event("e1").repeats == 0


def test_text_that_no_json_reader_takes_is_kept_with_marks_in_its_place(steps: Steps) -> None:
    part = Part((Key("\ud800"),), "\udcff")

    accepted = steps.ledger.accept(
        InboundRequest("POST", "https://b.example/hooks/web", Headers((("X", "\udcff"),)), b""),
        channel="web",
        source="form",
        lane="backlog",
        parts=[part],
    )

    event = steps.ledger.event(accepted.events[0])
    kept = steps.ledger.request(event)
    assert (event.dedupe, event.slice) == ("?", "?")
    assert kept is not None
    assert kept.headers.get("X") == "\udcff"


def test_a_large_body_goes_to_the_blob_store_and_comes_back(steps: Steps) -> None:
    large = InboundRequest("POST", "https://b.example/hooks/web", Headers(), b"x" * 65_537)
    parts = [Part((Key("one"),))]

    accepted = steps.ledger.accept(large, channel="web", source="form", lane="backlog", parts=parts)
    steps.ledger.accept(large, channel="web", source="form", lane="backlog", parts=parts)

    event = steps.ledger.event(accepted.events[0])
    assert steps.ledger.request(event) == large
    # The repeat left nothing behind.
    assert steps.redis.hlen(f"{PREFIX}blobs:size") == 1


def test_a_body_that_is_gone_is_none(steps: Steps) -> None:
    large = InboundRequest("POST", "https://b.example/hooks/web", Headers(), b"x" * 65_537)
    accepted = steps.ledger.accept(
        large, channel="web", source="form", lane="backlog", parts=[Part((Key("one"),))]
    )
    event = steps.ledger.event(accepted.events[0])
    steps.redis.delete(f"{PREFIX}blob:{event.id}")

    assert steps.ledger.request(event) is None


def test_waiting_ends_when_something_is_accepted_or_the_time_is_over(steps: Steps) -> None:
    steps.accept()
    steps.ledger.wait(60)

    steps.ledger.wait(0)

    assert not steps.redis.exists(f"{PREFIX}wake")
