"""The door by Redis, the door by the spool, cut-off calls and drains in any order, against a model.

Whatever the order: one event for one message, every id that was answered leads to it for ever, and what was
answered 200 is in the ledger in the end.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from service.core.drainer import Drainer
from service.core.errors import Forbidden, NoSuchEvent
from service.core.spool import Spool
from service.core.store import connect
from tests.spool.conftest import book_on, parcel_of

if TYPE_CHECKING:
    from service.core.ledger.model import Acceptance, Parcel
    from tests.conftest import Valkey

# The keys that a part may have, and the message that it is: some are one, for they share a key.
MESSAGES = {"~a": "a", "d e": "e", "e f": "e", "x": "x", "x y": "x", "y": "x"}
PARTS = st.lists(st.sampled_from(sorted(MESSAGES)), min_size=1, max_size=2)


class Doors(RuleBasedStateMachine):
    """One ledger, one spool: of one message only one event may come."""

    server: Valkey

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.redis = connect(self.server.url)
        self.redis.flushall()
        self.book = book_on(self.redis)
        self.spool = Spool(Path(self.folder.name), enabled=True)
        self.drainer = Drainer(self.spool, self.book)
        # The message of each id that was answered, and the event of each message that has one.
        self.answered: dict[str, str] = {}
        self.events: dict[str, str] = {}
        # Whether the ledger has seen that `x` and `y` are one: before, nobody could know.
        self.joined = self.told = False
        # What was moved but not yet forgotten.
        self.cut_off: list[tuple[int, Parcel]] = []

    def teardown(self) -> None:
        self.drain()
        self.each_message_is_one_event_and_each_id_leads_to_it()
        assert self.events.keys() == set(self.answered.values())
        self.redis.close()
        self.folder.cleanup()

    def note(self, parts: list[str], accepted: Acceptance) -> None:
        for event, part in zip(accepted.events, parts, strict=True):
            assert self.answered.setdefault(event, MESSAGES[part]) == MESSAGES[part]

    def known(self, parts: list[str]) -> list[str]:
        """Give the parts, `y` by the other key until the ledger has seen both together."""
        self.told = self.told or "x y" in parts
        return ["x" if part == "y" and not self.joined else part for part in parts]

    @rule(parts=PARTS)
    def by_redis(self, parts: list[str]) -> None:
        """Redis is there."""
        parts = self.known(parts)
        self.note(parts, self.book.keep(parcel_of(self.book, *parts)))

    @rule(parts=PARTS)
    def by_the_spool(self, parts: list[str]) -> None:
        """Redis is away."""
        parts = self.known(parts)
        self.note(parts, self.spool.put(parcel_of(self.book, *parts)))

    @rule(parts=PARTS)
    def by_both(self, parts: list[str]) -> None:
        """Redis goes away after it has done its work, and before it has answered."""
        parts = self.known(parts)
        parcel = parcel_of(self.book, *parts)
        self.book.keep(parcel)
        self.note(parts, self.spool.put(parcel))

    @rule()
    def drain(self) -> None:
        """Everything moves."""
        self.drainer.drain()
        assert self.spool.waiting() == 0
        self.joined = self.told

    @rule()
    def drain_and_die(self) -> None:
        """One moves, and the process dies before the spool forgets it."""
        found = self.spool.after(0)
        if found is not None:
            self.book.keep(found[1])
            self.cut_off.append(found)

    @precondition(lambda self: self.cut_off)
    @rule()
    def forget_late(self) -> None:
        """A drain that was long at it forgets what it had moved."""
        self.spool.remove(self.cut_off.pop()[0])

    @rule()
    def discard(self) -> None:
        """A person ends the newest event."""
        for event in self.book.events(limit=1).events:
            try:
                self.book.operate(event.id, "discard", "ada")
            except Forbidden:
                return

    @invariant()
    def each_message_is_one_event_and_each_id_leads_to_it(self) -> None:
        """The event of a message is the same for ever; an id without one yet is in the spool."""
        for answered, message in self.answered.items():
            try:
                event = self.book.event(answered).id
            except NoSuchEvent:
                assert self.spool.waiting(), "answered, and kept nowhere"
            else:
                assert self.events.setdefault(message, event) == event
        kept = {event.id for event in self.book.events(limit=200).events}
        # A call that was cut off may have made the event whose spooled copy has not moved yet.
        assert len(kept) <= len(set(self.answered.values()))
        assert kept >= set(self.events.values())


@pytest.mark.slow
def test_whatever_the_order_one_event_for_a_key_and_its_ids_lead_to_it(valkey: Valkey) -> None:
    machine = type("Here", (Doors,), {"server": valkey})

    run_state_machine_as_test(machine, settings=settings(max_examples=40, stateful_step_count=20))
