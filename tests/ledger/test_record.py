"""`record`: what came of an attempt, written once, by the holder only; and pauses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ResponseError

from service.core.ledger import Attempt, Failing, Outcome, State
from service.core.ledger.model import clean, moment
from service.core.store import PREFIX
from tests.ledger.steps import BACK, DONE, DRAFT, IGNORED, LOOKED_IN_VAIN, REFUSED, retry

if TYPE_CHECKING:
    from service.core.ledger import Claim
    from tests.ledger.steps import Steps

CREDENTIALS = Failing("credentials", 1, 30)
OUTAGE = Failing("outage", 3, 30)


@pytest.mark.parametrize("outcome", [DONE, REFUSED, IGNORED])
def test_an_end_takes_the_event_out_of_every_queue(steps: Steps, outcome: Outcome) -> None:
    event = steps.record(outcome)

    found = steps.ledger.event(event)
    assert (found.state, found.due, found.code, found.reason) == (
        outcome.state,
        None,
        outcome.code,
        outcome.reason,
    )
    assert steps.index("out") == steps.index("due:backlog") == set()
    assert steps.index(f"state:{outcome.state}") == {event}
    assert steps.ledger.stats().counters[f"{outcome.state}:web"] == 1


def test_a_failure_that_passes_is_due_after_its_back_off(steps: Steps) -> None:
    event = steps.ledger.event(steps.record(retry(60)))

    assert event.due is not None
    assert (event.state, (event.due - event.updated).total_seconds()) == (State.RETRYING, 60)


def test_an_event_handed_back_is_due_at_once(steps: Steps) -> None:
    event = steps.ledger.event(steps.record(BACK))

    assert (event.state, event.due) == (State.QUEUED, event.updated)


def test_the_attempt_that_was_written_ahead_becomes_what_came_of_it(steps: Steps) -> None:
    claim = steps.begin(steps.accept())
    begun = steps.ledger.attempts(claim.event.id)[0].at
    steps.ledger.record(claim, retry(60))

    (attempt,) = steps.ledger.attempts(claim.event.id)
    assert attempt == Attempt(begun, "failed", 503, "503: busy")


def test_a_failure_before_anything_was_sent_is_an_entry_of_its_own(steps: Steps) -> None:
    claim = steps.claim(steps.accept())
    steps.ledger.record(claim, retry(60))

    assert [attempt.outcome for attempt in steps.ledger.attempts(claim.event.id)] == ["failed"]
    assert steps.ledger.event(claim.event.id).tries == 0


def test_an_end_without_an_attempt_leaves_no_entry(steps: Steps) -> None:
    claim = steps.claim(steps.accept())
    steps.ledger.record(claim, IGNORED)

    assert steps.ledger.attempts(claim.event.id) == []


def test_an_attempt_whose_entry_the_server_lost_is_recorded_all_the_same(steps: Steps) -> None:
    claim = steps.begin(steps.accept())
    steps.redis.delete(f"{PREFIX}attempts:{claim.event.id}")

    steps.ledger.record(claim, DONE)

    assert [attempt.outcome for attempt in steps.ledger.attempts(claim.event.id)] == ["delivered"]


def test_the_same_record_after_a_lost_answer_changes_nothing(steps: Steps) -> None:
    claim = steps.begin(steps.accept())
    steps.ledger.record(claim, retry(60, OUTAGE), nonce="n")
    before = steps.dump()

    assert not steps.ledger.record(claim, retry(60, OUTAGE), nonce="n")
    assert steps.dump() == before


def test_a_repeated_record_says_again_that_spacebring_answers(steps: Steps) -> None:
    event = steps.pause()
    steps.pass_time(30)
    claim = steps.begin(event)

    assert steps.ledger.record(claim, DONE, nonce="n")
    assert steps.ledger.record(claim, DONE, nonce="n")


@pytest.mark.parametrize("state", [State.DELIVERING, State.HELD, State.DISCARDED])
def test_a_state_that_a_worker_may_not_give_is_refused_and_nothing_is_written(
    steps: Steps, state: State
) -> None:
    claim = steps.begin(steps.accept())
    before = steps.dump()

    with pytest.raises(ResponseError, match="not in the table"):
        steps.ledger.record(claim, replace(DONE, state=state))

    assert steps.dump() == before


def test_a_try_that_is_not_counted_leaves_the_schedule_where_it_was(steps: Steps) -> None:
    event = steps.record(replace(retry(0), uncounted=True))

    found = steps.ledger.event(event)
    assert (found.tries, found.attempts) == (0, 1)


def test_counted_tries_add_up_and_a_replay_begins_anew(steps: Steps) -> None:
    event = steps.accept()
    for _ in range(2):
        steps.record(retry(0), event)
    steps.record(REFUSED, event)
    assert steps.ledger.event(event).tries == 3

    assert steps.ledger.operate(event, "replay", "ada").tries == 0


def test_refused_credentials_pause_at_once_and_an_outage_after_some_failures(steps: Steps) -> None:
    for _ in range(2):
        steps.record(retry(60, OUTAGE))
    assert steps.ledger.pause() is None

    steps.record(retry(60, OUTAGE))

    pause = steps.ledger.pause()
    assert pause is not None
    assert (pause.kind, pause.why) == ("outage", "503: busy")
    assert (pause.until - pause.since).total_seconds() == 30


def test_an_answer_in_between_starts_the_count_again(steps: Steps) -> None:
    for outcome in (retry(60, OUTAGE), retry(60, OUTAGE), DONE, retry(60, OUTAGE), retry(60, OUTAGE)):
        steps.record(outcome)

    assert steps.ledger.pause() is None


def test_probes_of_a_pause_prolong_it_and_do_not_count_against_their_event(steps: Steps) -> None:
    event = steps.pause()
    tries = steps.ledger.event(event).tries
    first = steps.ledger.pause()
    for _ in range(30):
        steps.pass_time(30)
        steps.record(retry(0, CREDENTIALS), event)

    pause = steps.ledger.pause()
    assert first is not None
    assert pause is not None
    assert (pause.until - pause.since).total_seconds() >= 900
    assert steps.ledger.event(event).tries == tries


def test_an_answer_ends_the_pause(steps: Steps) -> None:
    event = steps.pause()
    waiting = [steps.accept() for _ in range(3)]
    steps.pass_time(30)
    probe = _probe(steps)

    assert steps.ledger.record(probe, DONE)

    assert steps.ledger.pause() is None
    assert {probe.event.id, *steps.take(10)} == {event, *waiting}


def test_a_probe_that_sent_nothing_makes_room_for_the_next_at_once(steps: Steps) -> None:
    steps.pause()
    steps.accept(lane="person")
    steps.pass_time(30)
    probe = steps.claim()
    assert steps.take(10) == []

    steps.ledger.record(probe, replace(REFUSED, code="unreadable"))

    assert steps.ledger.pause() is not None
    assert len(steps.take(10)) == 1


def test_a_probe_of_unknown_end_leaves_the_pause_as_it_is(steps: Steps) -> None:
    steps.pause()
    steps.accept()
    steps.pass_time(30)
    probe = _probe(steps)

    assert not steps.ledger.record(probe, Outcome(State.DEAD, code="unknown"))

    assert steps.ledger.pause() is not None
    assert steps.take(10) == []


HOSTILE = st.text(st.characters(), max_size=20)


@given(texts=st.lists(HOSTILE, min_size=4, max_size=4), number=st.integers(0, 10**18))
def test_whatever_an_answer_says_is_recorded(steps: Steps, texts: list[str], number: int) -> None:
    reason, code, error, ticket = texts
    attempt = Attempt(moment(0), "delivered", 201, error)
    fields: dict[str, str | int] = {"ticket_id": ticket, "ticket_number": number, "requester_refused": True}

    event = steps.record(Outcome(State.DELIVERED, reason, code, attempt=attempt, fields=fields))

    found = steps.ledger.event(event)
    (kept,) = steps.ledger.attempts(event)
    assert [found.reason, found.code, kept.error, found.ticket_id] == [clean(text) for text in texts]
    assert (found.ticket_number, found.requester_refused) == (number, True)


def test_a_late_record_after_an_outage_began_still_counts_its_event_as_failed_in_it(steps: Steps) -> None:
    one, two = steps.accept(), steps.accept()
    first, second = steps.begin(one), steps.ledger.claim(two, "w2")
    assert second is not None
    steps.ledger.begin(second, DRAFT, {})
    steps.ledger.record(first, retry(0, CREDENTIALS))

    steps.ledger.record(second, retry(3600, CREDENTIALS))

    assert steps.redis.smembers(f"{PREFIX}outage") == {one.encode(), two.encode()}


def test_a_dead_letter_that_tells_of_an_outage_is_not_brought_forward_after_it(steps: Steps) -> None:
    event = steps.record(replace(LOOKED_IN_VAIN, failing=CREDENTIALS))

    assert steps.ledger.pause() is not None
    assert steps.ledger.resume() == 0
    assert steps.state(event) is State.DEAD


def _probe(steps: Steps) -> Claim:
    (event,) = steps.take(10)
    claim = steps.ledger.claim(event, "w1")
    assert claim is not None
    steps.ledger.begin(claim, DRAFT, {})
    return claim


def test_handed_back_for_the_same_reason_time_and_again_is_one_wait_in_the_history(steps: Steps) -> None:
    event = steps.accept()
    for reason in ("no place", "no place", "no place", "held back", "no place"):
        claim = steps.claim(event)
        steps.ledger.record(claim, Outcome(State.RETRYING, reason=reason, code="retry", uncounted=True))

    last = steps.ledger.event(event)
    assert [step.why for step in steps.ledger.history(event)] == [
        "accepted",
        *("claimed", "no place"),
        *("claimed", "held back"),
        *("claimed", "no place"),
    ]
    assert (last.tries, last.attempts, last.reason) == (0, 0, "no place")


def test_attempts_that_fail_for_the_same_reason_all_stand_in_the_history(steps: Steps) -> None:
    event = steps.record(retry(0))
    steps.record(retry(0), event)
    claim = steps.claim(event)
    steps.ledger.record(claim, retry(0))

    assert [step.why for step in steps.ledger.history(event)] == ["accepted", *("claimed", "503: busy") * 3]
