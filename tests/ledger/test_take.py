"""`take`: what is due, in which order, and never past the cap or round a pause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.core.ledger import Failing
from service.core.store import PREFIX
from tests.ledger.steps import BACK, DONE, IGNORED, retry

if TYPE_CHECKING:
    from tests.ledger.steps import Steps

OUTAGE = Failing("outage", 2, 30)


def test_an_event_is_handed_out_once_until_its_handover_ends(steps: Steps) -> None:
    event = steps.accept()

    (first,) = steps.ledger.take(10, cap=10)
    assert steps.take() == []
    steps.pass_time(10)
    (second,) = steps.ledger.take(10, cap=10)

    assert first.event == second.event == event
    assert (first.job, second.job) == (f"{event}-1", f"{event}-2")


def test_the_oldest_goes_first_and_no_more_than_asked_for(steps: Steps) -> None:
    events = []
    for _ in range(3):
        steps.pass_time(1)
        events.append(steps.accept())

    assert steps.take(2) == events[:2]
    assert steps.take(2) == events[2:]


def test_a_take_that_finds_nothing_writes_nothing(steps: Steps) -> None:
    steps.record(retry(60))
    before = steps.dump()

    assert steps.take() == []
    # But for what it takes to notice that the clock was set back.
    assert {**steps.dump(), f"{PREFIX}clock": b""} == {**before, f"{PREFIX}clock": b""}


def test_nothing_is_handed_out_before_its_back_off_ends(steps: Steps) -> None:
    event = steps.record(retry(60))

    steps.pass_time(59)
    assert steps.take() == []
    steps.pass_time(1)
    assert steps.take() == [event]


def test_handed_out_and_leased_events_count_against_the_cap(steps: Steps) -> None:
    for _ in range(5):
        steps.accept()
    handed = steps.take(10, cap=3)
    assert len(handed) == 3

    claim = steps.ledger.claim(handed[0], "w1")
    assert claim is not None
    assert steps.take(10, cap=3) == []
    steps.ledger.record(claim, BACK)

    assert len(steps.take(10, cap=3)) == 1


def test_a_person_goes_first_and_the_backlog_keeps_a_fourth(steps: Steps) -> None:
    backlog = [steps.accept() for _ in range(4)]
    steps.pass_time(60)
    persons = [steps.accept(lane="person") for _ in range(9)]

    order = ["person" if event in persons else "backlog" for event in steps.take(8)]

    assert order == ["person", "person", "person", "backlog"] * 2
    assert set(steps.take(100)) | set(backlog) | set(persons) == set(backlog) | set(persons)


def test_each_lane_gets_all_the_places_that_the_other_does_not_need(steps: Steps) -> None:
    for _ in range(5):
        steps.accept(lane="person")
    assert len(steps.take(5)) == 5

    for _ in range(5):
        steps.accept(lane="backlog")
    assert len(steps.take(5)) == 5


def test_a_dead_workers_event_comes_before_a_backlog_that_is_due_for_longer(steps: Steps) -> None:
    first = steps.accept()
    claim = steps.claim(first)
    for _ in range(5):
        steps.accept()
    steps.pass_time(11)

    assert steps.take(1, cap=1) == [claim.event.id]


def test_lost_jobs_are_handed_out_again_within_their_places_under_the_cap(steps: Steps) -> None:
    for _ in range(6):
        steps.accept()
    lost = steps.take(10, cap=3)
    steps.pass_time(10)

    assert sorted(steps.take(10, cap=3)) == sorted(lost)
    assert steps.take(10, cap=3) == []


def test_a_pause_stops_everything_until_its_probe_and_then_one_at_a_time(steps: Steps) -> None:
    steps.pause(probe=30)
    steps.accept(lane="person")
    steps.accept()

    steps.pass_time(29)
    assert steps.take(10) == []
    steps.pass_time(1)
    assert len(steps.take(10)) == 1
    assert steps.take(10) == []
    steps.pass_time(30)
    assert len(steps.take(10)) == 1


def test_where_nothing_is_due_a_pause_is_probed_with_what_failed_because_of_it(steps: Steps) -> None:
    steps.record(retry(3600))
    failed = {steps.record(retry(3600, OUTAGE)) for _ in range(2)}
    steps.pass_time(30)

    first = steps.take(10)
    steps.pass_time(30)
    # Its job was lost: it has its place, and goes again.
    second = steps.take(10)

    assert first == second
    assert set(first) <= failed


def test_a_probe_on_its_way_is_not_handed_out_twice(steps: Steps) -> None:
    event = steps.pause(probe=5)
    steps.pass_time(5)
    assert steps.take() == [event]
    steps.pass_time(5)

    assert steps.take() == []


def test_what_the_server_lost_does_not_stand_in_the_way(steps: Steps) -> None:
    handed = steps.accept()
    steps.pass_time(1)
    waiting, event = steps.accept(lane="person"), steps.accept()
    steps.ledger.operate(waiting, "hold", "ada")
    assert steps.take() == [handed]
    steps.ledger.operate(waiting, "release", "ada")
    steps.redis.delete(f"{PREFIX}event:{handed}", f"{PREFIX}event:{waiting}")
    steps.pass_time(10)

    assert steps.take(10) == [event]
    assert steps.index("out") == {event}
    assert steps.index("due:person") == set()
    assert steps.index("due:backlog") == {event}


def test_a_free_place_wakes_the_dispatcher(steps: Steps) -> None:
    claim = steps.begin(steps.accept())
    steps.redis.delete(f"{PREFIX}wake")

    steps.ledger.record(claim, DONE)

    assert steps.redis.llen(f"{PREFIX}wake") == 1


def test_a_backlog_far_beyond_the_cap_is_handed_out_once_each_by_several_dispatchers(steps: Steps) -> None:
    events = {steps.accept() for _ in range(300)}
    handed: list[str] = []

    while batch := steps.take(7, cap=20) + steps.take(100, cap=20):
        handed += batch
        for event in batch:
            claim = steps.ledger.claim(event, "w1")
            assert claim is not None
            steps.ledger.record(claim, IGNORED)

    assert len(handed) == 300
    assert set(handed) == events
