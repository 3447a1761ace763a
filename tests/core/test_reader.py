"""The reader's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.core.request import Headers, InboundRequest
from service.core.source import Key, Part

if TYPE_CHECKING:
    from redis import Redis

    from service.core.ledger import Ledger

REQUEST = InboundRequest("POST", "https://bridge.example/hooks/web", Headers(), b"x")


def accept(ledger: Ledger, count: int) -> list[str]:
    parts = [Part((Key(str(number)),), str(number)) for number in range(count)]
    accepted = ledger.accept(REQUEST, channel="web", source="form", lane="backlog", parts=parts)
    return list(accepted.events)


def test_the_pages_of_events_of_one_moment_give_each_once(ledger: Ledger) -> None:
    events = accept(ledger, 250)
    seen: list[str] = []
    cursor: str | None = None

    while True:
        page = ledger.events(limit=7, cursor=cursor)
        seen += [event.id for event in page.events]
        cursor = page.cursor
        if cursor is None:
            break

    assert sorted(seen) == sorted(events)


def test_an_index_entry_without_its_event_is_passed_over(ledger: Ledger, redis: Redis) -> None:
    first, second = accept(ledger, 2)
    redis.delete(f"bridge:event:{first}")

    assert [event.id for event in ledger.events().events] == [second]


def test_a_cursor_of_somebody_else_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="cursor"):
        ledger.events(cursor="rubbish")
