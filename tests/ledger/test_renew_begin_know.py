"""`renew`, `begin` and `know`: what the holder of an event may do, and nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.core.errors import StaleToken
from service.core.ledger import Closed
from service.core.ledger.model import clean
from service.core.source import Key
from service.core.store import PREFIX
from tests.ledger.steps import BACK, DONE, DRAFT, FORBIDDEN

if TYPE_CHECKING:
    from tests.ledger.steps import Steps


def test_a_renewed_lease_keeps_others_out(steps: Steps) -> None:
    claim = steps.claim(steps.accept())
    for _ in range(5):
        steps.pass_time(9)
        assert steps.ledger.renew(claim)

    assert steps.take() == []
    steps.ledger.begin(claim, DRAFT, {})


def test_a_lease_that_ended_is_renewed_where_nobody_was_given_the_event(steps: Steps) -> None:
    claim = steps.claim(steps.accept())
    steps.pass_time(15)

    assert steps.ledger.renew(claim)
    assert steps.take() == []


def test_a_lease_is_never_renewed_past_the_hard_limit(steps: Steps) -> None:
    event = steps.accept()
    claim = steps.claim(event)
    for _ in range(9):
        steps.pass_time(6)
        assert steps.ledger.renew(claim)
    steps.pass_time(6)

    assert not steps.ledger.renew(claim)
    with pytest.raises(StaleToken):
        steps.ledger.begin(claim, DRAFT, {})
    assert steps.take() == [event]


def test_an_event_handed_out_again_is_not_renewed_nor_begun(steps: Steps) -> None:
    claim = steps.claim(steps.accept())
    steps.pass_time(10)
    steps.take()

    assert not steps.ledger.renew(claim)
    with pytest.raises(StaleToken):
        steps.ledger.begin(claim, DRAFT, {})


def test_an_older_token_does_nothing_at_all(steps: Steps) -> None:
    old = steps.claim(steps.accept())
    steps.pass_time(10)
    steps.claim()
    before = steps.dump()

    assert not steps.ledger.renew(old)
    with pytest.raises(StaleToken):
        steps.ledger.begin(old, DRAFT, {})
    with pytest.raises(StaleToken):
        steps.ledger.know(old, [Key("late")])
    with pytest.raises(StaleToken):
        steps.ledger.record(old, DONE)

    assert steps.dump() == before


def test_nothing_is_begun_once_the_lease_is_over(steps: Steps) -> None:
    claim = steps.claim(steps.accept())
    steps.pass_time(10)

    with pytest.raises(StaleToken, match="may not be sent"):
        steps.ledger.begin(claim, DRAFT, {})


def test_begin_writes_ahead_what_is_sent(steps: Steps) -> None:
    claim = steps.begin(steps.accept())

    event = steps.ledger.event(claim.event.id)
    assert (event.draft, event.location, event.tries, event.begun) == (DRAFT, "l", 1, 1)
    assert (event.name, event.email, event.subject) == ("Ada", "ada@example.com", "Wi-Fi")
    assert [attempt.outcome for attempt in steps.ledger.attempts(event.id)] == ["sending"]


def test_begin_again_after_a_lost_answer_is_the_same_attempt(steps: Steps) -> None:
    claim = steps.begin(steps.accept())

    assert steps.ledger.begin(claim, DRAFT, {}) == 1
    assert len(steps.ledger.attempts(claim.event.id)) == 1


def test_attempts_are_numbered_on_through_every_claim(steps: Steps) -> None:
    event = steps.accept()
    steps.record(BACK, event)

    assert steps.ledger.begin(steps.claim(event), DRAFT, {}) == 2
    assert [attempt.outcome for attempt in steps.ledger.attempts(event)] == ["queued", "sending"]


def test_only_the_last_two_hundred_attempts_are_kept(steps: Steps) -> None:
    event = steps.accept()
    entries = [f'{{"at": {n}, "outcome": "failed"}}' for n in range(200)]
    steps.redis.rpush(f"{PREFIX}attempts:{event}", *entries)

    steps.begin(event)

    attempts = steps.ledger.attempts(event)
    assert (len(attempts), attempts[-1].outcome) == (200, "sending")


def test_a_draft_with_half_characters_is_kept(steps: Steps) -> None:
    claim = steps.claim(steps.accept())

    steps.ledger.begin(claim, {**DRAFT, "text": "a\ud83d"}, {"subject": "\udcff"})

    event = steps.ledger.event(claim.event.id)
    assert event.draft is not None
    assert (event.draft["text"], event.subject, clean("\ud83d")) == ("a?", "?", "?")


def test_a_key_known_late_is_the_events_and_finds_it_at_the_door(steps: Steps) -> None:
    claim = steps.claim(steps.accept("one"))

    assert steps.ledger.know(claim, [Key("late")]) == ""
    # The same call again, after a lost answer.
    assert steps.ledger.know(claim, [Key("late")]) == ""
    assert steps.accept("late") == claim.event.id
    steps.ledger.record(claim, DONE)
    assert steps.ttl("late") is not None


def test_a_key_known_late_that_another_event_has_names_that_event(steps: Steps) -> None:
    other = steps.accept("late")
    claim = steps.claim(steps.accept("one"))

    assert steps.ledger.know(claim, [Key("new"), Key("late")]) == other
    # None of them was taken on the way.
    assert steps.ttl("new") == 0


def test_one_event_at_a_time_tries_for_a_closed_location(any_steps: Steps) -> None:
    first = any_steps.record(FORBIDDEN)
    second, third = any_steps.accept(), any_steps.accept()
    any_steps.redis.delete(f"{PREFIX}pause")

    waits = any_steps.ledger.begin(any_steps.claim(second), DRAFT, {})
    any_steps.ledger.operate(first, "discard", "ada")
    takes_its_place = any_steps.ledger.begin(any_steps.claim(third), DRAFT, {})

    assert waits == Closed(None, "403")
    assert isinstance(takes_its_place, Closed)
    assert takes_its_place.wait == pytest.approx(30, abs=2)


def test_when_its_time_has_come_the_closed_location_is_tried(any_steps: Steps) -> None:
    any_steps.record(FORBIDDEN)
    any_steps.redis.delete(f"{PREFIX}pause")
    any_steps.pass_time(30)

    number = any_steps.ledger.begin(any_steps.claim(any_steps.accept()), DRAFT, {})
    again = any_steps.ledger.begin(any_steps.claim(any_steps.accept()), DRAFT, {})

    assert number == 1
    assert isinstance(again, Closed)


def test_what_a_probe_of_a_paused_location_finds_out_pauses_no_other(any_steps: Steps) -> None:
    event = any_steps.record(FORBIDDEN)
    any_steps.redis.delete(f"{PREFIX}pause")
    any_steps.pass_time(30)

    any_steps.record(FORBIDDEN, event)

    assert any_steps.ledger.pause() is None
    assert list(any_steps.ledger.closed()) == ["l"]


def test_in_a_pause_for_one_location_the_probe_is_an_event_elsewhere(any_steps: Steps) -> None:
    refused = any_steps.record(FORBIDDEN)
    elsewhere = any_steps.accept()
    any_steps.pass_time(40)

    assert any_steps.take(10) == [elsewhere]
    assert refused in any_steps.index("due:backlog")
