"""The way of one event through the ledger, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.core.ledger import Attempt, Outcome, State
from service.core.ledger.model import moment
from service.core.request import Headers, InboundRequest
from service.core.source import Key, Part

if TYPE_CHECKING:
    from service.core.ledger import Ledger

REQUEST = InboundRequest("POST", "https://bridge.example/hooks/web", Headers(), b"hello")
DRAFT = {"locationRef": "l", "text": "t", "type": "other"}


def test_an_accepted_event_is_taken_claimed_begun_and_delivered(ledger: Ledger) -> None:
    parts = [Part((Key("one"),))]

    accepted = ledger.accept(REQUEST, channel="web", source="form", lane="backlog", parts=parts)
    again = ledger.accept(REQUEST, channel="web", source="form", lane="backlog", parts=parts)
    (handed,) = ledger.take(10, cap=10)
    claim = ledger.claim(handed.event, "w1")
    assert claim is not None
    attempt = ledger.begin(claim, DRAFT, {"subject": "Hello"})
    assert ledger.renew(claim)
    done = Attempt(at=moment(0), outcome="delivered", status=201, duration_ms=12)
    fields: dict[str, str | int] = {"ticket_id": "T", "ticket_number": 7}
    ledger.record(claim, Outcome(State.DELIVERED, attempt=done, fields=fields, answered=True))

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
