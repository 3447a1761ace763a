"""What is done to many dead letters at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.core import operations
from service.core.errors import Forbidden
from service.core.ledger import Ledger, State
from service.core.ledger.states import TRANSITIONS

if TYPE_CHECKING:
    from service.core.ledger import Event, Operation
    from tests.web.acts import Acts


def test_dead_letters_are_paged_until_there_are_none(ledger: Ledger, acts: Acts) -> None:
    fitting = {acts.dead("too long") for _ in range(3)}
    for _ in range(4):
        acts.dead("other")

    found: list[str] = []
    cursor: str | None = None
    pages = 0
    while pages == 0 or cursor is not None:
        page = operations.dead_letters(ledger, reason="TOO", limit=2, cursor=cursor)
        found += [event.id for event in page.events]
        cursor = page.cursor
        pages += 1

    assert (len(found), set(found)) == (3, fitting)


def test_the_code_is_a_filter_only_as_a_whole(ledger: Ledger, acts: Acts) -> None:
    event = acts.dead("no room", code="unknown")

    assert [found.id for found in operations.dead_letters(ledger, reason="unknown").events] == [event]
    assert operations.dead_letters(ledger, reason="unkno").events == []


def test_a_bulk_goes_through_every_page(ledger: Ledger, acts: Acts) -> None:
    for _ in range(205):
        acts.dead()

    assert operations.bulk(ledger, "discard", by="test") == 205
    assert ledger.stats().states["discarded"] == 205


def test_named_events_must_fit_the_other_filters_too_and_be_dead(ledger: Ledger, acts: Acts) -> None:
    web, mail, done = acts.dead(), acts.dead(channel="mail"), acts.delivered()

    count = operations.bulk(ledger, "replay", ids=[web, mail, done], channel="mail", by="test")

    assert count == 1
    assert ledger.event(mail).state is State.QUEUED
    assert ledger.event(web).state is State.DEAD


def test_an_event_that_moves_on_meanwhile_is_passed_over(ledger: Ledger, acts: Acts) -> None:
    first, second = acts.dead(), acts.dead()

    class Racing(Ledger):
        """The real ledger, on which another operator is faster."""

        def operate(self, event: str, operation: Operation, by: str, *, confirmed: bool = False) -> Event:
            super().operate(event, "discard", "somebody else")
            return super().operate(event, "release", by, confirmed=confirmed)

    ledger.__class__ = Racing

    assert operations.bulk(ledger, "replay", ids=[first, second], by="test") == 0


def test_the_table_of_operations_offers_what_the_ledger_allows(ledger: Ledger, acts: Acts) -> None:
    reached = {row.origin for row in TRANSITIONS if row.script == "operate"}
    made = {
        State.DELIVERED: acts.delivered(),
        State.DEAD: acts.dead(),
        State.IGNORED: acts.ignored(),
        State.DISCARDED: ledger.operate(acts.accept(), "discard", "test").id,
        State.HELD: ledger.operate(acts.accept(), "hold", "test").id,
        State.RETRYING: acts.pause(),
        State.QUEUED: acts.accept(),
    }

    assert {state for state, offered in operations.OPERATIONS.items() if offered} == reached
    for state, event in made.items():
        assert ledger.event(event).state is state
        for operation in ("replay", "discard", "hold", "release"):
            if operation not in operations.OPERATIONS[state] and (state, operation) != (State.HELD, "replay"):
                with pytest.raises(Forbidden):
                    ledger.operate(event, operation, "test")
        if operations.OPERATIONS[state]:
            ledger.operate(event, operations.OPERATIONS[state][0], "test")
