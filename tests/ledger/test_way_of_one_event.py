"""The way of one event through the ledger, step by step, on every server that it must work on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.core.ledger import State
from tests.ledger.steps import DONE, DRAFT, REQUEST

if TYPE_CHECKING:
    from service.core.ledger import Ledger
    from tests.ledger.steps import Steps


def test_an_accepted_event_is_taken_claimed_begun_and_delivered(any_ledger: Ledger, any_steps: Steps) -> None:
    ledger = any_ledger

    accepted = any_steps.accept_parts([["one"]])
    again = any_steps.accept_parts([["one"]])
    (handed,) = ledger.take(10, cap=10)
    claim = ledger.claim(handed.event, "w1")
    assert claim is not None
    attempt = ledger.begin(claim, DRAFT, {"subject": "Hello"})
    assert ledger.renew(claim)
    ledger.record(claim, DONE)

    event = ledger.event(accepted.events[0])
    assert accepted.status == "accepted"
    assert (again.status, again.events) == ("duplicate", accepted.events)
    assert (attempt, event.state, event.ticket_number, event.repeats) == (1, State.DELIVERED, 7, 1)
    assert [entry.outcome for entry in ledger.attempts(event.id)] == ["delivered"]
    assert [step.target for step in ledger.history(event.id)] == ["queued", "delivering", "delivered"]
    assert ledger.take(10, cap=10) == []
    assert ledger.request(event) == REQUEST
    assert [found.id for found in ledger.events(query="hel").events] == [event.id]
    assert ledger.stats().states["delivered"] == 1
    assert ledger.stats().counters == {"accepted:web": 1, "duplicate:web": 1, "delivered:web": 1}


def test_an_event_that_failed_in_an_outage_is_replayed_and_aged_out(
    any_ledger: Ledger, any_steps: Steps
) -> None:
    event = any_steps.pause()
    any_steps.pass_time(30)
    any_steps.record(DONE, event)
    held = any_steps.accept()
    any_ledger.operate(held, "hold", "ada")
    any_ledger.operate(held, "release", "ada")
    any_ledger.operate(held, "discard", "ada")
    any_steps.pass_time(91 * 86_400)

    any_ledger.purge()

    assert any_ledger.resume() == 0
    assert any_ledger.events().events == []
