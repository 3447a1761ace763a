"""`claim`: only what is handed out, by one worker, and not for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service.core.errors import StaleToken
from service.core.ledger import Failing, State
from service.core.store import PREFIX
from tests.ledger.steps import BACK, DONE, DRAFT, GRACE, retry

if TYPE_CHECKING:
    from tests.ledger.steps import Steps


def test_what_was_not_handed_out_is_not_given_to_anyone(steps: Steps) -> None:
    event = steps.accept()

    assert steps.ledger.claim(event, "w1") is None
    assert steps.ledger.claim("nosuchevent", "w1") is None
    assert steps.state(event) is State.QUEUED


def test_one_of_two_workers_gets_it(steps: Steps) -> None:
    event = steps.accept()
    steps.take()

    assert steps.ledger.claim(event, "w1") is not None
    assert steps.ledger.claim(event, "w2") is None
    assert steps.ledger.event(event).token == 1


@pytest.mark.parametrize("late", [0, 60])
def test_a_job_from_before_a_back_off_gets_nothing(steps: Steps, late: float) -> None:
    event = steps.record(retry(30))
    steps.pass_time(late)

    assert steps.ledger.claim(event, "w2") is None


def test_a_late_job_still_serves_where_its_event_was_not_handed_out_again(steps: Steps) -> None:
    event = steps.accept()
    steps.take()
    steps.pass_time(60)

    assert steps.ledger.claim(event, "w1") is not None


@pytest.mark.parametrize("operation", ["hold", "discard"])
def test_a_job_of_an_event_that_was_taken_away_gets_nothing(steps: Steps, operation: str) -> None:
    event = steps.accept()
    steps.take()

    steps.ledger.operate(event, operation, "ada")  # type: ignore[arg-type]

    assert steps.ledger.claim(event, "w1") is None
    assert steps.index("out") == set()
    assert steps.index("due:backlog") == set()


def test_what_was_handed_out_just_before_a_pause_goes_back(steps: Steps) -> None:
    failed, event = steps.accept(), steps.accept()
    claim = steps.begin(failed)
    steps.ledger.record(claim, retry(0, _credentials()))

    assert steps.ledger.claim(event, "w2") is None
    assert steps.state(event) is State.QUEUED
    assert steps.index("out") == set()
    assert event in steps.index("due:backlog")
    assert steps.take(10) == []


def test_a_probe_of_the_pause_is_claimed(steps: Steps) -> None:
    event = steps.pause()
    steps.pass_time(30)

    assert steps.claim(event).event.id == event


def test_a_dead_workers_event_is_claimed_again_with_a_new_token(steps: Steps) -> None:
    dead = steps.claim(steps.accept())
    steps.pass_time(10)

    taken = steps.claim(worker="w2")

    assert (taken.token, taken.uncertain) == (2, False)
    steps_taken = [(step.target, step.why, step.by) for step in steps.ledger.history(dead.event.id)]
    assert steps_taken[-1] == ("delivering", "taken over", "w2")
    with pytest.raises(StaleToken):
        steps.ledger.record(dead, DONE)


def test_a_begun_attempt_that_is_taken_over_sends_nothing_before_a_look(steps: Steps) -> None:
    steps.begin(steps.accept())
    steps.pass_time(10)

    taken = steps.claim()

    assert taken.uncertain
    with pytest.raises(StaleToken):
        steps.ledger.begin(taken, DRAFT, {})
    with pytest.raises(StaleToken):
        steps.ledger.begin(taken, DRAFT, {}, absent_at=taken.event.look_after - 1)
    assert steps.ledger.begin(taken, DRAFT, {}, absent_at=taken.event.look_after) == 2
    assert [attempt.outcome for attempt in steps.ledger.attempts(taken.event.id)] == ["unknown", "sending"]


def test_the_grace_counts_from_the_takeover(steps: Steps) -> None:
    steps.begin(steps.accept())
    steps.pass_time(100)

    taken = steps.claim()

    assert 0 <= taken.event.look_after - GRACE * 1000 - taken.event.updated.timestamp() * 1000 < 2


def test_an_event_from_before_the_server_was_replaced_is_looked_for_first(any_steps: Steps) -> None:
    event = any_steps.accept()
    redis: Any = any_steps.redis
    redis.hincrby(f"{PREFIX}epoch", "number", 1)
    redis.hset(f"{PREFIX}epoch", "at", any_steps.ledger.now())

    old, fresh = any_steps.claim(event), any_steps.claim(any_steps.accept())

    assert (old.uncertain, fresh.uncertain) == (True, False)
    assert old.event.look_from == old.event.received.timestamp() * 1000
    with pytest.raises(StaleToken):
        any_steps.ledger.begin(old, DRAFT, {})
    # Whoever held it before the change could send until its lease was over.
    any_steps.pass_time(10 + GRACE)
    any_steps.ledger.begin(any_steps.claim(event), DRAFT, {}, absent_at=any_steps.looked())


def test_an_event_that_killed_three_workers_is_a_dead_letter(steps: Steps) -> None:
    event = steps.accept()
    for _ in range(3):
        steps.claim(event)
        steps.pass_time(10)
    assert steps.take() == [event]

    assert steps.ledger.claim(event, "w4") is None

    found = steps.ledger.event(event)
    assert (found.state, found.code) == (State.DEAD, "poison")
    assert steps.index("out") == steps.index("due:backlog") == set()
    assert steps.ledger.stats().counters["dead:web"] == 1
    assert steps.ledger.operate(event, "replay", "ada").state is State.QUEUED
    again = steps.claim(event)
    # Nothing was ever sent: nothing is to be looked for.
    assert (again.token, again.uncertain) == (4, False)


def test_workers_that_die_after_an_attempt_had_begun_make_an_unknown_dead_letter(steps: Steps) -> None:
    event = steps.accept()
    steps.begin(event)
    for _ in range(3):
        steps.pass_time(10)
        steps.claim(event)
    steps.pass_time(10)
    steps.take()

    assert steps.ledger.claim(event, "w5") is None

    found = steps.ledger.event(event)
    assert (found.state, found.code) == (State.DEAD, "unknown")
    assert [attempt.outcome for attempt in steps.ledger.attempts(event)] == ["unknown"]
    steps.ledger.operate(event, "replay", "ada")
    assert steps.claim(event).uncertain


def test_an_event_handed_back_does_not_count_as_poison(steps: Steps) -> None:
    event = steps.accept()
    for _ in range(5):
        steps.ledger.record(steps.claim(event), BACK)

    assert steps.claim(event).event.state is State.DELIVERING


def test_only_the_hand_out_of_a_taken_over_event_counts_for_its_old_holder(steps: Steps) -> None:
    old = steps.begin(steps.accept())
    steps.pass_time(10)
    steps.take()

    # Handed out, but not claimed by anyone else yet: its own record still stands, and ends it.
    assert not steps.ledger.renew(old)
    steps.ledger.record(old, DONE)

    assert steps.state(old.event.id) is State.DELIVERED
    assert steps.ledger.claim(old.event.id, "w2") is None


def _credentials() -> Failing:
    return Failing("credentials", 1, 30)
