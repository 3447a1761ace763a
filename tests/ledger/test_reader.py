"""Lists of events: pages, filters, search; and the figures."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import NoSuchEvent
from service.core.ledger import Page, State, reader
from service.core.store import PREFIX
from tests.ledger.steps import DONE, REFUSED, retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ledger.steps import Steps


def walk(page: Callable[[str | None], Page]) -> list[list[str]]:
    """Give the ids of each page, from the first to the last."""
    pages: list[list[str]] = []
    cursor: str | None = None
    while not pages or cursor is not None:
        found = page(cursor)
        pages.append([event.id for event in found.events])
        cursor = found.cursor
    return pages


def flat(pages: list[list[str]]) -> list[str]:
    return [event for page in pages for event in page]


def plant(steps: Steps, times: list[int]) -> list[str]:
    """Keep events that came in at these milliseconds; gives them newest first, as lists should."""
    events = list(steps.accept_parts([[f"k{at}"] for at in range(len(times))]).events) if times else []
    for event, at in zip(events, times, strict=True):
        for index in ("events", "state:queued", "channel:web"):
            steps.redis.zadd(f"{PREFIX}{index}", {event: at})
    return [event for _, event in sorted(zip(times, events, strict=True), reverse=True)]


@given(times=st.lists(st.integers(1, 6), max_size=40), limit=st.integers(1, 12), filtered=st.booleans())
def test_walking_all_pages_gives_each_event_exactly_once_newest_first(
    steps: Steps,
    times: list[int],
    limit: int,
    filtered: bool,  # noqa: FBT001 - drawn
) -> None:
    steps.redis.flushall()
    expected = plant(steps, times)
    states = [State.QUEUED] if filtered else []

    pages = walk(lambda cursor: steps.ledger.events(states=states, limit=limit, cursor=cursor))

    assert flat(pages) == expected
    assert all(len(page) == limit for page in pages[:-1])


def test_more_events_in_one_millisecond_than_are_fetched_at_once_are_all_walked(steps: Steps) -> None:
    expected = plant(steps, [5] * 450 + [6] * 30)

    pages = walk(lambda cursor: steps.ledger.events(limit=7, cursor=cursor))

    assert flat(pages) == expected


def test_a_page_holds_at_the_most_two_hundred_and_at_least_one(steps: Steps) -> None:
    plant(steps, list(range(1, 251)))

    assert len(steps.ledger.events(limit=10_000).events) == reader.MAX_PAGE
    assert len(steps.ledger.events(limit=-1).events) == 1


def test_an_event_that_came_meanwhile_moves_no_page(steps: Steps) -> None:
    expected = plant(steps, [1, 2, 3, 4])
    first = steps.ledger.events(limit=2)
    steps.accept()

    second = steps.ledger.events(limit=2, cursor=first.cursor)

    assert [event.id for event in (*first.events, *second.events)] == expected


def test_what_is_aged_out_while_a_page_is_read_is_left_out(steps: Steps) -> None:
    expected = plant(steps, [1, 2, 3])
    steps.redis.delete(f"{PREFIX}event:{expected[1]}")

    assert flat(walk(lambda cursor: steps.ledger.events(cursor=cursor))) == [expected[0], expected[2]]


def test_states_and_channel_filter_together(steps: Steps) -> None:
    dead = steps.record(REFUSED)
    done = steps.record(DONE)
    queued = steps.accept()
    other = steps.accept(channel="mail")

    def ids(*states: State, channel: str = "") -> set[str]:
        return {event.id for event in steps.ledger.events(states=states, channel=channel).events}

    assert ids() == {dead, done, queued, other}
    assert ids(State.DEAD) == {dead}
    assert ids(State.DEAD, State.DELIVERED) == {dead, done}
    assert ids(channel="mail") == {other}
    assert ids(State.QUEUED, channel="web") == {queued}
    assert ids(State.DEAD, State.QUEUED, channel="mail") == {other}


@pytest.mark.parametrize("query", ["#7", "WI-FI", "ada@EXAMPLE", "Ada"])
def test_a_search_looks_into_number_subject_and_sender_without_case(steps: Steps, query: str) -> None:
    event = steps.record(DONE)
    steps.accept()

    assert [found.id for found in steps.ledger.events(query=query).events] == [event]


def test_a_search_looks_into_id_marker_and_reason(steps: Steps) -> None:
    event = steps.record(REFUSED)
    steps.accept()
    marker = steps.ledger.event(event).marker

    for query in (event, marker.upper(), "no such LOCATION"):
        assert [found.id for found in steps.ledger.events(query=query).events] == [event]
    assert steps.ledger.events(query="nothing like it").events == []


def test_a_search_looks_at_so_many_events_at_once_and_says_where_to_go_on(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MAX_SCANNED", 10)
    expected = plant(steps, list(range(1, 36)))
    steps.redis.hset(f"{PREFIX}event:{expected[-1]}", "subject", "needle")

    pages = walk(lambda cursor: steps.ledger.events(query="needle", cursor=cursor))

    assert pages == [[], [], [], [expected[-1]]]


@given(cursor=st.text(max_size=30) | st.from_regex(r"[0-9]{1,400}:[a-z0-9]{1,30}", fullmatch=True))
def test_any_cursor_gives_a_page_or_is_refused(steps: Steps, cursor: str) -> None:
    steps.accept("one")

    with suppress(ValueError):
        assert len(steps.ledger.events(cursor=cursor).events) <= 1


@pytest.mark.parametrize("cursor", ["", ":", "12", "12:", ":abc", "-1:abc", "+inf:abc", "1:a b", "²:abc"])
def test_a_cursor_of_another_kind_is_refused(steps: Steps, cursor: str) -> None:
    with pytest.raises(ValueError, match="not one that this API gave out"):
        steps.ledger.events(cursor=cursor)


def test_an_event_that_never_was_is_said_to_be_gone(steps: Steps) -> None:
    with pytest.raises(NoSuchEvent):
        steps.ledger.event("nosuchevent")


def test_the_figures_count_states_lanes_and_places(steps: Steps) -> None:
    steps.record(DONE)
    steps.record(retry(60))
    steps.pass_time(10)
    oldest = steps.ledger.events(states=[State.RETRYING]).events[0].received
    steps.accept(lane="person")
    steps.accept()
    steps.take()

    stats = steps.ledger.stats()

    assert {state: n for state, n in stats.states.items() if n} == {
        "delivered": 1,
        "retrying": 1,
        "queued": 2,
    }
    assert (stats.due, stats.handed_out, stats.pause) == ({"person": 1, "backlog": 2}, 1, None)
    assert stats.oldest_waiting == oldest


def test_an_empty_ledger_has_nothing_waiting(steps: Steps) -> None:
    stats = steps.ledger.stats()

    assert (stats.oldest_waiting, stats.counters) == (None, {})
    assert set(stats.states) == set(State)


def test_a_pause_says_why_and_until_when(steps: Steps) -> None:
    steps.pause(probe=30)

    pause = steps.ledger.stats().pause
    assert pause is not None
    assert (pause.kind, pause.why, (pause.until - pause.since).total_seconds()) == (
        "credentials",
        "503: busy",
        30,
    )
    assert abs((datetime.now(UTC) - pause.since).total_seconds()) < 60
