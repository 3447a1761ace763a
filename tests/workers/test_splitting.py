"""A batch that was kept whole, since nobody could take it apart, becomes all its events by a replay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.core import mail_json
from service.core.ledger import State
from service.core.signing import from_ledger
from service.core.source import content_key
from tests.fixtures_http import FIXTURES, Case, load_channel
from tests.sources.test_contract import source_of

if TYPE_CHECKING:
    from service.core.ledger import Event
    from service.core.request import InboundRequest
    from tests.workers.bench import Bench

BATCHES = {
    "mandrill": "accepted__batch",
    "sparkpost": "accepted__batch",
    "brevo": "accepted__batch",
    "mailparser": "accepted__rows",
    "parseur": "accepted__table",
}


def batch_of(name: str) -> InboundRequest:
    return Case(FIXTURES / name / f"{BATCHES[name]}.http").request


def whole(bench: Bench, name: str, body: bytes = b"") -> str:
    """Keep a batch as the door does that it cannot take apart."""
    lock = next(each for each in ("token", "basic", "secret") if each in load_channel(name).table)
    bench.channels += f'[[channels]]\nname = "{name}"\nsource = "{name}"\n{lock} = "user:password-of-tests"\n'
    request = batch_of(name)
    kind = request.headers.get("Content-Type")
    return bench.accept(body or request.body, name, kind, content_key(request).value)


def others(bench: Bench, event: Event) -> list[Event]:
    return [each for each in bench.ledger.events().events if each.id != event.id]


@pytest.mark.parametrize("name", BATCHES)
def test_every_event_of_a_batch_that_was_kept_whole_becomes_a_ticket(
    name: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    identifier = whole(bench, name)
    monkeypatch.setattr(mail_json, "MAX_BATCH", 1)
    dead = bench.deliver(identifier)
    monkeypatch.undo()

    bench.ledger.operate(identifier, "replay", "a test")
    ended = bench.deliver(identifier)
    parts = others(bench, ended)
    tickets = [bench.deliver(part.id).state for part in parts]

    assert (dead.state, dead.code) == (State.DEAD, "unreadable")
    assert (ended.state, ended.code) == (State.IGNORED, "split")
    assert ended.reason.startswith("kept whole at first, now 2 events: ")
    assert all(part.id in ended.reason for part in parts)
    assert tickets == [State.DELIVERED] * 2
    assert len(bench.tickets()) == 2


def test_a_batch_in_which_nothing_makes_a_ticket_ends(bench: Bench) -> None:
    identifier = whole(bench, "sparkpost", b'[{"msys": {}}, {"msys": {"message_event": {}}}]')

    ended = bench.deliver(identifier)

    assert (ended.state, ended.code) == (State.IGNORED, "split")
    assert others(bench, ended) == []


def test_what_is_taken_apart_twice_makes_no_second_events(bench: Bench) -> None:
    identifier = whole(bench, "brevo")
    first = bench.deliver(identifier)
    known = {part.id for part in others(bench, first)}

    bench.ledger.operate(identifier, "replay", "a test")
    second = bench.deliver(identifier)

    assert second.state is State.IGNORED
    assert {part.id for part in others(bench, second)} == known
    assert len(known) == 2


def test_the_events_of_a_batch_have_the_keys_that_they_would_have_at_the_door(bench: Bench) -> None:
    ended = bench.deliver(whole(bench, "brevo"))
    request = batch_of("brevo")

    again = bench.ledger.accept(
        request,
        channel="brevo",
        source="brevo",
        lane="backlog",
        parts=source_of("brevo").identify(from_ledger(request)),
    )

    assert again.status == "duplicate"
    assert set(again.events) == {part.id for part in others(bench, ended)}


def test_a_batch_that_still_cannot_be_taken_apart_is_a_dead_letter_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    identifier = whole(bench, "brevo")
    monkeypatch.setattr(mail_json, "MAX_BATCH", 1)

    states = []
    for _ in range(2):
        states.append(bench.deliver(identifier).state)
        bench.ledger.operate(identifier, "replay", "a test")

    assert states == [State.DEAD] * 2
    assert len(bench.ledger.events().events) == 1
