"""A second ticket that slipped through is found, closed, and alarmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from service.core.ledger import ExtraTicket, State
from tests.workers.bench import LOCATION, Bench
from workers import sweep
from workers.reconcile import Reconciler

if TYPE_CHECKING:
    from collections.abc import Mapping


def sweeper(bench: Bench) -> sweep.Sweeper:
    bench.deliverer()
    assert bench.client is not None
    return sweep.Sweeper(bench.ledger, Reconciler(bench.ledger, bench.redis, bench.client), bench.client)


def delivered(bench: Bench) -> str:
    event = bench.deliver(bench.accept())
    assert event.state is State.DELIVERED
    return event.id


def twin(bench: Bench, event: str, **changes: str) -> None:
    """Make another ticket of an event, as a worker does that wakes up too late."""
    draft = bench.ledger.event(event).draft
    assert draft is not None
    assert bench.client is not None
    bench.client.create_ticket({**draft, **changes})


def statuses(bench: Bench) -> Mapping[int, str]:
    return {ticket["number"]: ticket["status"] for ticket in bench.tickets()}


def test_the_second_ticket_is_closed_and_the_alarm_raised_once(bench: Bench) -> None:
    event = delivered(bench)
    twin(bench, event)

    for _ in range(2):
        sweeper(bench).sweep(event)

    found = bench.ledger.event(event)
    extra = bench.tickets()[1]["id"]
    assert statuses(bench) == {1: "new", 2: "closed"}
    assert list(found.extra_tickets) == [ExtraTicket(extra, 2, closed=True)]
    assert [alarm.id for alarm in bench.ledger.alarms()] == [event]
    assert bench.ledger.stats().counters["doubled:web"] == 1
    assert "#2 (closed)" in bench.ledger.history(event)[-1].why


def test_a_ticket_in_which_a_person_quotes_the_marker_is_left_open(bench: Bench) -> None:
    event = delivered(bench)
    twin(bench, event, text=f"What became of Ref: {bench.ledger.event(event).marker}")

    sweeper(bench).sweep(event)

    assert statuses(bench) == {1: "new", 2: "new"}
    (extra,) = bench.ledger.event(event).extra_tickets
    assert not extra.closed


def test_where_its_own_ticket_is_not_seen_nobody_can_tell_which_is_the_second(bench: Bench) -> None:
    event = delivered(bench)
    requests.delete(f"{bench.base}/sandbox/tickets", timeout=5)
    twin(bench, event)

    sweeper(bench).sweep(event)

    assert statuses(bench) == {1: "new"}
    assert bench.ledger.event(event).extra_tickets == ()


def test_one_listing_serves_all_that_are_swept_about_then(bench: Bench) -> None:
    events = [bench.deliver(bench.accept(key=str(number))).id for number in range(5)]
    sweeping = sweeper(bench)

    for event in events:
        sweeping.sweep(event)

    counts = requests.get(f"{bench.base}/sandbox/requests", timeout=5).json()["counts"]
    assert sum(count["count"] for count in counts if count["method"] == "GET") == 1


def test_a_stray_ticket_is_looked_for_in_a_list_that_is_read_after_it(bench: Bench) -> None:
    event = delivered(bench)
    sweeper(bench).sweep(event)
    twin(bench, event)
    bench.ledger.stray(event, "")

    sweeper(bench).sweep(event)

    assert statuses(bench) == {1: "new", 2: "closed"}


def test_a_single_ticket_is_left_alone(bench: Bench) -> None:
    event = delivered(bench)

    sweeper(bench).sweep(event)

    assert statuses(bench) == {1: "new"}
    assert bench.ledger.alarms() == []


def test_a_list_that_cannot_be_read_is_looked_at_the_next_time(bench: Bench) -> None:
    event = delivered(bench)
    twin(bench, event)
    bench.fault(kind="status", status=500, methods=["GET"])

    sweeper(bench).sweep(event)

    assert bench.ledger.event(event).extra_tickets == ()


def test_while_another_reads_the_list_for_too_long_nothing_is_concluded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_PATIENCE", 0.05)
    event = delivered(bench)
    twin(bench, event)

    with bench.redis.lock(f"bridge:listing-lock:{LOCATION}", timeout=60):
        sweeper(bench).sweep(event)

    assert bench.ledger.event(event).extra_tickets == ()


def test_what_is_not_delivered_or_not_there_is_not_swept(bench: Bench) -> None:
    event = bench.accept()

    for each in (event, "nothing"):
        sweeper(bench).sweep(each)

    counts = requests.get(f"{bench.base}/sandbox/requests", timeout=5).json()
    assert counts["total"] == 0


def test_an_event_whose_end_was_unknown_is_watched_for_a_day(bench: Bench) -> None:
    identifier = bench.accept()
    bench.fault(kind="error_after_commit")
    bench.deliver(identifier)
    bench.fault()
    bench.deliver(identifier)
    redis: Any = bench.redis

    times = []
    while watch := redis.zrange("bridge:watch", 0, -1, withscores=True):
        ((event, at),) = watch
        times.append(round((at - bench.ledger.now()) / 1000))
        redis.zadd("bridge:watch", {event: 0})
        assert bench.ledger.watched() == [identifier]

    assert times == [15, 45, 540, 85800]


def test_an_event_that_never_was_in_doubt_is_not_watched(bench: Bench) -> None:
    delivered(bench)

    assert bench.redis.zcard("bridge:watch") == 0


@pytest.mark.parametrize(("ticket", "watched"), [("own", False), ("other", True)])
def test_a_stray_ticket_has_its_event_looked_for_at_once(bench: Bench, ticket: str, *, watched: bool) -> None:
    event = delivered(bench)
    own = bench.ledger.event(event).ticket_id

    assert bench.ledger.stray(event, own if ticket == "own" else "other") == watched
    assert bench.ledger.watched() == ([event] if watched else [])


def test_a_stray_ticket_of_no_event_is_nothing(bench: Bench) -> None:
    assert not bench.ledger.stray("nothing", "ticket")
    assert not bench.ledger.doubled("nothing", [], "")


def test_an_event_that_was_replayed_meanwhile_is_watched_no_more(bench: Bench) -> None:
    event = bench.accept()
    bench.ledger.stray(event, "ticket")

    assert bench.ledger.watched() == [event]
    assert bench.redis.zcard("bridge:watch") == 0


def test_the_job_sweeps_with_what_was_installed(bench: Bench) -> None:
    event = delivered(bench)
    twin(bench, event)
    sweep.install(sweeper(bench))

    sweep.sweep(event)

    assert statuses(bench) == {1: "new", 2: "closed"}
